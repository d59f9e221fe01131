package app

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/host"
)

// balancedMachine is what a control plane that balances for itself has beside
// the rest: HAProxy, Keepalived, and an interface in the nodes' network.
type balancedMachine struct {
	*world
	addr string
	// missing is a program that is not installed.
	missing string
}

// virtual is the endpoint of the clusters in these tests.
const virtual = "10.0.0.100:8443"

// newBalanced gives a machine its programs.
func newBalanced(w *world, addr string) *balancedMachine {
	b := &balancedMachine{world: w, addr: addr}
	for _, name := range []string{"haproxy", "keepalived", "killall", "curl"} {
		w.host.Handle(name, func([]string) ([]byte, error) { return nil, nil })
	}
	w.host.Handle("systemctl", func(argv []string) ([]byte, error) {
		if argv[1] == "disable" {
			status, err := w.host.Services().Status(w.t.Context(), argv[2])
			status.Enabled = false
			w.host.SetService(argv[2], status)
			return nil, err
		}
		return nil, nil
	})
	for _, unit := range []string{"haproxy.service", "keepalived.service", "hactl-lb-sync.service"} {
		w.host.SetService(unit, host.ServiceStatus{})
		w.host.HandleService(unit, func(host.ServiceAction) error { return w.change() })
	}
	return b
}

// with puts the machine's programs in place of what p has.
func (b *balancedMachine) with(p ports) ports {
	p.host = runs{p.host, b}
	p.listen = func(string) error { return nil }
	p.executable = func() (string, error) { return "/usr/local/bin/hactl", nil }
	p.interfaces = func() ([]lbInterface, error) {
		return []lbInterface{{"eth0", []netip.Prefix{netip.MustParsePrefix(b.addr + "/24")}}}, nil
	}
	p.dialTCP = b.dialTCP
	p.resolve = func(_ context.Context, name string) ([]netip.Addr, error) {
		if name == "api.example.com" {
			return []netip.Addr{netip.MustParseAddr("10.0.0.100")}, nil
		}
		return []netip.Addr{netip.MustParseAddr("10.0.0.5")}, nil
	}
	return p
}

// runs is the machine's host with the programs of a load balancer.
type runs struct {
	host.Host
	b *balancedMachine
}

func (r runs) Exec(ctx context.Context, argv ...string) ([]byte, error) {
	return r.b.host.Exec(ctx, argv...)
}

func (r runs) Probe(ctx context.Context, argv ...string) ([]byte, error) {
	if argv[0] == r.b.missing {
		return r.b.host.Probe(ctx, "no-such-program")
	}
	return r.b.host.Probe(ctx, argv...)
}

// active says whether a unit runs.
func (b *balancedMachine) active(unit string) bool {
	status, err := b.host.Services().Status(b.t.Context(), unit)
	return err == nil && status.Active
}

// dialTCP is the network of the machine.
func (b *balancedMachine) dialTCP(_ context.Context, _, address string) (net.Conn, error) {
	up := b.up.Load()
	switch {
	case strings.HasSuffix(address, ":6443") && up:
		return b.serve(), nil
	case address == "127.0.0.1:8443" && !b.active("haproxy.service"),
		address == virtual && !b.active("keepalived.service"), !strings.HasSuffix(address, ":8443"):
		return nil, refusedDial()
	case up:
		return b.serve(), nil
	}
	return nil, errors.New("closed by HAProxy: no server")
}

// balancedInput is that of a cluster without a load balancer of others.
func balancedInput() InitInput {
	in := input()
	c := &in.Config.Cluster
	c.ControlPlaneEndpoint = config.HostPort{Host: "10.0.0.100", Port: 8443}
	c.LoadBalancer = &config.LoadBalancer{VirtualIP: netip.MustParseAddr("10.0.0.100"), Bits: 24}
	return in
}

// init runs Init on the machine.
func (b *balancedMachine) init(in InitInput) (*InitResult, *log, error) {
	l := &log{}
	r, err := initOver(b.t.Context(), b.with(b.ports()), in, func(string) {}, func(e phases.Event) { l.events = append(l.events, e) })
	return r, l, err
}

func (b *balancedMachine) mustInit(in InitInput) *log {
	b.t.Helper()
	_, l, err := b.init(in)
	if err != nil {
		b.t.Fatal(Explain(err))
	}
	return l
}

// text is a file, "" if there is none.
func (b *balancedMachine) text(t *testing.T, path string) string {
	t.Helper()
	data, err := b.host.ReadFile(t.Context(), path)
	if err != nil {
		return ""
	}
	return string(data)
}
