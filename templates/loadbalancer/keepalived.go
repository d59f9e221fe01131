package loadbalancer

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/hactl/hactl/templates/form"
)

// State is how a host begins, in VRRP's words.
type State string

// The states. Exactly one host of a virtual address begins as the first.
const (
	Main   State = "MASTER"
	Backup State = "BACKUP"
)

// Keepalived is what keepalived.conf is made from. All hosts of one virtual
// address have the same parameters but for State, Priority, and Source and
// Peers.
type Keepalived struct {
	// Process is the program that balances here ("haproxy"), Port where it
	// listens.
	Process   string
	Port      uint16
	Check     Check
	Interface string
	State     State
	Priority  int          // 1 to 254, of each host another
	RouterID  int          // 1 to 255, the same on all hosts, of no other VRRP group in the network
	Address   netip.Prefix // the virtual address
	// Source and Peers, if set, are this host's address and those of the
	// others: they talk to each other only, for networks without multicast.
	Source netip.Addr
	Peers  []netip.Addr
	// OfNode says that the file is part of a control plane.
	OfNode bool
	// Penalty is taken from the priority while no API server answers here, so
	// that such a host comes after every one that reaches an API server. Zero
	// is enough for priorities of Priority, Lowest for all there are.
	Penalty int
}

// The priorities of the guide: the first host has the higher one, the last
// the lower one.
const (
	highest = 200
	lowest  = 100
)

// Priority is that of a host by its place among all, from 0: the first has
// 200, the last 100, those between them what is between.
func Priority(place, hosts int) int {
	if hosts < 2 {
		return highest
	}
	return highest - place*(highest-lowest)/(hosts-1)
}

// Render returns the file.
func (k Keepalived) Render() ([]byte, error) {
	if err := errors.Join(
		within("the priority", k.Priority, 254), within("the router ID", k.RouterID, 255)); err != nil {
		return nil, err
	}
	if !k.Address.IsValid() || k.Interface == "" {
		return nil, errors.New("a virtual address needs its network and its interface")
	}
	values := form.Values{
		"OfNode": "", "Process": k.Process, "Fail": " --fail", "Probe": k.probe(), "Weight": strconv.Itoa(k.Weight()),
		"Interface": k.Interface, "State": string(k.State), "Priority": strconv.Itoa(k.Priority),
		"RouterID": strconv.Itoa(k.RouterID), "Unicast": k.unicast(), "Address": k.Address.String(),
	}
	if k.OfNode {
		values["OfNode"] = ofNode
	}
	if k.Check == CheckTCP {
		values["Fail"] = "" // any answer is good enough, not only that of a server that is ready
	}
	return signed("keepalived.conf", values)
}

// unicast names this host and the others, if it is to talk to each of them.
func (k Keepalived) unicast() string {
	if len(k.Peers) == 0 {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "unicast_src_ip %s\nunicast_peer {\n", k.Source)
	for _, p := range k.Peers {
		fmt.Fprintf(&b, "    %s\n", p)
	}
	return b.String() + "}"
}

func within(what string, n, most int) error {
	if n < 1 || n > most {
		return fmt.Errorf("%s is %d, not 1 to %d", what, n, most)
	}
	return nil
}

// Lowest is a Penalty that leaves no host more than priority 1.
const Lowest = 253

// Weight is the penalty. It is more than the priorities of two hosts differ
// by.
func (k Keepalived) Weight() int {
	if k.Penalty != 0 {
		return k.Penalty
	}
	return highest - lowest + 20
}

// Ranks gives each of the hosts a priority of its own, 2 to 254, by its
// address: the lower one has the higher priority. In a network of 253 hosts
// it does not depend on the others, so hosts that come at the same time
// agree; where two would have the same, the second of them has the next.
// Use it with Penalty Lowest.
func Ranks(hosts []netip.Addr) map[netip.Addr]int {
	const least, most = 2, 254
	ranks, taken := map[netip.Addr]int{}, map[int]bool{}
	for _, a := range slices.SortedFunc(slices.Values(hosts), netip.Addr.Compare) {
		if _, known := ranks[a]; known {
			continue
		}
		bytes := a.AsSlice()
		n := (int(bytes[len(bytes)-1]) + most - least) % (most - least + 1)
		for range most - least {
			if !taken[n] {
				break
			}
			n = (n + 1) % (most - least + 1)
		}
		ranks[a], taken[n] = most-n, true
	}
	return ranks
}

// probe is the address to check this host's balancer at.
func (k Keepalived) probe() string {
	host := "127.0.0.1"
	if k.Address.Addr().Is6() {
		host = "[::1]"
	}
	return fmt.Sprintf("https://%s:%d/readyz", host, k.Port)
}
