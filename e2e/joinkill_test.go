//go:build e2e

package e2e

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hactl/hactl/e2e/nodes"
)

// joinPoints are spread over a whole join of a control plane: both ends of
// every phase, and moments inside those that write or wait. Inside etcd-join
// the member is added, started, in sync, and given its vote.
func joinPoints() []point {
	list := around([]string{
		"discovery", "preflight", "control-plane-prepare/download-certs", "control-plane-prepare/certs",
		"control-plane-prepare/kubeconfig", "control-plane-prepare/control-plane", "kubelet-start",
	})
	list = append(list, inside("etcd-join", 1, 50, 100, 200, 300, 450, 600, 800, 1000, 1300, 1600, 2000)...)
	list = append(list, point{"etcd-join", "finished", 0})
	list = append(list, around([]string{"control-plane-join/mark-control-plane"})...)
	list = append(list, inside("wait-control-plane", 1, 300, 1000)...)
	return list
}

// resetPoints are the same of a reset.
func resetPoints() []point {
	list := around([]string{"preflight"})
	list = append(list, inside("remove-etcd-member", 1, 20, 50, 100, 150, 200, 300)...)
	list = append(list, point{"remove-etcd-member", "finished", 0})
	var later []int
	for ms := 5; ms < 600; ms = ms*7/6 + 1 {
		later = append(later, ms)
	}
	return append(list, inside("cleanup-node", later...)...)
}

// around are both ends of the phases.
func around(phases []string) []point {
	var list []point
	for _, p := range phases {
		list = append(list, point{p, "started", 0}, point{p, "finished", 0})
	}
	return list
}

// inside are moments of a phase, in milliseconds after its begin.
func inside(phase string, later ...int) []point {
	list := []point{{phase, "started", 0}}
	for _, ms := range later {
		list = append(list, point{phase, "started", time.Duration(ms) * time.Millisecond})
	}
	return list
}

// TestJoinKill ends joins and resets of a control plane at many moments, in
// several ways, and runs the same command again: each join ends with exactly
// the right members, each reset with a clean node and without its member.
// Another control plane answers writes all the time.
func TestJoinKill(t *testing.T) {
	controlPlanes := 2
	if soak() {
		controlPlanes = 3
	}
	lab := start(t, nodes.Options{Name: "joinkill", ControlPlanes: controlPlanes, LoadBalancers: 1})
	r := initialized(t, lab)
	if err := lab.PodNetwork(t.Context(), podCIDR); err != nil {
		t.Fatal(err)
	}
	k := &killing{lab: lab, node: lab.Node(fmt.Sprintf("cp-%d", controlPlanes)), r: r}
	for i := 1; i <= controlPlanes; i++ {
		k.with = append(k.with, fmt.Sprintf("cp-%d", i))
	}
	k.without = k.with[:controlPlanes-1]
	if soak() {
		mustJoin(t, lab.Node("cp-2"), r)
	}
	w := writes(t, lab.Node("cp-1"), lab.Endpoint())
	defer w.end()
	t.Run("Interrupt", k.interruptJoin)
	t.Run("PowerCut", k.powerCutJoin)
	joins, resets := some(t, joinPoints()), some(t, resetPoints())
	for i := range max(len(joins), len(resets)) {
		p, q := joins[i%len(joins)], resets[i%len(resets)]
		if !t.Run("Join/"+p.String(), func(t *testing.T) { k.join(t, p) }) {
			k.startOver(t)
			continue
		}
		if !t.Run("Reset/"+q.String(), func(t *testing.T) { k.reset(t, q) }) {
			k.startOver(t)
		}
	}
	t.Logf("%d joins and %d resets were killed", k.joins, k.resets)
	if least := 3; k.joins < least || k.resets < least || soak() && min(k.joins, k.resets) < 30 {
		t.Error("too few were killed in time")
	}
}

// killing is a cluster that one node joins and leaves again and again.
type killing struct {
	lab           *nodes.Lab
	node          *nodes.Node
	r             initResult
	with, without []string // the members with the node and without it

	joins, resets int // how many were killed
}

// join kills a join and runs it again.
func (k *killing) join(t *testing.T, p point) {
	o := cut(t, k.node, p, func(r *running) { r.signal(syscall.SIGKILL) }, k.joinArgs()...)
	k.joins += killed(t, o)
	k.joined(t)
}

// killed counts a run that was killed. A moment behind the end of the run
// comes too late on a fast machine.
func killed(t *testing.T, o outcome) int {
	t.Helper()
	switch o.code {
	case 128 + int(syscall.SIGKILL):
		return 1
	case 0:
		t.Log("the run had ended already")
	default:
		t.Fatalf("exit code %d\n%s%s", o.code, o.stdout, o.stderr)
	}
	return 0
}

func (k *killing) joinArgs() []string { return append(joinCommand(k.r, k.node)[1:], "-o", "json") }

// joined runs the same join again and looks at the cluster.
func (k *killing) joined(t *testing.T) {
	t.Helper()
	o := mustJoin(t, k.node, k.r)
	if t.Failed() {
		t.FailNow()
	}
	t.Logf("the second run took %.1f s", o.took.Seconds())
	cp := k.lab.Node("cp-1")
	healthyMembers(t, cp, k.with...)
	// Its own API server, which answers from its own member of etcd.
	own := "https://" + k.node.Address().String() + ":6443"
	if got := kubectl(t, k.node, "--server", own, "get", "--raw", "/readyz"); got != "ok" {
		t.Errorf("/readyz answers %q", got)
	}
	if left := must(t, k.node, "find", "/", "-xdev", "-name", "*.hactl-*"); left != "" {
		t.Errorf("half-written files are left: %s", left)
	}
	node := kubectl(t, cp, "get", "node", k.node.Name(), "-o", "jsonpath={.metadata.labels}{.spec.taints}")
	if !strings.Contains(node, "node-role.kubernetes.io/control-plane") || !strings.Contains(node, "NoSchedule") {
		t.Errorf("the node has the labels and taints %s", node)
	}
}

// reset kills a reset and runs it again.
func (k *killing) reset(t *testing.T, p point) {
	o := cut(t, k.node, p, func(r *running) { r.signal(syscall.SIGKILL) }, "reset", "--force", "-o", "json")
	k.resets += killed(t, o)
	if o := hactl(t, k.node, "reset", "--force"); o.code != 0 {
		t.Fatalf("the second run: exit code %d\n%s%s", o.code, o.stdout, o.stderr)
	}
	k.left(t)
}

// left wants the node to be clean and its member to be gone.
func (k *killing) left(t *testing.T) {
	t.Helper()
	isClean(t, k.node)
	backups := must(t, k.node, "sh", "-c", "ls -d /var/lib/etcd/backup-* /var/lib/etcd-backup-* 2>/dev/null; rm -rf /var/lib/etcd/backup-* /var/lib/etcd-backup-*")
	if len(strings.Fields(backups)) != 1 {
		t.Errorf("the data of etcd was moved to %q", backups)
	}
	cp := k.lab.Node("cp-1")
	healthyMembers(t, cp, k.without...)
	if got := kubectl(t, cp, "get", "--raw", "/readyz"); got != "ok" {
		t.Errorf("/readyz answers %q", got)
	}
}

// startOver makes the node a new one after a failure.
func (k *killing) startOver(t *testing.T) {
	wipe(t, k.lab, k.node)
	hactl(t, k.lab.Node("cp-1"), "node", "remove", k.node.Name(), "--force")
}

// interruptJoin presses Ctrl-C inside etcd-join: what others can see of it is
// taken back.
func (k *killing) interruptJoin(t *testing.T) {
	o := cut(t, k.node, point{"etcd-join", "started", 300 * time.Millisecond}, func(r *running) { r.signal(syscall.SIGINT) }, k.joinArgs()...)
	if o.code != 130 {
		t.Errorf("exit code %d, want 130\n%s%s", o.code, o.stdout, o.stderr)
	}
	healthyMembers(t, k.lab.Node("cp-1"), k.without...)
	k.joined(t)
}

// powerCutJoin takes the node's power in the same place. The node leaves as
// one whose machine is lost.
func (k *killing) powerCutJoin(t *testing.T) {
	if o := hactl(t, k.node, "reset", "--force"); o.code != 0 {
		t.Fatalf("reset: exit code %d\n%s%s", o.code, o.stdout, o.stderr)
	}
	k.left(t)
	cut(t, k.node, point{"etcd-join", "started", 600 * time.Millisecond}, func(*running) {
		if err := k.node.PowerOff(t.Context()); err != nil {
			t.Error(err)
		}
	}, k.joinArgs()...)
	if err := k.node.Boot(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := k.lab.PodNetwork(t.Context(), podCIDR); err != nil {
		t.Fatal(err)
	}
	k.joined(t)
	if o := hactl(t, k.node, "reset", "--force"); o.code != 0 {
		t.Fatalf("reset: exit code %d\n%s%s", o.code, o.stdout, o.stderr)
	}
	k.left(t)
}
