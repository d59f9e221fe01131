//go:build e2e

package e2e

import (
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hactl/hactl/e2e/nodes"
)

// dryJoinTellsAll compares what the dry run of a join has announced with what
// the real join then changes: files, services, objects and members of etcd.
// The API is asked on a control plane.
func dryJoinTellsAll(t *testing.T, n, cp *nodes.Node, command []string) {
	t.Helper()
	before, unitsBefore, objectsBefore, membersBefore := machineFiles(t, n), units(t, n), byHactl(t, cp), memberNames(t, cp)
	dry := run(t, n, append(command, "--dry-run", "-o", "json")...)
	if dry.code != 0 {
		t.Fatalf("dry run: exit code %d\n%s%s", dry.code, dry.stdout, dry.stderr)
	}
	if diff := cmp.Diff(before, machineFiles(t, n)); diff != "" {
		t.Errorf("the dry run changed the machine: -before +after\n%s", diff)
	}
	if diff := cmp.Diff(objectsBefore, byHactl(t, cp)); diff != "" {
		t.Errorf("the dry run changed objects: -before +after\n%s", diff)
	}
	if got := memberNames(t, cp); got != membersBefore {
		t.Errorf("the dry run changed the members %s to %s", membersBefore, got)
	}
	o := run(t, n, append(command, "-o", "json")...)
	if o.code != 0 {
		t.Fatalf("exit code %d\n%s%s", o.code, o.stdout, o.stderr)
	}
	t.Logf("the dry run took %.1f s, the join %.1f s", dry.took.Seconds(), o.took.Seconds())
	var a announced
	result(t, dry.stdout, &a)
	for i, c := range a.DryRun.Machine {
		if c.Target == "/etc/kubernetes/bootstrap-kubelet.conf" {
			// It lets the kubelet in once, which then writes the other.
			a.DryRun.Machine[i].Target = "/etc/kubernetes/kubelet.conf"
		}
	}
	member := slices.ContainsFunc(a.DryRun.Objects, func(c struct{ Verb, Kind, Namespace, Name string }) bool { return c.Kind == "etcd member" })
	if control := strings.Contains(strings.Join(command, " "), "--control-plane"); member != control {
		t.Errorf("a member of etcd is announced: %t, want %t", member, control)
	}
	t.Logf("%d files have changed", sameFiles(t, a, before, machineFiles(t, n)))
	sameServices(t, n, a, unitsBefore, units(t, n))
	sameChanges(t, a, objectsBefore, byHactl(t, cp))
}

// byHactl is what hactl has written of each object, by the object's name.
func byHactl(t *testing.T, cp *nodes.Node) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, o := range list(t, cp, kinds+",leases", "--show-managed-fields") {
		entries, _ := o["metadata"].(object)["managedFields"].([]any)
		for _, e := range entries {
			if e := e.(object); e["manager"] == "hactl" {
				out[nameOf(o)] += text(t, e)
			}
		}
	}
	return out
}

// sameChanges compares the objects that the join has written.
func sameChanges(t *testing.T, a announced, before, after map[string]string) {
	t.Helper()
	want, got := map[string]bool{}, map[string]bool{}
	for _, c := range a.DryRun.Objects {
		// The Lease of the queue is given back when the turn is over.
		if c.Kind != "etcd member" && c.Kind != "Lease" {
			want[path.Join(c.Kind, c.Namespace, c.Name)] = true
		}
	}
	for name, now := range after {
		if before[name] != now {
			got[name] = true
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("objects: -announced +changed\n%s", diff)
	}
}
