package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/hactl/hactl/phases"
)

// The machine may fail at each single change, for once or for good until the
// next run. All of them are tried in a soak, else one of five.
func TestJoinFailsAtEachChange(t *testing.T) {
	t.Parallel()
	step := int64(5)
	if os.Getenv("HACTL_SOAK") != "" {
		step = 1
	}
	for _, c := range ways() {
		t.Run(c.name, func(t *testing.T) {
			want, changes := c.measured(t)
			least := map[bool]int64{true: 7, false: 15}[c.in().Config.ControlPlane == nil]
			if changes < least {
				t.Fatalf("only %d changes are counted", changes)
			}
			for n := int64(1); n <= changes; n += step {
				for _, dies := range []bool{false, true} {
					synctest.Test(t, func(t *testing.T) { c.failAt(t, n, dies, want) })
				}
			}
		})
	}
}

// failAt fails at the change, runs again, and then once more.
func (c way) failAt(t *testing.T, change int64, dies bool, want []string) {
	where := fmt.Sprintf("change %d failed, dead afterwards: %v", change, dies)
	w := newJoinWorld(t)
	c.before(w)
	w.fuse.Store(change)
	w.dead.Store(dies)
	_, _, err := w.join(t.Context(), c.in(), nil)
	// To give back the turn at etcd is a courtesy, whose failure fails nothing.
	var inPhase *phases.PhaseError
	if err != nil && (!errors.Is(err, errFuse) || !errors.As(err, &inPhase)) {
		t.Errorf("%s: %v, want the failure and its phase", where, err)
	}
	w.fuse.Store(0)
	w.dead.Store(false)
	if _, _, err := w.join(t.Context(), c.in(), nil); err != nil {
		t.Errorf("%s: %v", where, Explain(err))
		return
	}
	if diff := cmp.Diff(want, w.outcome(), sorted); diff != "" {
		t.Errorf("%s: -want +got\n%s", where, diff)
	}
	changes := w.changes.Load()
	if diff := cmp.Diff(c.ends(phases.Unchanged), w.mustJoin(c.in()).ends()); diff != "" {
		t.Errorf("%s: a third run: -want +got\n%s", where, diff)
	}
	if n := w.changes.Load() - changes; n > 0 {
		t.Errorf("%s: a third run changes something %d times", where, n)
	}
}

// A user may interrupt after each phase and run the same command again.
func TestJoinInterruptedAfterEachPhase(t *testing.T) {
	t.Parallel()
	for _, c := range ways() {
		want := c.complete(t)
		list := c.shown()
		for _, path := range list[:len(list)-1] {
			t.Run(c.name+"/"+strings.ReplaceAll(path, "/", "-"), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newJoinWorld(t)
					c.before(w)
					ctx, cancel := context.WithCancelCause(t.Context())
					_, _, err := w.join(ctx, c.in(), func(e phases.Event) {
						if e.Phase == path && e.Kind != phases.Started {
							cancel(ErrInterrupted)
						}
					})
					if err == nil || Explain(err).Code != phases.CodeInterrupted {
						t.Errorf("interrupted: %v", err)
					}
					w.mustJoin(c.in())
					if diff := cmp.Diff(want, w.outcome(), sorted); diff != "" {
						t.Errorf("after the second run: -want +got\n%s", diff)
					}
				})
			})
		}
	}
}

// lost is what discovery says of a token that has ended.
func lost() error {
	return &phases.Fault{What: "the cluster does not know the token", Fixes: []string{"make a new one: hactl token create"}, Exit: phases.CodeUsage}
}

// Tokens die. A node that is in, or can let itself in, needs none.
func TestJoinTokenIsGone(t *testing.T) {
	cases := map[string]struct {
		reason string
		before func(*joinWorld)
		in     func() JoinInput
		words  []string // of the refusal; none if it goes on
	}{
		"New":    {"nothing is here yet", func(*joinWorld) {}, worker, []string{"the cluster does not know the token"}},
		"Worker": {"the kubelet is in", func(w *joinWorld) { w.mustJoin(worker()) }, worker, nil},
		"Plane":  {"and the control plane, too", func(w *joinWorld) { w.mustJoin(plane()) }, plane, nil},
		"Half":   {"the administrator's file leads to the cluster", func(w *joinWorld) { w.stopJoin(plane(), "control-plane-prepare") }, plane, nil},
		"NotIn":  {"the kubelet still waits for its certificate", func(w *joinWorld) { w.waiting() }, worker, []string{"the cluster does not know the token"}},
		"ForeignCA": {"the administrator's file lets no kubelet in", func(w *joinWorld) { w.carrySigned() }, onDisk,
			[]string{"no valid token", "hactl token create"}},
		"OtherPin": {"the user names another CA", func(w *joinWorld) { w.mustJoin(worker()) }, func() JoinInput {
			in := worker()
			in.Config.Discovery.Token.CACertHashes = []string{"sha256:" + strings.Repeat("0", 64)}
			return in
		}, []string{"the cluster does not know the token"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newJoinWorld(t)
				c.before(w)
				w.lost = lost()
				_, l, err := w.join(t.Context(), c.in(), nil)
				if c.words == nil {
					if err != nil {
						t.Fatalf("%s: %v", c.reason, Explain(err))
					}
					if !l.warns("what an earlier run left on this node is used") {
						t.Errorf("%s: nobody says so", c.reason)
					}
					return
				}
				says(t, err, c.words)
				if w.has(bootstrapConf) && strings.Contains(string(w.read(w.host, bootstrapConf)), "client-") {
					t.Errorf("%s: the kubelet gets an administrator's credentials", c.reason)
				}
			})
		})
	}
}

// says wants an error with all of the words and a way out.
func says(t *testing.T, err error, words []string) {
	t.Helper()
	if err == nil {
		t.Fatal("not refused")
	}
	for _, word := range words {
		if x := Explain(err); !strings.Contains(x.String(), word) || len(x.Fix) == 0 {
			t.Errorf("no %q in\n%s", word, x)
		}
	}
}

// What is unsafe is refused even where an earlier run knows the way.
func TestJoinImpostor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newJoinWorld(t)
		w.mustJoin(worker())
		w.lost = &phases.Fault{What: "the CA is not the one of the hash", Exit: phases.CodeUnsafe}
		if _, _, err := w.join(t.Context(), worker(), nil); err == nil || Explain(err).Code != phases.CodeUnsafe {
			t.Errorf("got %v", err)
		}
	})
}

// warns says whether a warning has the text.
func (l *log) warns(text string) bool {
	for _, e := range l.events {
		if e.Kind == phases.Warning && strings.Contains(e.Reason, text) {
			return true
		}
	}
	return false
}

// stopJoin runs join until a phase has ended.
func (w *joinWorld) stopJoin(in JoinInput, phase string) {
	w.t.Helper()
	ctx, cancel := context.WithCancelCause(w.t.Context())
	_, _, err := w.join(ctx, in, func(e phases.Event) {
		if e.Phase == phase && e.Kind == phases.Finished {
			cancel(ErrInterrupted)
		}
	})
	if !errors.Is(err, ErrInterrupted) {
		w.t.Fatalf("stopped after %s: %v", phase, err)
	}
}
