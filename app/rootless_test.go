package app

import (
	"slices"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/host"
	"github.com/hactl/hactl/phases/rootless"
	"github.com/hactl/hactl/templates/staticpod"
)

// users gives the machine its users: root, and more in lines of /etc/passwd.
func (w *world) users(more string) {
	w.file("/etc/passwd", "root:x:0:0:root:/root:/bin/bash\n"+more, 0o644)
	w.file("/etc/group", "root:x:0:\n", 0o644)
}

func rootlessInput() InitInput {
	in := input()
	in.Config.Cluster.FeatureGates = map[string]bool{rootless.Gate: true}
	return in
}

// runsAs are the users of the static pods.
func runsAs(t *testing.T, files host.Files) map[string]int64 {
	t.Helper()
	ids := map[string]int64{}
	for _, name := range pods {
		pod, err := staticpod.Read(t.Context(), files, "/etc/kubernetes/manifests", name)
		if err != nil {
			t.Fatal(err)
		}
		if id := pod.Spec.SecurityContext.RunAsUser; id != nil {
			ids[name] = *id
		}
	}
	return ids
}

var wantUsers = map[string]int64{"etcd": 100, "kube-apiserver": 101, "kube-controller-manager": 102, "kube-scheduler": 103}

func TestInitRootless(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.users("")
		before := w.snapshot()
		in := rootlessInput()
		in.Config.DryRun = true
		result, told, err := w.init(t.Context(), in, nil)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(before, w.snapshot()); diff != "" {
			t.Errorf("a dry run changes the machine: -before +after\n%s", diff)
		}
		for _, want := range []MachineChange{
			{Action: "write", Target: "/etc/passwd", Mode: "0644"},
			{Action: "chown", Owner: "100:100", Target: "/var/lib/etcd", Mode: "0700"},
			{Action: "chown", Owner: "0:104", Target: "/etc/kubernetes/pki/sa.key", Mode: "0640"},
		} {
			if !slices.ContainsFunc(result.DryRun.Machine, func(c MachineChange) bool {
				c.Diff = ""
				return c == want
			}) {
				t.Errorf("a dry run does not list %v", want)
			}
		}
		if !slices.ContainsFunc(told.events, func(e phases.Event) bool { return e.Kind == phases.Warning }) {
			t.Error("nothing says that the gate is deprecated")
		}

		w.must(rootlessInput())
		if diff := cmp.Diff(wantUsers, runsAs(t, w.host)); diff != "" {
			t.Errorf("users: -want +got\n%s", diff)
		}
		made := w.snapshot()
		_, again, err := w.init(t.Context(), rootlessInput(), nil)
		if err != nil {
			t.Fatal(err)
		}
		for path, end := range again.ends() {
			if end == phases.Finished && (path == "etcd/local" || path == "control-plane/apiserver") {
				t.Errorf("a second run: %s ends as %s", path, end)
			}
		}
		if diff := cmp.Diff(made["/etc/passwd"], w.snapshot()["/etc/passwd"]); diff != "" {
			t.Errorf("a second run: -before +after\n%s", diff)
		}
	})
}

// What a joining node's own users are is found before it changes anything.
func TestJoinRootless(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := newWorld(t)
		first.users("")
		first.must(rootlessInput())
		w := newJoinWorldBeside(first)
		w.users("kubeadm-etcd:x:1000:1000:::/bin/bash\n")
		if _, _, err := w.join(t.Context(), plane(), nil); Explain(err).Code != phases.CodePreflight {
			t.Errorf("with a user that a person has: %v, want a refusal of preflight", err)
		}
		w.users("")
		w.mustJoin(plane())
		if diff := cmp.Diff(wantUsers, runsAs(t, w.host)); diff != "" {
			t.Errorf("users: -want +got\n%s", diff)
		}
	})
}
