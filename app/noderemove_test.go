package app

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hactl/hactl/config/goldentest"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/kube"
)

func (c *trio) nodeRemove(in NodeRemoveInput) (*NodeRemoveResult, *log, error) {
	l := &log{}
	r, err := nodeRemoveOver(c.t.Context(), c.ports(), in, func(s string) { l.titles = append(l.titles, s) },
		func(e phases.Event) { l.events = append(l.events, e) })
	return r, l, err
}

func TestNodeRemove(t *testing.T) {
	for name, dry := range map[string]bool{"done": false, "dryrun": true} {
		t.Run(name, func(t *testing.T) {
			threeNodes(t, func(t *testing.T, w *trio) {
				w.burn(2)
				before := w.snapshot()
				r, l, err := w.nodeRemove(NodeRemoveInput{Name: "cp-2", DryRun: dry})
				if err != nil {
					t.Fatal(Explain(err))
				}
				if len(l.titles) != 1 {
					t.Errorf("titles %q", l.titles)
				}
				var text bytes.Buffer
				if err := r.Text(&text); err != nil {
					t.Fatal(err)
				}
				data, err := json.MarshalIndent(r, "", "  ")
				if err != nil {
					t.Fatal(err)
				}
				goldentest.Check(t, "noderemove-"+name+".txt", text.String()+string(data)+"\n")
				report, err := w.etcd.Health(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if (len(report.Members) == 3) != dry {
					t.Errorf("%d members are left", len(report.Members))
				}
				if diff := cmp.Diff(before, w.snapshot()); (diff == "") != dry {
					t.Errorf("-before +after\n%s", diff)
				}
			})
		})
	}
}

func TestNodeRemoveRefuses(t *testing.T) {
	cases := map[string]struct {
		reason string
		name   string
		change func(*trio)
		code   phases.Code
		fix    string // a part of one
	}{
		"Here":    {"hactl reset does more", "cp-1", func(*trio) {}, phases.CodeUsage, "hactl reset"},
		"Alive":   {"hactl reset does more", "cp-2", func(*trio) {}, phases.CodeUnsafe, "hactl reset"},
		"Unknown": {"the names are listed", "cp-4", func(*trio) {}, phases.CodeUsage, "cp-1, cp-2, cp-3"},
		"Quorum":  {"too few would be left", "cp-3", func(w *trio) { w.burn(2) }, phases.CodeUnsafe, "hactl status"},
		"NoQuorum": {"the API server could not say so", "cp-3", func(w *trio) {
			w.burn(2)
			w.burn(3)
			w.up.Store(false)
		}, phases.CodeUnsafe, "hactl status"},
		"Forbidden": {"the user is no administrator", "cp-2", func(w *trio) {
			w.burn(2)
			w.api.Intercept(func(kube.Verb, runtime.Object) error {
				return apierrors.NewForbidden(schema.GroupResource{Resource: "nodes"}, "", errors.New("no"))
			})
		}, phases.CodeFailed, "administrator"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			threeNodes(t, func(t *testing.T, w *trio) {
				c.change(w)
				changes := w.changes.Load()
				_, _, err := w.nodeRemove(NodeRemoveInput{Name: c.name, Force: name == "Quorum"})
				if err == nil {
					t.Fatalf("%s: no error", c.reason)
				}
				if x := Explain(err); x.Code != c.code || !strings.Contains(strings.Join(x.Fix, "\n"), c.fix) {
					t.Errorf("%s: %v\ncode %d, want %d and %q", c.reason, x, x.Code, c.code, c.fix)
				}
				if n := w.changes.Load() - changes; n > 0 {
					t.Errorf("%s: %d changes before it was refused", c.reason, n)
				}
			})
		})
	}
}

// A node of which only the Node object is left is removed too.
func TestNodeRemoveWorker(t *testing.T) {
	threeNodes(t, func(t *testing.T, w *trio) {
		if err := w.api.Set(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "w-1"}}); err != nil {
			t.Fatal(err)
		}
		r, _, err := w.nodeRemove(NodeRemoveInput{Name: "w-1"})
		if err != nil {
			t.Fatal(Explain(err))
		}
		if diff := cmp.Diff([]string{"Node w-1"}, r.Objects); diff != "" || !r.Worker || len(r.Members) > 0 {
			t.Errorf("%+v\n%s", r, diff)
		}
	})
}
