//go:build e2e

package e2e

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hactl/hactl/e2e/nodes"
)

// limitRefused is how long a join may take to say that it cannot end well.
const limitRefused = 10 * time.Second

// TestJoin makes a cluster of three control planes and a worker, loses a
// control plane, and gets another one. The subtests run in order.
func TestJoin(t *testing.T) {
	lab := start(t, nodes.Options{Name: "join", ControlPlanes: 4, Workers: 1, LoadBalancers: 1})
	cp := lab.Node("cp-1")
	p := openPage(t, lab, "stacked-etcd.md")
	p.section(t, "1. The first control plane")
	r := p.joins(t, lab.Endpoint())
	w := writes(t, cp, lab.Endpoint())
	defer w.end()
	if !t.Run("AtOnce", func(t *testing.T) { p.atOnce(t, "2. The others") }) {
		return
	}
	network(t, lab)
	t.Run("Members", func(t *testing.T) { healthyMembers(t, cp, "cp-1", "cp-2", "cp-3") })
	t.Run("Again", func(t *testing.T) { joinAgain(t, lab, r, "cp-2", "worker-1") })
	t.Run("Status", func(t *testing.T) { p.section(t, "3. What there is") })
	t.Run("OneDead", func(t *testing.T) { oneDead(t, p, r) })
	t.Run("Reset", func(t *testing.T) { resets(t, lab) })
}

// joinAtOnce starts all joins in the same second.
func joinAtOnce(t *testing.T, lab *nodes.Lab, r initResult, names ...string) {
	began := time.Now()
	var running sync.WaitGroup
	for _, name := range names {
		running.Go(func() {
			o := mustJoin(t, lab.Node(name), r)
			t.Logf("%s joined in %.1f s", name, o.took.Seconds())
		})
	}
	running.Wait()
	t.Logf("all joins took %.1f s", time.Since(began).Seconds())
}

// joinAgain runs the same command on nodes that have joined: nothing changes.
func joinAgain(t *testing.T, lab *nodes.Lab, r initResult, names ...string) {
	// These look at the cluster or the node each time, or only hold others.
	looks := strings.Fields(`discovery preflight wait-control-plane control-plane-prepare control-plane-prepare/certs
		control-plane-prepare/kubeconfig control-plane-prepare/control-plane control-plane-join`)
	for _, name := range names {
		n := lab.Node(name)
		before := machineFiles(t, n)
		o := mustJoin(t, n, r, "-o", "json")
		t.Logf("%s again took %.1f s", name, o.took.Seconds())
		for _, e := range events(t, o.stdout) {
			if e.Kind == "finished" && !slices.Contains(looks, e.Phase) {
				t.Errorf("%s again: %s has done something", name, e.Phase)
			}
		}
		if diff := cmp.Diff(before, machineFiles(t, n)); diff != "" {
			t.Errorf("%s again: -before +after\n%s", name, diff)
		}
	}
}

// remove takes a lost node out of the cluster.
func remove(t *testing.T, from *nodes.Node, name string) {
	t.Helper()
	o := hactl(t, from, "node", "remove", name)
	if o.code != 0 {
		t.Fatalf("node remove %s: exit code %d\n%s%s", name, o.code, o.stdout, o.stderr)
	}
	t.Logf("node remove %s took %.1f s", name, o.took.Seconds())
}

// resets takes a joined control plane out of the cluster by itself.
func resets(t *testing.T, lab *nodes.Lab) {
	n, cp := lab.Node("cp-4"), lab.Node("cp-1")
	o := hactl(t, n, "reset", "--force")
	if o.code != 0 {
		t.Fatalf("reset: exit code %d\n%s%s", o.code, o.stdout, o.stderr)
	}
	t.Logf("the reset took %.1f s\n%s%s", o.took.Seconds(), o.stdout, o.stderr)
	isClean(t, n)
	healthyMembers(t, cp, "cp-1", "cp-2")
}

// oneDead loses cp-3: a join is refused in seconds with the command that
// helps, which then does.
func oneDead(t *testing.T, p *page, r initResult) {
	lab := p.lab
	cp, dead := lab.Node("cp-1"), lab.Node("cp-3")
	if err := dead.PowerOff(t.Context()); err != nil {
		t.Fatal(err)
	}
	if o := hactl(t, cp, "status"); o.code != 1 || o.took > 5*time.Second || !strings.Contains(o.stdout, "hactl node remove cp-3") {
		t.Errorf("status with a dead member: exit code %d after %.1f s\n%s%s", o.code, o.took.Seconds(), o.stdout, o.stderr)
	}
	o := joins(t, lab.Node("cp-4"), r)
	if o.code == 0 || o.took > limitRefused || !strings.Contains(o.stderr, "hactl node remove cp-3") {
		t.Errorf("join with a dead member: exit code %d after %.1f s\n%s%s", o.code, o.took.Seconds(), o.stdout, o.stderr)
	}
	t.Logf("the join was refused after %.1f s", o.took.Seconds())
	healthyMembers(t, cp, "cp-1", "cp-2", "cp-3")
	p.section(t, "When a control plane is lost")
	healthyMembers(t, cp, "cp-1", "cp-2")
	t.Run("DryRun", func(t *testing.T) { dryJoinTellsAll(t, lab.Node("cp-4"), cp, joinCommand(r, lab.Node("cp-4"))) })
	healthyMembers(t, cp, "cp-1", "cp-2", "cp-4")
	if got := kubectl(t, cp, "get", "node", "cp-3", "--ignore-not-found", "-o", "name"); got != "" {
		t.Errorf("%s is still there", got)
	}
}
