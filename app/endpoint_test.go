package app

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases"
)

// deaf is a balancer whose packets nobody answers.
func deaf(ctx context.Context) (net.Conn, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// absent is a balancer that nobody made yet.
func absent(context.Context) (net.Conn, error) { return nil, refusedDial() }

// beside makes a cluster of its own, which answers at a balancer.
func beside(t *testing.T) func(context.Context) (net.Conn, error) {
	other := newWorld(t)
	other.must(input())
	return func(context.Context) (net.Conn, error) { return other.serve(), nil }
}

// aboutEndpoint are the warnings about the control-plane endpoint, before and
// after.
func (l *log) aboutEndpoint() (list []string) {
	for _, e := range l.events {
		if e.Kind == phases.Warning && (e.Phase == endpointPhase || strings.Contains(e.Reason, "LoadBalancer: ")) {
			list = append(list, e.Phase+": "+e.Reason)
		}
	}
	return list
}

// A cluster that has the endpoint already is found before anything is
// written, in a dry run as well.
func TestInitEndpointTaken(t *testing.T) {
	for _, dry := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.balancer = beside(t)
			in := input()
			in.Config.DryRun = dry
			w.refused(in, phases.CodePreflight, "LoadBalancer: another cluster", "--control-plane-endpoint")

			in = input()
			in.Config.DryRun, in.Config.Node.IgnorePreflight = dry, []string{"LoadBalancer"}
			_, l, err := w.init(t.Context(), in, nil)
			if err != nil {
				t.Fatal(Explain(err))
			}
			want := []string{"preflight: ignored: LoadBalancer: another cluster"}
			if !dry {
				want = append(want, "control-plane-endpoint: lb.example.com:6443 does not lead to the cluster: cp-1 is of another cluster")
			}
			if got := l.aboutEndpoint(); len(got) != len(want) || !strings.HasPrefix(got[0], want[0]) || !strings.HasPrefix(got[len(got)-1], want[len(want)-1]) {
				t.Errorf("ignored (dry run: %t): told %q, want %q", dry, got, want)
			}
		})
	}
}

// Two machines must not make the same cluster twice.
func TestInitEndpointOfSameCA(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := newWorld(t)
		first.must(input())
		w := newWorld(t)
		w.balancer = func(context.Context) (net.Conn, error) { return first.serve(), nil }
		for _, name := range []string{"ca.crt", "ca.key"} {
			w.file("/etc/kubernetes/pki/"+name, string(first.mustRead("/etc/kubernetes/pki/"+name)), 0o600)
		}
		w.refused(input(), phases.CodePreflight, "is up already", "hactl token create --control-plane")
	})
}

// The endpoint leads to the cluster when a run ends, or there is one warning.
func TestInitEndpoint(t *testing.T) {
	cases := map[string]struct {
		reason   string
		balancer func(context.Context) (net.Conn, error)
		change   func(*config.Init)
		warns    []string      // each begins with its phase
		longer   time.Duration // than with a balancer that is there
	}{
		"There":  {reason: "nothing to say, and nothing to wait for"},
		"Absent": {reason: "the balancer may come later", balancer: absent, warns: []string{"control-plane-endpoint: lb.example.com:6443 does not lead"}, longer: 3 * time.Second},
		"Silent": {
			reason: "what is said before and after are two things", balancer: deaf, longer: 5 * time.Second,
			warns: []string{"preflight: LoadBalancer: nobody answers", "control-plane-endpoint: lb.example.com:6443 does not lead"},
		},
		"None": {reason: "a cluster without a common address", balancer: deaf, change: func(c *config.Init) { c.Cluster.ControlPlaneEndpoint = config.HostPort{} }},
		"Own":  {reason: "this node's own API server", balancer: deaf, change: func(c *config.Init) { c.Cluster.ControlPlaneEndpoint = config.HostPort{Host: "10.0.0.11"} }},
	}
	var usual time.Duration
	synctest.Test(t, func(t *testing.T) { usual = timed(func() { newWorld(t).must(input()) }) })
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.balancer = c.balancer
				in := input()
				if c.change != nil {
					c.change(in.Config)
				}
				var l *log
				took := timed(func() {
					var err error
					if _, l, err = w.init(t.Context(), in, nil); err != nil {
						t.Fatal(Explain(err))
					}
				})
				wantWarnings(t, c.reason, l, c.warns...)
				if took > usual+c.longer {
					t.Errorf("%s: took %s, want at most %s more than %s", c.reason, took, c.longer, usual)
				}
			})
		})
	}
}

func timed(f func()) time.Duration {
	began := time.Now()
	f()
	return time.Since(began)
}

func wantWarnings(t *testing.T, reason string, l *log, want ...string) {
	t.Helper()
	got := l.aboutEndpoint()
	if len(got) != len(want) {
		t.Errorf("%s: told %q, want %q", reason, got, want)
		return
	}
	for i := range want {
		if !strings.HasPrefix(got[i], want[i]) || !strings.Contains(got[i], "fix  ") {
			t.Errorf("%s: told %q, want %q and how to mend it", reason, got[i], want[i])
		}
	}
}

// A name that leads to this node too is judged by its other addresses.
func TestEndpointElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		p := w.ports()
		p.resolve = func(context.Context, string) ([]netip.Addr, error) {
			return []netip.Addr{netip.MustParseAddr("10.0.0.11"), netip.MustParseAddr("10.0.0.12")}, nil
		}
		m := newMachine(p, false)
		c := input().Config
		c.Local.Port = 6443
		list, err := m.elsewhere(c)(t.Context(), "lb.example.com")
		if err != nil || len(list) != 1 || list[0].String() != "10.0.0.12" {
			t.Errorf("elsewhere is %v, %v", list, err)
		}
		c.Cluster.ControlPlaneEndpoint.Port = 8443 // of a balancer on this node
		if list, _ = m.elsewhere(c)(t.Context(), "lb.example.com"); len(list) != 2 {
			t.Errorf("behind another port is %v", list)
		}
	})
}

// A control plane that joins looks, too; a worker and a dry run do not.
func TestJoinEndpoint(t *testing.T) {
	const warning = "control-plane-endpoint: lb.example.com:6443 does not lead"
	cases := map[string]struct {
		reason string
		in     JoinInput
		absent bool
		warns  []string
	}{
		"There":  {reason: "nothing to say", in: plane()},
		"Absent": {reason: "other nodes and users will not get in", in: plane(), absent: true, warns: []string{warning}},
		"Worker": {reason: "it could not have joined", in: worker(), absent: true},
		"DryRun": {reason: "nothing was made", in: with(plane(), func(c *config.JoinNode) { c.DryRun = true }), absent: true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newJoinWorld(t)
				if c.absent {
					w.balancer = absent
				}
				wantWarnings(t, c.reason, w.mustJoin(c.in), c.warns...)
			})
		})
	}
}
