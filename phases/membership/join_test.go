package membership_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hactl/hactl/etcd"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/membership"
)

// TestJoin: from every state that an earlier run may leave behind, the member
// comes to vote.
func TestJoin(t *testing.T) {
	cases := map[string]struct {
		reason string
		set    func(*box)
		before int // voting members
		want   string
		tells  []string
	}{
		"Anew": {
			reason: "etcd knows nothing of it", before: 1, want: "etcd-1 voter, etcd-2 voter",
			tells: []string{"etcd: 1 → 2 voting members, tolerates 0 → 0 failures", "2 voting members: an even number", "add one more other box"},
		},
		"Odd": {
			reason: "three is a good number, and nobody is told to add more", before: 2,
			set:   func(b *box) { b.etcd.Join("etcd-3", peer(3)) },
			want:  "etcd-1 voter, etcd-2 voter, etcd-3 voter",
			tells: []string{"etcd: 2 → 3 voting members, tolerates 0 → 1 failures"},
		},
		"Added": {
			reason: "it was added and has not started", before: 1, want: "etcd-1 voter, etcd-2 voter",
			set: func(b *box) { b.learner(2) },
		},
		"Started": {
			reason: "it has run, and nothing of its command line is left", before: 1, want: "etcd-1 voter, etcd-2 voter",
			set: func(b *box) {
				b.log(b.learner(2))
				b.must(b.etcd.Start(peer(2), "etcd-2"))
			},
		},
		"Votes": {
			reason: "only the machine was off", before: 0, want: "etcd-1 voter, etcd-2 voter, etcd-3 voter",
			set: func(b *box) {
				b.must(b.run(b.t.Context()).err)
				b.etcd.Join("etcd-3", peer(3))
				b.must(b.etcd.Kill("etcd-2"))
			},
		},
		"DataLost": {
			reason: "it is replaced", before: 2, want: "etcd-1 voter, etcd-2 voter, etcd-3 voter",
			set: func(b *box) {
				b.etcd.Join("etcd-3", peer(3))
				b.must(b.run(b.t.Context()).err)
				b.must(b.etcd.Kill("etcd-2"))
				b.must(b.RemoveAll(b.t.Context(), dataDir))
			},
			tells: []string{"this box's new member takes its place", "3 → 2 voting members, tolerates 1 → 0", "2 → 3 voting members"},
		},
		"DeadButEnough": {
			reason: "three of four are a quorum of five, and the fourth is told of", before: 5,
			set: func(b *box) {
				for n := 3; n <= 6; n++ {
					b.etcd.Join(fmt.Sprintf("etcd-%d", n), peer(n))
				}
				b.must(b.etcd.Kill("etcd-6"))
			},
			want:  "etcd-1 voter, etcd-2 voter, etcd-3 voter, etcd-4 voter, etcd-5 voter, etcd-6 voter",
			tells: []string{"etcd-6 at https://10.0.0.6:2380 does not answer", "on a healthy other box: REMOVE etcd-6"},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBox(t)
				if c.set != nil {
					c.set(b)
				}
				o := b.run(t.Context())
				if o.err != nil || o.before != c.before {
					t.Fatalf("%s: %v; %d voted before, want %d", c.reason, o.err, o.before, c.before)
				}
				if got := b.roles(); got != c.want {
					t.Errorf("%s: members: want %s, got %s", c.reason, c.want, got)
				}
				for _, text := range c.tells {
					if !o.tells(text) {
						t.Errorf("%s: it does not tell %q: %q", c.reason, text, o.told)
					}
				}
				if v, err := b.join().Look(t.Context()); err != nil || !v.Settled() {
					t.Errorf("%s: it is not settled: %v", c.reason, err)
				}
			})
		})
	}
}

// Somebody adds a member between ours being added and started: ours ends
// itself, and is told anew. The other has no name, and goes by its ID.
func TestToldAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBox(t)
		b.etcd.MaxLearners(2)
		time.AfterFunc(500*time.Millisecond, func() { b.learner(3) })
		if o := b.run(t.Context()); o.err != nil {
			t.Fatal(o.err)
		}
		list, err := b.etcd.Members(t.Context())
		b.must(err)
		want := []etcd.Initial{
			{Cluster: "etcd-1=" + peer(1) + ",etcd-2=" + peer(2), State: etcd.StateExisting},
			{Cluster: fmt.Sprintf("etcd-1=%s,etcd-2=%s,%x=%s", peer(1), peer(2), list[0].ID, peer(3)), State: etcd.StateExisting},
		}
		if diff := cmp.Diff(want, b.told); diff != "" {
			t.Errorf("told (-want +got):\n%s", diff)
		}
	})
}

// What only a first start reads is not written again once there is data: that
// would start the member anew for nothing.
func TestToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBox(t)
		b.etcd.MaxLearners(2)
		b.idle = true
		time.AfterFunc(500*time.Millisecond, func() {
			list, err := b.etcd.Members(t.Context())
			b.must(err)
			b.log(list[0].ID)
			b.learner(3)
		})
		time.AfterFunc(2*time.Second, func() { b.must(errors.Join(b.etcd.Start(peer(2), "etcd-2"), b.etcd.Sync("etcd-2"))) })
		if o := b.run(t.Context()); o.err != nil {
			t.Fatal(o.err)
		}
		for _, in := range b.told {
			if diff := cmp.Diff(b.told[0], in); diff != "" {
				t.Errorf("told (-first +later):\n%s", diff)
			}
		}
	})
}

// A learner that does not answer gets no vote, though etcd would give it one:
// a cluster of one would lose its quorum. It is started anew once.
func TestSilentLearner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBox(t)
		b.log(b.learner(2))
		b.must(errors.Join(b.etcd.Start(peer(2), "etcd-2"), b.etcd.Sync("etcd-2"), b.etcd.Kill("etcd-2")))
		b.idle = true
		o := b.run(t.Context())
		if code := codeOf(o.err); code != phases.CodeTimeout || b.roles() != "etcd-1 voter, etcd-2 learner" || b.restarts != 1 {
			t.Errorf("code %d, %s, started anew %d times: %v", code, b.roles(), b.restarts, o.err)
		}
	})
}

// What the machine tells of a member that ends again and again is the error,
// at once.
func TestCrashed(t *testing.T) {
	broken := errors.New("it ends again and again")
	for name, set := range map[string]func(*box){
		"Start":   func(b *box) { b.idle = true },
		"Promote": func(b *box) { b.log(b.learner(2)); b.must(b.etcd.Start(peer(2), "etcd-2")); b.idle = true },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBox(t)
				set(b)
				b.crashed = broken
				began := time.Now()
				if o := b.run(t.Context()); !errors.Is(o.err, broken) || time.Since(began) > time.Second {
					t.Errorf("%v after %s, want %v at once", o.err, time.Since(began), broken)
				}
			})
		})
	}
}

// TestGlance: health is asked for only where it counts.
func TestGlance(t *testing.T) {
	for name, c := range map[string]struct {
		reason string
		set    func(*box)
		health bool
	}{
		"New":     {"there is nothing to judge", func(*box) {}, false},
		"Learner": {"one that was added is only to be started", func(b *box) { b.learner(2) }, false},
		"Data":    {"whose data is it", func(b *box) { b.log(7) }, true},
		"Started": {"it may be alive", func(b *box) { b.etcd.Join("etcd-2", peer(2)) }, true},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBox(t)
			c.set(b)
			asked := false
			b.etcd.Intercept(func(m etcd.Method) error { asked = asked || m == etcd.MethodHealth; return nil })
			if _, err := b.join().Glance(t.Context()); err != nil || asked != c.health {
				t.Errorf("%s: health asked for: %t, want %t; %v", c.reason, asked, c.health, err)
			}
		})
	}
}

func TestSettled(t *testing.T) {
	own := etcd.Member{ID: 2, Name: "etcd-2"}
	report := etcd.Report{Members: []etcd.MemberHealth{{Member: own}}}
	for name, c := range map[string]struct {
		reason string
		view   membership.View
		want   bool
	}{
		"None":     {"etcd does not know it", membership.View{}, false},
		"New":      {"it has never started", membership.View{Own: &etcd.Member{ID: 2}, Report: report}, false},
		"Learner":  {"it has no vote", membership.View{Own: &etcd.Member{ID: 2, Name: "etcd-2", Learner: true}, Report: report}, false},
		"Data":     {"it votes on the data here", membership.View{Own: &own, Data: &etcd.Owner{Member: 2}}, true},
		"Foreign":  {"it votes, and the data here is another's", membership.View{Own: &own, Data: &etcd.Owner{Member: 3}, Report: report}, false},
		"Answers":  {"its data lies elsewhere, for it answers", membership.View{Own: &own, Report: report}, true},
		"DataLost": {"it votes, does not answer and has no data", membership.View{Own: &own}, false},
	} {
		if got := c.view.Settled(); got != c.want {
			t.Errorf("%s: %s: got %t", name, c.reason, got)
		}
	}
}

// TestTakeBack: only this machine's learner goes, and what it wrote.
func TestTakeBack(t *testing.T) {
	cases := map[string]struct {
		reason string
		set    func(*box)
		want   string
		fails  bool
		left   bool // the data directory
		runs   bool // etcd
	}{
		"NotAdded": {reason: "there is nothing to take back", set: func(*box) {}, want: "etcd-1 voter"},
		"NotStarted": {
			reason: "the run made the directory, which goes with it",
			set:    func(b *box) { b.learner(2); b.idle = true; b.must(b.put(b.t.Context(), etcd.Initial{})) },
			want:   "etcd-1 voter",
		},
		"Started": {
			reason: "the directory was there before, and stays", left: true,
			set: func(b *box) {
				b.must(b.Mkdir(b.t.Context(), dataDir, 0o700))
				b.log(b.learner(2))
				b.must(b.etcd.Start(peer(2), "etcd-2"))
			},
			want: "etcd-1 voter",
		},
		"OtherMachine": {
			reason: "one with this address started elsewhere: its data is not here",
			set:    func(b *box) { b.learner(2); b.must(b.etcd.Start(peer(2), "etcd-9")) },
			want:   "etcd-1 voter, etcd-9 learner",
		},
		"OtherLearner": {reason: "it is of another address", set: func(b *box) { b.learner(3) }, want: "- learner, etcd-1 voter"},
		"Voter": {
			reason: "that is a decision about the cluster", fails: true, left: true, runs: true,
			set:  func(b *box) { b.must(b.run(b.t.Context()).err) },
			want: "etcd-1 voter, etcd-2 voter",
		},
		"Unreachable": {
			reason: "what is left is named", fails: true,
			set: func(b *box) {
				id := b.learner(2)
				b.etcd.Intercept(func(m etcd.Method) error {
					if m == etcd.MethodRemove {
						return fmt.Errorf("remove %x: %w", id, etcd.ErrUnreachable)
					}
					return nil
				})
			},
			want: "- learner, etcd-1 voter",
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBox(t)
				c.set(b)
				if err := b.join().TakeBack(t.Context()); (err != nil) != c.fails {
					t.Errorf("%s: %v", c.reason, err)
				}
				if got := b.roles(); got != c.want {
					t.Errorf("%s: members: want %s, got %s", c.reason, c.want, got)
				}
				if have, _ := b.onDisk(t.Context()); (have != nil) != c.runs {
					t.Errorf("%s: etcd is set up: %v, want %t", c.reason, have, c.runs)
				}
				_, err := b.Stat(t.Context(), dataDir)
				if errors.Is(err, fs.ErrNotExist) == c.left {
					t.Errorf("%s: data directory: %v, want it: %t", c.reason, err, c.left)
				}
			})
		})
	}
}

// TestRemove: a member is gone when the others say so.
func TestRemove(t *testing.T) {
	cases := map[string]struct {
		reason string
		err    error // of the first calls of Remove
		times  int
		set    func(*box)
		want   error
		roles  string
	}{
		"AtOnce":    {reason: "it is gone", roles: "etcd-1 voter, etcd-3 voter"},
		"Election":  {reason: "the leader has gone", err: etcd.ErrNoQuorum, times: 3, roles: "etcd-1 voter, etcd-3 voter"},
		"Unsettled": {reason: "a member has just come back", err: etcd.ErrNotConnected, times: 3, roles: "etcd-1 voter, etcd-3 voter"},
		"Silent":    {reason: "the limit is over", err: etcd.ErrUnreachable, times: 1 << 20, want: errLate, roles: "etcd-1 voter, etcd-2 voter, etcd-3 voter"},
		"Quorum": {
			reason: "another one is dead: no later try would help", want: etcd.ErrQuorum, roles: "etcd-1 voter, etcd-2 voter, etcd-3 voter",
			set: func(b *box) { b.must(b.etcd.Kill("etcd-3")) },
		},
		"Gone": {
			reason: "an earlier run has removed it", roles: "etcd-1 voter, etcd-3 voter",
			set: func(b *box) {
				list, err := b.etcd.Members(b.t.Context())
				b.must(errors.Join(err, b.etcd.Remove(b.t.Context(), list[1].ID)))
			},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBox(t)
				b.etcd.Settle(0)
				b.etcd.Join("etcd-2", peer(2))
				b.etcd.Join("etcd-3", peer(3))
				list, err := b.etcd.Members(t.Context())
				b.must(err)
				if c.set != nil {
					c.set(b)
				}
				tries := 0
				b.etcd.Intercept(func(m etcd.Method) error {
					if m != etcd.MethodRemove {
						return nil
					}
					if tries++; tries <= c.times {
						return c.err
					}
					return nil
				})
				err = membership.Remove(t.Context(), b.etcd, membership.Removal{ID: list[1].ID, What: "it goes", Limit: time.Minute})
				if !is(err, c.want) {
					t.Errorf("%s: want %v, got %v", c.reason, c.want, err)
				}
				if got := b.roles(); got != c.roles {
					t.Errorf("%s: members: want %s, got %s", c.reason, c.roles, got)
				}
			})
		})
	}
}

// An interrupt ends a join with its cause.
func TestInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBox(t)
		b.idle = true
		interrupt := errors.New("interrupted")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(2*time.Second, func() { cancel(interrupt) })
		if o := b.run(ctx); !errors.Is(o.err, interrupt) {
			t.Errorf("want %v, got %v", interrupt, o.err)
		}
	})
}
