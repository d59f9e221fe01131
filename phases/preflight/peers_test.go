package preflight

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/hactl/hactl/phases"
)

func TestPeers(t *testing.T) {
	timeout := &net.OpError{Op: "dial", Err: errors.New("i/o timeout")}
	refused := &net.OpError{Op: "dial", Err: errors.New("connection refused")}
	peers := []Peer{
		{Name: "cp-1", Address: netip.MustParseAddr("10.0.0.11"), APIPort: 6443, Etcd: true},
		{Name: "cp-3", Address: netip.MustParseAddr("10.1.0.13"), APIPort: 7443, Etcd: true},
	}
	cases := map[string]struct {
		reason   string
		external bool
		closed   map[string]error
		dialed   int
		want     []string // in the error; none: no error
		warning  string
	}{
		"Open":       {"every way is open", false, nil, 6, nil, "10.1.0.12"},
		"Filtered":   {"one port of one peer", false, map[string]error{"10.0.0.11:2380": timeout}, 6, []string{"cp-1", "port 2380", "nc -zv 10.0.0.11 2380", "hactl node remove cp-1"}, "10.1.0.12"},
		"Interface":  {"this machine has an address in the peer's network", false, map[string]error{"10.1.0.13:2379": timeout, "10.1.0.13:2380": timeout}, 6, []string{"cp-3", "2379, 2380", "--apiserver-advertise-address 10.1.0.12"}, "10.1.0.12"},
		"Reset":      {"nothing runs there", false, map[string]error{"10.0.0.11:6443": refused, "10.0.0.11:2379": refused, "10.0.0.11:2380": refused}, 6, nil, "cp-1 (10.0.0.11) runs nothing"},
		"Down":       {"its etcd runs", false, map[string]error{"10.0.0.11:6443": refused}, 6, []string{"crictl ps -a", "hactl node remove cp-1"}, "10.1.0.12"},
		"OwnNetwork": {"etcd is external: its ports are not the peers'", true, map[string]error{"10.0.0.11:2380": timeout}, 2, nil, "10.1.0.12"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			task := &healthy(t).Task
			task.ExternalEtcd = c.external
			task.AdvertiseAddress = netip.MustParseAddr("10.0.0.12")
			task.Interfaces = func() ([]netip.Prefix, error) {
				return []netip.Prefix{netip.MustParsePrefix("10.0.0.12/24"), netip.MustParsePrefix("10.1.0.12/24")}, nil
			}
			task.Peers = func(context.Context) ([]Peer, error) { return peers, nil }
			var mu sync.Mutex
			dialed := 0
			task.Dial = func(_ context.Context, from netip.Addr, address string) error {
				mu.Lock()
				defer mu.Unlock()
				dialed++
				if from != task.AdvertiseAddress {
					return fmt.Errorf("dialed from %s", from)
				}
				return c.closed[address]
			}
			var warnings []string
			err := phases.Run(t.Context(), []phases.Phase[Task]{JoinPhase()}, task, phases.Options{Notify: func(e phases.Event) {
				if e.Kind == phases.Warning {
					warnings = append(warnings, e.Reason)
				}
			}})
			if (err == nil) != (c.want == nil) {
				t.Fatalf("%s: %v", c.reason, err)
			}
			if err != nil {
				text := fmt.Sprint(err, everyFix(err))
				for _, w := range c.want {
					if !strings.Contains(text, w) {
						t.Errorf("%s: %q is missing in %s", c.reason, w, text)
					}
				}
			}
			if dialed != c.dialed {
				t.Errorf("%s: %d connections, want %d", c.reason, dialed, c.dialed)
			}
			if all := strings.Join(warnings, "\n"); !strings.Contains(all, c.warning) {
				t.Errorf("%s: %q is missing in the warnings %s", c.reason, c.warning, all)
			}
		})
	}
}

func everyFix(err error) []string {
	var fixer interface{ Fix() []string }
	if errors.As(err, &fixer) {
		return fixer.Fix()
	}
	return nil
}
