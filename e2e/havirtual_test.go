//go:build e2e

package e2e

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hactl/hactl/e2e/nodes"
)

// TestHighAvailability follows the page on virtual addresses, from files
// alone: three control planes that balance for themselves and a worker. The
// one with the address fails and comes back. The subtests run in order.
func TestHighAvailability(t *testing.T) {
	lab := start(t, nodes.Options{Name: "ha", ControlPlanes: 3, Workers: 1})
	h := &highAvailability{page: openPage(t, lab, "virtual-address.md"), balancers: balancers{
		lab: lab, cp: lab.Node("worker-1"), hosts: []*nodes.Node{lab.Node("cp-1"), lab.Node("cp-2"), lab.Node("cp-3")},
		vip: nodes.SpareAddress.String(), endpoint: nodes.SpareAddress.String() + ":8443",
	}}
	for _, sub := range []struct {
		name string
		test func(*testing.T)
	}{
		{"Init", h.first},
		{"Join", h.join},
		{"Again", h.again},
		{"Takeover", h.takeover},
		{"Leaves", h.resets},
	} {
		if !t.Run(sub.name, sub.test) {
			return
		}
	}
}

// TestHighAvailabilityUnicast makes such a cluster by flags, with a name as
// the endpoint, where the control planes name each other: each that joins or
// leaves becomes, or ends to be, a peer of the others.
func TestHighAvailabilityUnicast(t *testing.T) {
	lab := start(t, nodes.Options{Name: "haunicast", ControlPlanes: 3, Workers: 1})
	h := &highAvailability{balancers: balancers{
		lab: lab, cp: lab.Node("worker-1"), hosts: []*nodes.Node{lab.Node("cp-1"), lab.Node("cp-2"), lab.Node("cp-3")},
		vip: nodes.SpareAddress.String(), endpoint: "api.example.com:8443",
	}}
	for _, n := range lab.Nodes() {
		must(t, n, "sh", "-c", "echo '"+h.vip+" api.example.com' >> /etc/hosts")
	}
	o := hactl(t, lab.Node("cp-1"), "init", "--control-plane-endpoint", h.endpoint, "--virtual-ip", h.vip, "--virtual-ip-unicast",
		"--virtual-router-id", "77", "--upload-certs", "--pod-network-cidr", podCIDR, "-o", "json")
	if o.code != 0 {
		t.Fatalf("exit code %d\n%s%s", o.code, o.stdout, o.stderr)
	}
	result(t, o.stdout, &h.result)
	joinAtOnce(t, lab, h.result, "cp-2", "cp-3")
	network(t, lab)
	h.balanced(t, "cp-1", "cp-2", "cp-3")
	for i, n := range h.hosts {
		var want []string
		for k, other := range h.hosts {
			if k != i {
				want = append(want, other.Address().String())
			}
		}
		got := must(t, n, "sed", "-n", "/unicast_peer/,/}/p", "/etc/keepalived/keepalived.conf")
		for _, peer := range want {
			if !strings.Contains(got, peer) {
				t.Errorf("%s does not know %s:\n%s", n.Name(), peer, got)
			}
		}
	}
	h.alone(t)
	n := h.holder(t)
	g := h.measure(t, func() {
		if err := n.PowerOff(t.Context()); err != nil {
			t.Error(err)
		}
	})
	t.Logf("%s off: cut off for %.1f s, then %s had the address", n.Name(), g.Seconds, called(h.holder(t)))
	if g.Seconds > limitFailover {
		t.Errorf("the limit is %.1f s", limitFailover)
	}
}

// alone waits until one control plane has the address, and no other.
func (h *highAvailability) alone(t *testing.T) {
	t.Helper()
	eventually(t, 10*time.Second, "one holds the address", func() (bool, string) {
		var holders []string
		for _, n := range h.hosts {
			if n.Running() && strings.Contains(must(t, n, "ip", "-o", "address"), " "+h.vip+"/") {
				holders = append(holders, n.Name())
			}
		}
		return len(holders) == 1, strings.Join(holders, ", ")
	})
}

type highAvailability struct {
	balancers
	page *page
}

func (h *highAvailability) first(t *testing.T) {
	h.page.section(t, "1. The first control plane")
	h.check(t, check{want: "good", address: h.endpoint})
	if n := h.holder(t); n == nil || n.Name() != "cp-1" {
		t.Errorf("cp-1 is alone, and the address is held by %s", called(n))
	}
}

// join lets all join at once: the address answers all the time.
func (h *highAvailability) join(t *testing.T) {
	g := h.measure(t, func() { h.page.section(t, "2. The others") })
	t.Logf("while three nodes joined, clients were cut off for %.1f s", g.Seconds)
	if g.Seconds > limitFailover {
		t.Errorf("the limit is %.1f s", limitFailover)
	}
	network(t, h.lab)
	h.balanced(t, "cp-1", "cp-2", "cp-3")
	h.page.section(t, "What runs on a control plane")
	priorities := map[string]bool{}
	for _, n := range h.hosts {
		priorities[must(t, n, "grep", "-E", "^ +priority", "/etc/keepalived/keepalived.conf")] = true
	}
	if len(priorities) != len(h.hosts) {
		t.Errorf("the priorities are not unequal: %v", priorities)
	}
	if h.ours(t, h.lab.Node("worker-1")) {
		t.Error("the worker has a load balancer")
	}
}

// ours says whether a node has files of a load balancer that hactl made.
func (h *highAvailability) ours(t *testing.T, n *nodes.Node) bool {
	t.Helper()
	return run(t, n, "sh", "-c", "grep -lq 'Written by hactl' /etc/haproxy/haproxy.cfg /etc/keepalived/keepalived.conf /etc/systemd/system/hactl-lb-sync.service").code == 0
}

// balanced waits until all control planes that run pass connections on to
// these.
func (h *highAvailability) balanced(t *testing.T, names ...string) {
	t.Helper()
	all := h.hosts
	defer func() { h.hosts = all }()
	h.hosts = slices.DeleteFunc(slices.Clone(all), func(n *nodes.Node) bool { return !slices.Contains(names, n.Name()) })
	h.lists(t, names...)
}

// again runs the phase on nodes that have it: nothing changes.
func (h *highAvailability) again(t *testing.T) {
	for name, args := range map[string][]string{
		"cp-1": {"init", "phase", "load-balancer", "all", "--config=/root/cluster.yaml"},
		"cp-2": {"join", "phase", "load-balancer", "all", "--control-plane"},
	} {
		n := h.lab.Node(name)
		before := h.running(t, n)
		o := hactl(t, n, append(args, "-o", "json")...)
		if o.code != 0 {
			t.Fatalf("%s: exit code %d\n%s%s", name, o.code, o.stdout, o.stderr)
		}
		for _, e := range events(t, o.stdout) {
			if strings.HasPrefix(e.Phase, "load-balancer/") && e.Kind == "finished" {
				t.Errorf("%s: %s has changed something", name, e.Phase)
			}
		}
		if after := h.running(t, n); after != before {
			t.Errorf("%s before\n%s\nafter\n%s", name, before, after)
		}
	}
}

// takeover takes the power of the control plane with the address, and gives
// it back.
func (h *highAvailability) takeover(t *testing.T) {
	rounds := 2
	if soak() {
		rounds = 10
	}
	worst := 0.0
	for round := range rounds {
		n := h.holder(t)
		if n == nil {
			t.Fatal("nobody holds the address")
		}
		off := h.measure(t, func() {
			if err := n.PowerOff(t.Context()); err != nil {
				t.Error(err)
			}
		})
		taken := h.holder(t)
		on := h.measure(t, func() {
			if err := n.Boot(t.Context()); err != nil {
				t.Error(err)
			}
		})
		t.Logf("round %d: %s off: cut off for %.1f s, then %s had the address; %s on again: %.1f s",
			round+1, n.Name(), off.Seconds, called(taken), n.Name(), on.Seconds)
		if worst = max(worst, off.Seconds, on.Seconds); worst > limitFailover {
			t.Errorf("the limit is %.1f s", limitFailover)
		}
		eventually(t, 60*time.Second, n.Name()+" serves again", func() (bool, string) {
			o := run(t, n, "systemctl", "is-active", "haproxy", "keepalived", "hactl-lb-sync")
			ready := run(t, n, "curl", "-skf", "https://"+n.Address().String()+":6443/readyz")
			return o.code == 0 && ready.code == 0, o.stdout + ready.stdout
		})
		h.balanced(t, "cp-1", "cp-2", "cp-3")
	}
	t.Logf("%d times off and on: cut off for %.1f s at most", rounds, worst)
}

func called(n *nodes.Node) string {
	if n == nil {
		return "nobody"
	}
	return n.Name()
}

// resets takes the control plane with the address out of the cluster: the
// address moves, and nobody edits a list.
func (h *highAvailability) resets(t *testing.T) {
	n := h.holder(t)
	g := h.measure(t, func() {
		if o := hactl(t, n, "reset", "--force"); o.code != 0 {
			t.Errorf("reset: exit code %d\n%s%s", o.code, o.stdout, o.stderr)
		}
	})
	t.Logf("%s, which had the address, was reset: cut off for %.1f s", n.Name(), g.Seconds)
	if g.Seconds > limitFailover {
		t.Errorf("the limit is %.1f s", limitFailover)
	}
	if h.ours(t, n) {
		t.Error("the load balancer of the node is still there")
	}
	var left []string
	for _, other := range h.hosts {
		if other != n {
			left = append(left, other.Name())
		}
	}
	h.balanced(t, left...)
	if now := h.holder(t); now == nil || now == n {
		t.Errorf("the address is held by %s", called(now))
	}
}
