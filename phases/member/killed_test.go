package member_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/member"
)

var errKilled = errors.New("killed")

// TestKilled: a run that ends at any call, before or after what it does, is
// continued by the next one.
func TestKilled(t *testing.T) {
	t.Run("One", func(t *testing.T) { killed(t) })
	t.Run("Many", func(t *testing.T) { killed(t, "--max-learners=4") })
}

func killed(t *testing.T, flags ...string) {
	for _, when := range []string{"before", "after"} {
		for at := 1; ; at++ {
			calls, reached := "", false
			t.Run(fmt.Sprintf("%s/%d", when, at), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t, flags...)
					n := w.node(2)
					var mu sync.Mutex // the Lease is renewed beside the run
					count := 0
					step := func(call string) error {
						mu.Lock()
						defer mu.Unlock()
						if count++; count == at {
							calls, reached = call, true
						}
						if count >= at {
							return errKilled
						}
						return nil
					}
					if when == "before" {
						n.step = step
					} else {
						n.after = step
					}
					first := n.join(t.Context())
					free := func(string) error { return nil }
					mu.Lock()
					n.step, n.after = free, free
					mu.Unlock()
					// A last look at the Lease fails no run that has ended well.
					well := calls == "get" && w.members() == "cp-1 voter, cp-2 voter"
					if reached && first.err == nil && !well {
						t.Errorf("killed %s %s: no error", when, calls)
					}
					second := n.join(t.Context())
					if second.err != nil {
						t.Fatalf("killed %s %s: the next run: %v", when, calls, second.err)
					}
					if got, want := w.members(), "cp-1 voter, cp-2 voter"; got != want {
						t.Errorf("killed %s %s: members: want %s, got %s", when, calls, want, got)
					}
					if o := n.join(t.Context()); o.end != phases.Unchanged || o.err != nil {
						t.Errorf("killed %s %s: a third run: %s, %v", when, calls, o.end, o.err)
					}
					if w.holder() != "" {
						t.Errorf("killed %s %s: the Lease is held by %s", when, calls, w.holder())
					}
				})
			})
			if !reached || t.Failed() {
				break
			}
		}
	}
}

// TestInterrupted: an interrupt at any call takes the member back, or leaves
// one that votes; nothing of a learner stays. The next run ends well.
func TestInterrupted(t *testing.T) {
	t.Run("One", func(t *testing.T) { interrupted(t) })
	t.Run("Many", func(t *testing.T) { interrupted(t, "--max-learners=4") })
}

func interrupted(t *testing.T, flags ...string) {
	interrupt := errors.New("interrupted")
	for at := 1; ; at++ {
		reached := false
		t.Run(fmt.Sprint(at), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, flags...)
				n := w.node(2)
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				var mu sync.Mutex
				count, at, where := 0, at, ""
				n.after = func(call string) error {
					mu.Lock()
					defer mu.Unlock()
					if count++; count == at {
						reached, where = true, call
						cancel(interrupt)
					}
					return nil
				}
				first := n.join(ctx)
				if votes := w.members() == "cp-1 voter, cp-2 voter"; reached && !votes && !errors.Is(first.err, interrupt) {
					t.Errorf("interrupted after %s: got %v", where, first.err)
				}
				time.Sleep(5 * time.Second) // the kubelet sees what is left
				switch got := w.members(); {
				case got == "cp-1 voter, cp-2 voter" && exists(t, n, manifest):
				case got == "cp-1 voter" && !exists(t, n, manifest) && !exists(t, n, "/var/lib/etcd"):
				default:
					t.Errorf("interrupted after %s: members %s, manifest %t, data directory %t", where, got,
						exists(t, n, manifest), exists(t, n, "/var/lib/etcd"))
				}
				if o := n.join(t.Context()); o.err != nil {
					t.Errorf("interrupted after %s: the next run: %v", where, o.err)
				}
			})
		})
		if !reached || t.Failed() {
			break
		}
	}
}

// TestKilledWhileUndoing: an interrupted run is killed while it takes back
// what it made. What is left is a member to go on with, never data that
// belongs to none.
func TestKilledWhileUndoing(t *testing.T) {
	for at := 1; ; at++ {
		reached := false
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			n := w.node(2)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var mu sync.Mutex
			undoing, count, where := false, 0, ""
			n.after = func(call string) error {
				mu.Lock()
				defer mu.Unlock()
				switch {
				case undoing:
					if count++; count == at {
						reached, where = true, call
					}
					if count >= at {
						return errKilled
					}
				case call == "write":
					undoing = true
					time.AfterFunc(1100*time.Millisecond, cancel) // it runs, and is a learner
				}
				return nil
			}
			n.step = func(call string) error {
				mu.Lock()
				defer mu.Unlock()
				if call == "promote" || call == "members" && undoing && ctx.Err() == nil {
					count-- // not of the undoing
				}
				return nil
			}
			n.join(ctx)
			mu.Lock()
			free := func(string) error { return nil }
			n.step, n.after = free, free
			mu.Unlock()
			if o := n.join(t.Context()); o.err != nil {
				t.Errorf("killed after call %d, %s: the next run: %v", at, where, o.err)
			}
			if got, want := w.members(), "cp-1 voter, cp-2 voter"; got != want {
				t.Errorf("killed after call %d, %s: members: want %s, got %s", at, where, want, got)
			}
		})
		if !reached || t.Failed() {
			break
		}
	}
}

// A failed join takes back its own learner and no other, and leaves a data
// directory that was there before.
func TestUndo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.etcd.MaxLearners(2)
		if _, err := w.etcd.AddLearner(t.Context(), peer(3)); err != nil {
			t.Fatal(err)
		}
		n := w.node(2)
		n.idle = true
		if err := n.Memory.Mkdir(t.Context(), "/var/lib/etcd", 0o700); err != nil {
			t.Fatal(err)
		}
		o := n.join(t.Context())
		var fault *phases.Fault
		if !errors.As(o.err, &fault) || fault.Code() != phases.CodeTimeout || !o.undone {
			t.Errorf("want a timeout that is undone, got %v, undone: %t", o.err, o.undone)
		}
		if got, want := w.members(), "- learner, cp-1 voter"; got != want {
			t.Errorf("members: want %s, got %s", want, got)
		}
		list, err := w.etcd.Members(t.Context())
		if err != nil || !list[0].HasPeer(peer(3)) {
			t.Errorf("the other node's learner is gone: %v, %v", list, err)
		}
		if exists(t, n, manifest) || !exists(t, n, "/var/lib/etcd") {
			t.Errorf("manifest: %t, want none; data directory: %t, want it", exists(t, n, manifest), exists(t, n, "/var/lib/etcd"))
		}
	})
}

// A later phase fails: the member has its vote by then and stays.
func TestUndoOfVoter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		n := w.node(2)
		list := []phases.Phase[member.JoinTask]{member.JoinPhase(), {
			Name: "later", Apply: func(context.Context, *member.JoinTask) error { return errKilled },
		}}
		var warned bool
		err := phases.Run(t.Context(), list, n.task(), phases.Options{Notify: func(e phases.Event) {
			warned = warned || e.Kind == phases.Warning && e.Phase == "etcd-join"
		}})
		if !errors.Is(err, errKilled) || !warned {
			t.Errorf("want the later phase's error and a warning, got %v, %t", err, warned)
		}
		if got, want := w.members(), "cp-1 voter, cp-2 voter"; got != want || !exists(t, n, manifest) {
			t.Errorf("members: want %s, got %s", want, got)
		}
	})
}
