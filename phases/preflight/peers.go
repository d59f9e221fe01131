package preflight

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// peerLimit is how long a peer may take to accept a connection: a second for
// the way, and one for a lost packet.
const peerLimit = 2 * time.Second

// Peer is another control-plane node of the cluster.
type Peer struct {
	Name    string
	Address netip.Addr
	// APIPort is the port of its API server.
	APIPort int
	// Etcd says that it runs an etcd member.
	Etcd bool
}

// peerPath says that a peer's port cannot be reached from here.
type peerPath struct {
	peer Peer
	port int
	err  error
}

// peerChecks want the way between this machine and every peer to be open.
func (t *Task) peerChecks() []Check {
	if t.Peers == nil {
		return nil
	}
	return []Check{
		{"Peers", func(ctx context.Context) ([]string, error) { return t.peers(ctx) }},
	}
}

// peers asks who the peers are, and tries every way at the same time. The way
// back is tried by etcd itself, before this node's member gets a vote: an API
// server connects to pods and kubelets only.
func (t *Task) peers(ctx context.Context) ([]string, error) {
	list, err := t.Peers(ctx)
	if err != nil {
		return nil, err
	}
	warnings, errs := make([]string, len(list)), make([]error, len(list))
	var running sync.WaitGroup
	for i, p := range list {
		running.Go(func() { warnings[i], errs[i] = t.reachable(ctx, p) })
	}
	running.Wait()
	warnings = slices.DeleteFunc(warnings, func(w string) bool { return w == "" })
	return append(warnings, t.sameNetwork(list)...), errors.Join(errs...)
}

// reachable dials all ports of a peer at the same time. A machine that refuses
// all of them can be reached, and runs no control plane: it was reset, or is
// down. If etcd counts on it, the next phase says so.
func (t *Task) reachable(ctx context.Context, p Peer) (warning string, err error) {
	ports := []int{p.APIPort}
	if p.Etcd && !t.ExternalEtcd {
		ports = append(ports, etcdClientPort, etcdPeerPort)
	}
	errs := make([]error, len(ports))
	var running sync.WaitGroup
	for i, port := range ports {
		running.Go(func() { errs[i] = t.dial(ctx, p.Address, port) })
	}
	running.Wait()
	var closed []peerPath
	for i, port := range ports {
		if errs[i] != nil {
			closed = append(closed, peerPath{p, port, errs[i]})
		}
	}
	switch {
	case len(closed) == 0:
		return "", nil
	case len(closed) == len(ports) && refused(closed):
		return fmt.Sprintf("control plane %s (%s) runs nothing: it refuses connections to port %s; if it was reset and does not come back, on a healthy control-plane node: hactl node remove %s",
			p.Name, p.Address, numbers(closed), p.Name), nil
	}
	return "", t.unreachable(p, closed)
}

// refused says whether the machine itself closed all of the paths.
func refused(closed []peerPath) bool {
	return !slices.ContainsFunc(closed, func(c peerPath) bool { return !strings.Contains(c.err.Error(), "refused") })
}

// numbers are the ports of the paths.
func numbers(closed []peerPath) string {
	var list []string
	for _, c := range closed {
		list = append(list, strconv.Itoa(c.port))
	}
	return strings.Join(list, ", ")
}

// unreachable tells a peer that is down from a way that is closed.
func (t *Task) unreachable(p Peer, closed []peerPath) error {
	what := fmt.Sprintf("control plane %s (%s) cannot be reached at port %s", p.Name, p.Address, numbers(closed))
	if refused(closed) {
		return fault(what, closed[0].err, fmt.Sprintf("see what runs on %s: crictl ps -a", p.Name),
			"if that machine is gone for good, on a healthy control-plane node: hactl node remove "+p.Name)
	}
	fixes := []string{
		fmt.Sprintf("open the ports between the control planes; try it here: nc -zv %s %d", p.Address, closed[0].port),
		"if that machine is gone for good, on a healthy control-plane node: hactl node remove " + p.Name,
	}
	if other := t.addressTowards(p.Address); other != "" && other != t.AdvertiseAddress.String() {
		fixes = append([]string{"this machine reaches that network by another address: --apiserver-advertise-address " + other}, fixes...)
	}
	return fault(what, closed[0].err, fixes...)
}

func (t *Task) dial(ctx context.Context, a netip.Addr, port int) error {
	ctx, cancel := context.WithTimeout(ctx, peerLimit)
	defer cancel()
	return t.Dial(ctx, t.AdvertiseAddress, net.JoinHostPort(a.String(), strconv.Itoa(port)))
}

// sameNetwork warns when this machine has an address in the network of the
// peers, and would use another one.
func (t *Task) sameNetwork(list []Peer) []string {
	for _, p := range list {
		if other := t.addressTowards(p.Address); other != "" && other != t.AdvertiseAddress.String() {
			return []string{fmt.Sprintf("the control planes speak with each other in the network of %s, where this machine is %s, but it would advertise %s; if that is not meant: --apiserver-advertise-address %s",
				p.Address, other, t.AdvertiseAddress, other)}
		}
	}
	return nil
}

// addressTowards is this machine's own address in the network of a, "" if it
// has none there. The advertised one comes first.
func (t *Task) addressTowards(a netip.Addr) string {
	have, err := t.Interfaces()
	if err != nil {
		return ""
	}
	found := ""
	for _, p := range have {
		if !p.Contains(a) || p.Bits() == 0 {
			continue
		}
		if p.Addr() == t.AdvertiseAddress {
			return p.Addr().String()
		}
		if found == "" {
			found = p.Addr().String()
		}
	}
	return found
}
