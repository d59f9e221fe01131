package app

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/config/goldentest"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/preflight"
	lbfiles "github.com/hactl/hactl/templates/loadbalancer"
)

const (
	haproxyFile    = "/etc/haproxy/haproxy.cfg"
	keepalivedFile = "/etc/keepalived/keepalived.conf"
	syncFile       = "/etc/systemd/system/hactl-lb-sync.service"
)

// ofBalancing are the ends of phase load-balancer.
func ofBalancing(l *log) map[string]phases.Kind {
	ends := l.ends()
	maps.DeleteFunc(ends, func(path string, _ phases.Kind) bool { return !ofBalancer(path) })
	return ends
}

func allBalancing(k phases.Kind) map[string]phases.Kind {
	return map[string]phases.Kind{"load-balancer/haproxy": k, "load-balancer/keepalived": k, "load-balancer/sync": k}
}

func TestBalancing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBalanced(newWorld(t), "10.0.0.11")
		if diff := cmp.Diff(allBalancing(phases.Finished), ofBalancing(b.mustInit(balancedInput()))); diff != "" {
			t.Errorf("a first run makes everything: -want +got\n%s", diff)
		}
		var all strings.Builder
		for _, file := range []string{haproxyFile, keepalivedFile, syncFile} {
			all.WriteString("# " + file + "\n" + b.text(t, file))
		}
		goldentest.Check(t, "balancing.golden", all.String())
		if _, ok := b.objects()["ConfigMap kube-system/hactl-config"]; !ok {
			t.Errorf("no later node learns of it: %q", slices.Sorted(maps.Keys(b.objects())))
		}
		before, changes := b.snapshot(), b.changes.Load()
		if diff := cmp.Diff(allBalancing(phases.Unchanged), ofBalancing(b.mustInit(balancedInput()))); diff != "" {
			t.Errorf("a second run finds everything: -want +got\n%s", diff)
		}
		if n := b.changes.Load() - changes; n > 0 {
			t.Errorf("a second run changes something %d times:\n%s", n, cmp.Diff(before, b.snapshot()))
		}
		// What a phase alone is not told, the cluster tells.
		in := InitInput{Config: &config.Init{}, Only: []string{"load-balancer"}, Told: []string{}}
		if diff := cmp.Diff(allBalancing(phases.Unchanged), ofBalancing(b.mustInit(in))); diff != "" {
			t.Errorf("alone: -want +got\n%s", diff)
		}
		other := balancedInput()
		other.Config.Cluster.LoadBalancer.RouterID = 7
		if _, _, err := b.init(other); err == nil || Explain(err).Code != phases.CodeUnsafe {
			t.Errorf("another configuration: %v", err)
		}
	})
}

func TestBalancingDryRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBalanced(newWorld(t), "10.0.0.11")
		before := b.snapshot()
		in := balancedInput()
		in.Config.DryRun = true
		r, l, err := b.init(in)
		if err != nil {
			t.Fatal(Explain(err))
		}
		if diff := cmp.Diff(allBalancing(phases.Finished), ofBalancing(l)); diff != "" {
			t.Errorf("-want +got\n%s", diff)
		}
		var told []string
		for _, c := range r.DryRun.Machine {
			if slices.Contains([]string{haproxyFile, keepalivedFile, syncFile}, c.Target) && strings.Contains(c.Content, "hactl") {
				told = append(told, c.Target)
			}
		}
		if diff := cmp.Diff([]string{haproxyFile, keepalivedFile, syncFile}, told); diff != "" {
			t.Errorf("files that are told with their content: -want +got\n%s", diff)
		}
		if diff := cmp.Diff(before, b.snapshot()); diff != "" {
			t.Errorf("a dry run changes: -before +after\n%s", diff)
		}
	})
}

// A run that is killed at any change of the phase is continued by the next.
func TestBalancingKilled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for at := int64(1); ; at++ {
			b := newBalanced(newWorld(t), "10.0.0.11")
			in := balancedInput()
			in.Skip = []string{"load-balancer"}
			b.mustInit(in)
			in = balancedInput()
			in.Only = []string{"load-balancer"}
			b.dead.Store(true)
			b.fuse.Store(at)
			_, _, err := b.init(in)
			survived := b.fuse.Load() > 0
			b.dead.Store(false)
			b.fuse.Store(0)
			if survived {
				if err != nil || at < 8 {
					t.Fatalf("%d changes: %v", at-1, err)
				}
				return
			}
			if err == nil {
				t.Errorf("killed at change %d, it ends well", at)
			}
			b.mustInit(in)
			if diff := cmp.Diff(allBalancing(phases.Unchanged), ofBalancing(b.mustInit(in))); diff != "" {
				t.Errorf("killed at change %d, a third run: -want +got\n%s", at, diff)
			}
			if b.text(t, "/var/lib/hactl/lb/haproxy.pending")+b.text(t, "/var/lib/hactl/lb/keepalived.pending") != "" {
				t.Errorf("killed at change %d: something is never verified", at)
			}
		}
	})
}

func TestBalancingRefused(t *testing.T) {
	cases := map[string]struct {
		reason string
		change func(*balancedMachine, *config.Cluster)
		want   string // in what preflight finds
	}{
		"NoPackage": {"the programs must be there", func(b *balancedMachine, _ *config.Cluster) { b.missing = "haproxy" }, "haproxy is not installed"},
		"Foreign": {"somebody's balancer runs here", func(b *balancedMachine, _ *config.Cluster) { b.file(haproxyFile, "listen web\n", 0o644) },
			"was not written by hactl"},
		"NoInterface": {"the node cannot hold the address", func(_ *balancedMachine, c *config.Cluster) { c.LoadBalancer.Interface = "ens3" },
			"no interface ens3"},
		"Elsewhere": {"clients would not come here", func(_ *balancedMachine, c *config.Cluster) { c.ControlPlaneEndpoint.Host = "lb.example.com" },
			"does not lead to the virtual address"},
		"Name": {"a name leads here", func(_ *balancedMachine, c *config.Cluster) { c.ControlPlaneEndpoint.Host = "api.example.com" }, ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBalanced(newWorld(t), "10.0.0.11")
				in := balancedInput()
				c.change(b, &in.Config.Cluster)
				_, _, err := b.init(in)
				var report *preflight.Report
				switch {
				case c.want == "" && err != nil:
					t.Errorf("%s: %v", c.reason, Explain(err))
				case c.want == "":
				case !errors.As(err, &report) || !strings.Contains(Explain(err).String(), c.want):
					t.Errorf("%s: %v, want a failed check with %q", c.reason, Explain(err), c.want)
				case b.text(t, keepalivedFile) != "":
					t.Errorf("%s: something was written", c.reason)
				}
			})
		})
	}
}

// newBalancedJoin is a machine that joins a cluster which balances for itself.
func newBalancedJoin(t *testing.T) (*joinWorld, *balancedMachine) {
	first := newBalanced(newWorld(t), "10.0.0.11")
	first.mustInit(balancedInput())
	w := newJoinWorldBeside(first.world)
	return w, newBalanced(w.world, "10.0.0.12")
}

func TestBalancingJoin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, b := newBalancedJoin(t)
		l, err := joinOf(w, b, plane())
		if err != nil {
			t.Fatal(Explain(err))
		}
		if diff := cmp.Diff(allBalancing(phases.Finished), ofBalancing(l)); diff != "" {
			t.Errorf("-want +got\n%s", diff)
		}
		own := b.text(t, keepalivedFile)
		if !strings.Contains(own, "priority 243\n") || !strings.Contains(own, "10.0.0.100/24") || !strings.Contains(own, "virtual_router_id 51") {
			t.Errorf("the cluster said it, and the priority is the address's:\n%s", own)
		}
		var names []string
		for _, s := range lbfiles.Servers([]byte(b.text(t, haproxyFile))) {
			names = append(names, s.String())
		}
		if diff := cmp.Diff([]string{"cp-2=10.0.0.12:6443"}, names); diff != "" {
			t.Errorf("the servers, of which the cluster names none yet: -want +got\n%s", diff)
		}
		l, err = joinOf(w, b, plane())
		if err != nil {
			t.Fatal(Explain(err))
		}
		if diff := cmp.Diff(allBalancing(phases.Unchanged), ofBalancing(l)); diff != "" {
			t.Errorf("again: -want +got\n%s", diff)
		}
	})
}

func joinOf(w *joinWorld, b *balancedMachine, in JoinInput) (*log, error) {
	l := &log{}
	_, err := joinOver(w.t.Context(), b.with(w.ports()), in, func(string) {}, func(e phases.Event) { l.events = append(l.events, e) })
	return l, err
}

// A node's own file may name another interface, and nothing else that is
// other than the cluster's.
func TestBalancingJoinTold(t *testing.T) {
	cases := map[string]struct {
		reason string
		told   config.LoadBalancer
		want   string // in what preflight finds
	}{
		"Interface": {"it is the node's own", config.LoadBalancer{Interface: "eth0"}, ""},
		"RouterID":  {"two groups would hold the address", config.LoadBalancer{RouterID: 7}, "loadBalancer.routerID: this node is told 7, the cluster has 51"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, b := newBalancedJoin(t)
				in := plane()
				in.Config.LoadBalancer = &c.told
				_, err := joinOf(w, b, in)
				if c.want == "" && err != nil {
					t.Errorf("%s: %v", c.reason, Explain(err))
				}
				if c.want != "" && (err == nil || !strings.Contains(Explain(err).String(), c.want)) {
					t.Errorf("%s: %v, want %q", c.reason, err, c.want)
				}
			})
		})
	}
}

// A worker has none, and a cluster that does not balance wants none.
func TestBalancingJoinWithout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, b := newBalancedJoin(t)
		l, err := joinOf(w, b, worker())
		if err != nil {
			t.Fatal(Explain(err))
		}
		if ends := ofBalancing(l); len(ends) > 0 || b.text(t, haproxyFile) != "" {
			t.Errorf("a worker balances: %v", ends)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		w := newJoinWorld(t)
		in := plane()
		in.Config.LoadBalancer = &config.LoadBalancer{RouterID: 7}
		if _, _, err := w.join(t.Context(), in, nil); err == nil || !strings.Contains(Explain(err).String(), "the cluster has none") {
			t.Errorf("a cluster behind others' balancer: %v", err)
		}
	})
}
