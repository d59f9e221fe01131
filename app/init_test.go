package app

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/hactl/hactl/phases"
)

// sorted compares lists as sets.
var sorted = cmpopts.SortSlices(func(a, b string) bool { return a < b })

// leaves are the phases of init that have work of their own and are shown,
// where others balance.
func leaves() []string {
	var list []string
	phases.Walk(InitPhases(), func(path string, p *phases.Phase[Initial]) {
		if len(p.Phases) == 0 && !p.Hidden && !ofBalancer(path) {
			list = append(list, path)
		}
	})
	return list
}

// ofBalancer says whether a phase is for control planes that balance for
// themselves.
func ofBalancer(path string) bool { return strings.HasPrefix(path, "load-balancer/") }

// always are the phases that run every time: they check or show.
var always = []string{"preflight", "wait-control-plane", "show-join-command"}

func TestInit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		r, l, err := w.init(t.Context(), input(), nil)
		if err != nil {
			t.Fatal(Explain(err))
		}
		want := map[string]phases.Kind{}
		for _, path := range leaves() {
			want[path] = phases.Finished
		}
		if diff := cmp.Diff(want, l.ends()); diff != "" {
			t.Errorf("a first run makes everything: -want +got\n%s", diff)
		}
		if diff := cmp.Diff([]string{"init of cp-1 (10.0.0.11), Kubernetes v1.37.1"}, l.titles); diff != "" {
			t.Errorf("titles: -want +got\n%s", diff)
		}
		if r.Node != "cp-1" || r.Endpoint != "lb.example.com:6443" || r.CertificateKey != knownKey || r.Join == nil || r.Join.Token != knownToken {
			t.Errorf("the result is %+v", r)
		}

		before, changes := w.snapshot(), w.changes.Load()
		_, l, err = w.init(t.Context(), input(), nil)
		if err != nil {
			t.Fatal(Explain(err))
		}
		for path := range want {
			if want[path] = phases.Unchanged; slices.Contains(always, path) {
				want[path] = phases.Finished
			}
		}
		if diff := cmp.Diff(want, l.ends()); diff != "" {
			t.Errorf("a second run finds everything: -want +got\n%s", diff)
		}
		if n := w.changes.Load() - changes; n > 0 {
			t.Errorf("a second run changes something %d times", n)
		}
		if diff := cmp.Diff(before, w.snapshot()); diff != "" {
			t.Errorf("a second run changes something: -before +after\n%s", diff)
		}
	})
}

// complete are the names of what a run without trouble leaves behind.
func complete(t *testing.T) (names []string, changes int64) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		if _, _, err := w.init(t.Context(), input(), nil); err != nil {
			t.Fatal(Explain(err))
		}
		names, changes = w.names(), w.changes.Load()
	})
	return names, changes
}

// A user may interrupt at any time and run the same command again.
func TestInterruptedAfterEachPhase(t *testing.T) {
	t.Parallel()
	want, _ := complete(t)
	list := leaves()
	for i, path := range list[:len(list)-1] {
		t.Run(path, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				ctx, cancel := context.WithCancelCause(t.Context())
				_, l, err := w.init(ctx, input(), func(e phases.Event) {
					if e.Phase == path && e.Kind == phases.Finished {
						cancel(ErrInterrupted)
					}
				})
				if x := Explain(err); x.Code != phases.CodeInterrupted {
					t.Errorf("interrupted: %v", x)
				}
				if ends := l.ends(); ends[list[i+1]] == phases.Finished {
					t.Errorf("%s ran after the interrupt", list[i+1])
				}
				if _, l, err = w.init(t.Context(), input(), nil); err != nil {
					t.Fatalf("the second run: %v", Explain(err))
				}
				for _, done := range list[:i+1] {
					if l.ends()[done] != phases.Unchanged && !slices.Contains(always, done) {
						t.Errorf("%s is %s in the second run, want unchanged", done, l.ends()[done])
					}
				}
				if diff := cmp.Diff(want, w.names(), sorted); diff != "" {
					t.Errorf("after the second run: -want +got\n%s", diff)
				}
			})
		})
	}
}

// The machine may fail at each single change. All of them are tried in a
// soak, else one of three.
func TestFailureAtEachChange(t *testing.T) {
	t.Parallel()
	want, changes := complete(t)
	if changes < 50 {
		t.Fatalf("only %d changes are counted", changes)
	}
	step := int64(3)
	if os.Getenv("HACTL_SOAK") != "" {
		step = 1
	}
	for n := int64(1); n <= changes; n += step {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.fuse.Store(n)
			_, _, err := w.init(t.Context(), input(), nil)
			var inPhase *phases.PhaseError
			if !errors.Is(err, errFuse) || !errors.As(err, &inPhase) {
				t.Errorf("change %d fails: %v, want the failure and its phase", n, err)
			}
			w.fuse.Store(0)
			if _, _, err := w.init(t.Context(), input(), nil); err != nil {
				t.Errorf("change %d failed in the run before: %v", n, Explain(err))
				return
			}
			if diff := cmp.Diff(want, w.names(), sorted); diff != "" {
				t.Errorf("change %d failed in the run before: -want +got\n%s", n, diff)
			}
		})
	}
}
