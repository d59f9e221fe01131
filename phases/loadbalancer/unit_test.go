package loadbalancer_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hactl/hactl/config/goldentest"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/host"
	"github.com/hactl/hactl/phases/loadbalancer"
)

func TestSyncUnit(t *testing.T) {
	const file = "/etc/systemd/system/hactl-lb-sync.service"
	m := host.NewMemory()
	m.SetService(loadbalancer.SyncUnit, host.ServiceStatus{})
	var actions []host.ServiceAction
	m.HandleService(loadbalancer.SyncUnit, func(a host.ServiceAction) error { actions = append(actions, a); return nil })
	u := &loadbalancer.Unit{
		Host: m, After: "haproxy.service",
		Command: []string{"/opt/my tools/hactl", "lb", "sync", "haproxy", `--kubeconfig=/etc/100%/"$HOME"\lb.conf`},
	}
	list := []phases.Phase[loadbalancer.Unit]{loadbalancer.SyncPhase()}
	for range 2 { // the second time there is nothing to do
		if err := phases.Run(t.Context(), list, u, phases.Options{}); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]host.ServiceAction{host.EnableService, host.RestartService}, actions); diff != "" {
		t.Errorf("actions: -want +got\n%s", diff)
	}
	data, err := m.ReadFile(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	goldentest.Check(t, "sync.service", string(data))

	o := host.NewOverlay(host.NewMemory())
	u.Host = o
	if err := phases.Run(t.Context(), list, u, phases.Options{}); err != nil {
		t.Errorf("a dry run on a host without the unit: %v", err)
	}
}

// Keepalived is right when somebody holds the address, this host or another.
func TestKeepalived(t *testing.T) {
	cases := map[string]struct {
		reason string
		dial   error
		device string
		last   string
	}{
		"Serves":      {"HAProxy accepts at the address", nil, "eth0", "verify finished"},
		"Refuses":     {"the address is held, and HAProxy comes later", syscall.ECONNREFUSED, "eth0", "verify finished"},
		"Nobody":      {"nobody holds it", syscall.EHOSTUNREACH, "eth0", "config undone"},
		"NoInterface": {"another interface", nil, "eth1", "preflight failed"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			h := host.NewMemory()
			for _, program := range []string{"keepalived", "killall", "curl"} {
				h.Handle(program, func([]string) ([]byte, error) { return nil, nil })
			}
			h.SetService("keepalived.service", host.ServiceStatus{})
			task := &loadbalancer.Task{
				Host: h, Program: loadbalancer.Keepalived, Config: []byte("config"), Port: 6443, Limit: 200 * time.Millisecond,
				Address: netip.MustParseAddr("10.0.0.100"), Interface: c.device,
				Interfaces: func() ([]string, error) { return []string{"lo", "eth0"}, nil },
				Dial: func(_ context.Context, _, address string) (net.Conn, error) {
					if address != "10.0.0.100:6443" {
						t.Errorf("asks %s", address)
					}
					if c.dial != nil {
						return nil, &net.OpError{Op: "dial", Err: c.dial}
					}
					a, _ := net.Pipe()
					return a, nil
				},
			}
			ends, err := run(t, task)
			if got := ends[len(ends)-1]; got != c.last || (err == nil) != (c.last == "verify finished") {
				t.Errorf("%s: ends with %q, %v, want %q", c.reason, got, err, c.last)
			}
		})
	}
}

func TestNotInstalled(t *testing.T) {
	for _, p := range []loadbalancer.Program{loadbalancer.HAProxy, loadbalancer.Keepalived, loadbalancer.Nginx} {
		h := host.NewMemory()
		task := &loadbalancer.Task{Host: h, Program: p, Config: []byte("config"), Port: 6443, Listen: func(string) error { return nil }}
		_, err := run(t, task)
		var f *phases.Fault
		if !errors.As(err, &f) || f.Exit != phases.CodePreflight || len(f.Fixes) < 2 {
			t.Errorf("%s is not there: got %v, want how to install it", p, err)
		}
	}
}
