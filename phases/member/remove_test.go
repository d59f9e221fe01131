package member_test

import (
	"bytes"
	"errors"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/hactl/hactl/config/goldentest"
	"github.com/hactl/hactl/etcd/etcdtest"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/member"
)

func (n *node) removeTask() *member.RemoveTask {
	return &member.RemoveTask{
		Files: n, API: api{n.w.api, n}, Etcd: n.dial, NodeName: n.name(), Dir: dir,
		Timeouts: n.task().Timeouts, DataDir: "/var/lib/etcd",
	}
}

// joined is a node of the world whose etcd votes, beside so many others.
func joined(t *testing.T, w *world, others ...int) *node {
	t.Helper()
	w.etcd.Settle(0)
	n := w.node(2)
	if o := n.join(t.Context()); o.err != nil {
		t.Fatal(o.err)
	}
	for _, i := range others {
		w.voter(i)
	}
	return n
}

// alone is the only node of its cluster, cp-1.
func alone(t *testing.T, w *world) *node {
	t.Helper()
	n := w.node(1)
	write(t, n)
	list, err := w.etcd.Members(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	put(t, n, segment, etcdtest.LogHead(list[0].ID, clusterA))
	return n
}

func TestRemove(t *testing.T) {
	cases := map[string]struct {
		reason string
		set    func(*testing.T, *world) *node
		task   func(*member.RemoveTask)
		end    phases.Kind
		want   string // the members after it
		tells  string
	}{
		"OfThree": {
			reason: "two stay and have a quorum",
			set:    func(t *testing.T, w *world) *node { return joined(t, w, 3) },
			end:    phases.Finished, want: "cp-1 voter, cp-3 voter", tells: "3 → 2 voting members, tolerates 1 → 0 failures",
		},
		"OfTwo": {
			reason: "the other one stays",
			set:    func(t *testing.T, w *world) *node { return joined(t, w) },
			end:    phases.Finished, want: "cp-1 voter", tells: "2 → 1 voting members",
		},
		"OwnIsDead": {
			reason: "a member that does not run is taken out by the others",
			set:    func(t *testing.T, w *world) *node { n := joined(t, w, 3); kill(t, w, "cp-2"); return n },
			end:    phases.Finished, want: "cp-1 voter, cp-3 voter", tells: "3 → 2",
		},
		"Learner": {
			reason: "a join that was given up leaves a learner and no manifest; the node's record knows it",
			set:    func(t *testing.T, w *world) *node { learner(t, w, 2); return w.node(2) },
			task: func(t *member.RemoveTask) {
				t.Recorded, t.Advertise = true, netip.MustParseAddr("10.0.0.12")
			},
			end: phases.Finished, want: "cp-1 voter",
		},
		"ByName": {
			reason: "the record does not know the address, the member list knows the name",
			set: func(t *testing.T, w *world) *node {
				n := joined(t, w)
				if err := n.Memory.Remove(t.Context(), manifest); err != nil {
					t.Fatal(err)
				}
				return n
			},
			task: func(t *member.RemoveTask) { t.Recorded = true },
			end:  phases.Finished, want: "cp-1 voter",
		},
		"Again": {
			reason: "it is gone already",
			set: func(t *testing.T, w *world) *node {
				n := joined(t, w)
				if o := do(t.Context(), member.RemovePhase(), n.removeTask()); o.err != nil {
					t.Fatal(o.err)
				}
				return n
			},
			end: phases.Unchanged, want: "cp-1 voter",
		},
		"Worker": {
			reason: "neither manifest nor record: etcd is not even asked",
			set: func(t *testing.T, w *world) *node {
				n := w.node(2)
				n.step = func(call string) error { t.Errorf("it calls %s", call); return nil }
				return n
			},
			end: phases.Unchanged, want: "cp-1 voter",
		},
		"External": {
			reason: "etcd runs elsewhere, whatever lies on this node",
			set:    func(t *testing.T, w *world) *node { return joined(t, w) },
			task:   func(t *member.RemoveTask) { t.External = true },
			end:    phases.Skipped, want: "cp-1 voter, cp-2 voter",
		},
		"NeverStarted": {
			reason: "an init that came no further than the manifest: there is nothing to lose",
			set: func(t *testing.T, w *world) *node {
				n := w.node(2)
				write(t, n)
				return n
			},
			end: phases.Unchanged, want: "cp-1 voter",
		},
		"NoAPI": {
			reason: "the manifest names the other members",
			set:    func(t *testing.T, w *world) *node { return joined(t, w, 3) },
			task:   func(t *member.RemoveTask) { t.API = nil },
			end:    phases.Finished, want: "cp-1 voter, cp-3 voter",
		},
		"ForcedLast": {
			reason: "the last member cannot be taken out; --force goes on without",
			set:    alone,
			task:   func(t *member.RemoveTask) { t.Force = true },
			end:    phases.Finished, want: "cp-1 voter", tells: "--force: cp-1 holds the only voting member",
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				n := c.set(t, w)
				task := n.removeTask()
				if c.task != nil {
					c.task(task)
				}
				o := do(t.Context(), member.RemovePhase(), task)
				if o.err != nil || o.end != c.end || !o.tells(c.tells) {
					t.Errorf("%s: want %s and %q, got %s, %v, %q", c.reason, c.end, c.tells, o.end, o.err, o.told)
				}
				if got := w.members(); got != c.want {
					t.Errorf("%s: members: want %s, got %s", c.reason, c.want, got)
				}
			})
		})
	}
}

// TestRemoveRefused: each is refused, and not with --force.
func TestRemoveRefused(t *testing.T) {
	cases := map[string]struct {
		reason string
		set    func(*testing.T, *world) *node
	}{
		"Last": {"the only node of a laboratory", alone},
		"Quorum": {"one of the other two is dead", func(t *testing.T, w *world) *node {
			n := joined(t, w, 3)
			kill(t, w, "cp-3")
			return n
		}},
		"NoQuorum": {"the other one is dead", func(t *testing.T, w *world) *node {
			n := joined(t, w)
			kill(t, w, "cp-1")
			return n
		}},
		"Unreachable": {"nobody answers", func(t *testing.T, w *world) *node {
			n := joined(t, w)
			kill(t, w, "cp-1")
			kill(t, w, "cp-2")
			return n
		}},
	}
	var text bytes.Buffer
	for _, name := range slices.Sorted(maps.Keys(cases)) {
		c := cases[name]
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				n := c.set(t, w)
				n.step = func(call string) error {
					if call == "take out" {
						t.Errorf("%s: it takes the member out", c.reason)
					}
					return nil
				}
				o := do(t.Context(), member.RemovePhase(), n.removeTask())
				var fault *phases.Fault
				if !errors.As(o.err, &fault) || fault.Code() != phases.CodeUnsafe || !strings.Contains(strings.Join(fault.Fixes, "\n"), "--force") {
					t.Fatalf("%s: want a refusal that names --force, got %v", c.reason, o.err)
				}
				explain(&text, name, o.err)
				task := n.removeTask()
				task.Force = true
				if o := do(t.Context(), member.RemovePhase(), task); o.err != nil || o.end != phases.Finished || !o.tells("--force: ") {
					t.Errorf("%s: with --force: %s, %v, %q", c.reason, o.end, o.err, o.told)
				}
			})
		})
	}
	goldentest.Check(t, "remove-refusals.golden", text.Bytes())
}

// TestRemoveKilled: a reset that ends at any call is finished by the next.
func TestRemoveKilled(t *testing.T) {
	for at := 1; ; at++ {
		reached := false
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			n := joined(t, w, 3)
			count := 0
			n.after = func(string) error {
				if count++; count >= at {
					reached = true
					return errKilled
				}
				return nil
			}
			do(t.Context(), member.RemovePhase(), n.removeTask())
			n.after = func(string) error { return nil }
			if o := do(t.Context(), member.RemovePhase(), n.removeTask()); o.err != nil {
				t.Errorf("killed after call %d: %v", at, o.err)
			}
			if got, want := w.members(), "cp-1 voter, cp-3 voter"; got != want {
				t.Errorf("killed after call %d: members: want %s, got %s", at, want, got)
			}
		})
		if !reached {
			break
		}
	}
}
