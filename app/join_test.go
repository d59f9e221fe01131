package app

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/journal"
)

// way is one of the ordinary ways to join.
type way struct {
	name, reason string
	before       func(*joinWorld)
	in           func() JoinInput
	members      string
	skipped      []string // phases
}

func ways() []way {
	return []way{
		{"Worker", "only the kubelet", func(*joinWorld) {}, worker, "cp-1 voter", nil},
		{"Key", "the shared certificates are downloaded", func(*joinWorld) {}, plane,
			"cp-1 voter, cp-2 voter", []string{"kubelet-wait-bootstrap"}},
		{"OnDisk", "they were brought by hand", func(w *joinWorld) { w.carry() }, onDisk,
			"cp-1 voter, cp-2 voter", []string{"control-plane-prepare/download-certs", "kubelet-wait-bootstrap"}},
		{"ForeignCA", "without the CA's key, the node's files were brought, too", func(w *joinWorld) { w.carrySigned() }, onDisk,
			"cp-1 voter, cp-2 voter", []string{"control-plane-prepare/download-certs"}},
	}
}

// shown are the phases of join that are for the role and are shown.
func (c way) shown() []string {
	list := []string{"discovery"}
	phases.Walk(JoinPhases(), func(path string, p *phases.Phase[Joining]) {
		first, _, _ := strings.Cut(path, "/")
		if len(p.Phases) == 0 && !p.Hidden && !ofBalancer(path) && (c.in().Config.ControlPlane != nil || slices.Contains(workerPhases, first)) {
			list = append(list, path)
		}
	})
	return list
}

// commands are the phases that a person can run alone, from top to bottom.
func (c way) commands() []string {
	var list []string
	phases.Walk(JoinPhases(), func(path string, p *phases.Phase[Joining]) {
		first, _, _ := strings.Cut(path, "/")
		group := slices.ContainsFunc(p.Phases, func(p phases.Phase[Joining]) bool { return !p.Hidden })
		if !p.Hidden && !group && !ofBalancer(path) && (c.in().Config.ControlPlane != nil || slices.Contains(workerPhases, first)) {
			list = append(list, path)
		}
	})
	return list
}

// checks are the phases of join that run every time.
var checks = []string{"discovery", "preflight", "wait-control-plane"}

// ends are how the phases end, where those with work end by kind.
func (c way) ends(kind phases.Kind) map[string]phases.Kind {
	want := map[string]phases.Kind{}
	for _, path := range c.shown() {
		switch {
		case slices.Contains(c.skipped, path):
			want[path] = phases.Skipped
		case slices.Contains(checks, path):
			want[path] = phases.Finished
		default:
			want[path] = kind
		}
	}
	return want
}

func TestJoin(t *testing.T) {
	for _, c := range ways() {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newJoinWorld(t)
				c.before(w)
				r, l, err := w.join(t.Context(), c.in(), nil)
				if err != nil {
					t.Fatal(Explain(err))
				}
				if diff := cmp.Diff(c.ends(phases.Finished), l.ends()); diff != "" {
					t.Errorf("%s: -want +got\n%s", c.reason, diff)
				}
				w.joined(c, r)

				before, changes := w.everything(), w.changes.Load()
				if diff := cmp.Diff(c.ends(phases.Unchanged), w.mustJoin(c.in()).ends()); diff != "" {
					t.Errorf("a second run finds everything: -want +got\n%s", diff)
				}
				if n := w.changes.Load() - changes; n > 0 {
					t.Errorf("a second run changes something %d times", n)
				}
				if diff := cmp.Diff(before, w.everything()); diff != "" {
					t.Errorf("a second run changes something: -before +after\n%s", diff)
				}
			})
		})
	}
}

// joined checks what a join has left behind and told.
func (w *joinWorld) joined(c way, r *Joined) {
	w.t.Helper()
	if got := w.members(); got != c.members {
		w.t.Errorf("%s: members: want %s, got %s", c.reason, c.members, got)
	}
	record, err := journal.Read(w.t.Context(), w.host)
	if err != nil || record == nil || record.Use != journal.UseJoin || record.Node != "cp-2" {
		w.t.Errorf("%s: the record is %+v, %v", c.reason, record, err)
	}
	if w.has(bootstrapConf) || !w.has(kubeletConf) {
		w.t.Errorf("%s: the kubelet's own way in does not take the place of the first one", c.reason)
	}
	if _, ok := w.objects()["Node /cp-2"]; !ok {
		w.t.Errorf("%s: no node cp-2 in the cluster", c.reason)
	}
	want := Joined{Node: "cp-2", KubernetesVersion: "v1.37.1", Endpoint: "lb.example.com:6443"}
	if c.in().Config.ControlPlane != nil {
		want.ControlPlane, want.Kubeconfig = true, "/etc/kubernetes/admin.conf"
		if len(r.Certificates) < 8 {
			w.t.Errorf("%s: the result tells of %d certificates", c.reason, len(r.Certificates))
		}
	}
	got := *r
	got.Certificates = nil
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(Joined{})); diff != "" {
		w.t.Errorf("%s: the result: -want +got\n%s", c.reason, diff)
	}
}

// Every phase alone, in order, makes what one whole join makes.
func TestJoinPhasesAlone(t *testing.T) {
	for _, c := range ways() {
		t.Run(c.name, func(t *testing.T) {
			want := c.complete(t)
			synctest.Test(t, func(t *testing.T) {
				w := newJoinWorld(t)
				c.before(w)
				for _, path := range c.commands() {
					in := c.in()
					in.Only = []string{path}
					_, l, err := w.join(t.Context(), in, nil)
					if err != nil {
						t.Fatalf("%s alone: %v", path, Explain(err))
					}
					for end := range l.ends() {
						if end != "discovery" && end != path {
							t.Errorf("%s alone: ran %s", path, end)
						}
					}
				}
				// Only a whole run has a record.
				want := slices.DeleteFunc(want, func(name string) bool { return name == journal.Path })
				if diff := cmp.Diff(want, w.outcome(), sorted); diff != "" {
					t.Errorf("%s: -whole +alone\n%s", c.reason, diff)
				}
				w.mustJoin(c.in())
			})
		})
	}
}

// outcome is what a join leaves behind: the names of all there is, and the
// members of etcd.
func (w *joinWorld) outcome() []string { return append(w.names(), w.members()) }

// complete is the outcome of a join without trouble.
func (c way) complete(t *testing.T) (list []string) {
	list, _ = c.measured(t)
	return list
}

// measured is complete with the number of changes.
func (c way) measured(t *testing.T) (list []string, changes int64) {
	synctest.Test(t, func(t *testing.T) {
		w := newJoinWorld(t)
		c.before(w)
		w.changes.Store(0)
		w.mustJoin(c.in())
		list, changes = w.outcome(), w.changes.Load()
	})
	return list, changes
}

func TestJoinSkip(t *testing.T) {
	cases := map[string]struct {
		reason string
		skip   []string
		gone   []string // files
	}{
		"Preflight": {"a person knows better", []string{"preflight"}, nil},
		"Group":     {"what is below a group is left out, too", []string{"control-plane-join", "wait-control-plane"}, nil},
		"Etcd":      {"somebody else adds the member; nothing can be waited for", []string{"etcd-join", "control-plane-join", "wait-control-plane"}, []string{etcdManifest}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newJoinWorld(t)
				in := plane()
				in.Skip = append([]string{"kubelet-wait-bootstrap"}, c.skip...)
				l := w.mustJoin(in)
				for _, path := range c.skip {
					for end, kind := range l.ends() {
						if (end == path || strings.HasPrefix(end, path+"/")) && kind != phases.Skipped {
							t.Errorf("%s: %s is %s", c.reason, end, kind)
						}
					}
				}
				for _, file := range c.gone {
					if w.has(file) {
						t.Errorf("%s: %s is there", c.reason, file)
					}
				}
			})
		})
	}
}

// The patches of a phase alone are those of later runs, too.
func TestJoinPatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newJoinWorld(t)
		w.mustJoin(plane())
		w.file("/p/kube-scheduler.yaml", "metadata: {annotations: {mark: one}}", 0o600)
		in := alonePhase(plane(), "control-plane-prepare/control-plane")
		in.Config.PatchesDir = "/p"
		w.mustJoin(in)
		const manifest = "/etc/kubernetes/manifests/kube-scheduler.yaml"
		l := w.mustJoin(plane())
		if !strings.Contains(string(w.read(w.host, manifest)), "mark: one") || !l.warns("patches of an earlier run are used") {
			t.Error("a later run without --patches takes them back")
		}

		if err := w.host.Mkdir(t.Context(), "/empty", 0o755); err != nil {
			t.Fatal(err)
		}
		in = plane()
		in.Config.PatchesDir = "/empty"
		w.mustJoin(in)
		if l := w.mustJoin(plane()); l.warns("patches of an earlier run") || strings.Contains(string(w.read(w.host, manifest)), "mark") {
			t.Error("after an empty directory, there are still patches")
		}
	})
}
