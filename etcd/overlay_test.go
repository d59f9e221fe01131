package etcd_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hactl/hactl/etcd"
	"github.com/hactl/hactl/etcd/etcdtest"
)

// rehearsal is an Overlay over memory, in which m2 is the member to start.
type rehearsal struct {
	*etcd.Overlay
	base    *etcd.Memory
	started bool
	later   time.Duration // how much further the clock is
}

func rehearse(members, learners int) *rehearsal {
	r := &rehearsal{base: memory(members)}
	r.Overlay = etcd.NewOverlay(r.base, etcd.OverlayConfig{
		Name: "m2", PeerURL: memoryPeer("m2"), ClientURL: "https://10.0.0.2:2379",
		Started:  func(context.Context) bool { return r.started },
		Learners: learners,
		Now:      func() time.Time { return time.Now().Add(r.later) },
	})
	return r
}

func TestOverlay(t *testing.T) {
	etcdtest.Run(t, func(t *testing.T, members int) etcdtest.World {
		r := rehearse(members, 0)
		return etcdtest.World{
			Cluster: r,
			Peer:    memoryPeer,
			Start: func(name string) {
				r.started = name == "m2"
				if members > 1 {
					check(t, r.base.Start(memoryPeer(name), name))
				}
			},
			Sync:   func(string) {},
			Kill:   func(name string) { check(t, r.base.Kill(name)) },
			Settle: func() { r.later += 5 * time.Second; r.base.Settle(0) },
		}
	})
}

// TestOverlayChangesNothing: the base knows of no change, and all are listed.
func TestOverlayChangesNothing(t *testing.T) {
	r := rehearse(1, 0)
	before, err := r.base.Health(t.Context())
	check(t, err)
	m, err := r.AddLearner(t.Context(), memoryPeer("m2"))
	check(t, err)
	r.started = true
	check(t, r.Promote(t.Context(), m.ID))
	r.later = 5 * time.Second
	again, err := r.AddLearner(t.Context(), memoryPeer("m3"))
	check(t, err)
	check(t, r.Remove(t.Context(), again.ID))
	check(t, r.Remove(t.Context(), before.Members[0].ID))
	after, err := r.base.Health(t.Context())
	check(t, err)
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("the base changed: -before +after\n%s", diff)
	}
	want := []etcd.Change{
		{Verb: "add learner", Member: memoryPeer("m2")}, {Verb: "promote", Member: "m2"},
		{Verb: "add learner", Member: memoryPeer("m3")}, {Verb: "remove", Member: memoryPeer("m3")},
		{Verb: "remove", Member: "m1"},
	}
	if diff := cmp.Diff(want, r.Changes()); diff != "" {
		t.Errorf("changes: -want +got\n%s", diff)
	}
	report, err := r.Health(t.Context())
	check(t, err)
	if len(report.Members) != 1 || !report.Members[0].Leader {
		t.Errorf("want m2 to lead itself, got %+v", report.Members)
	}
}

// own is what the overlay says of m2.
func (r *rehearsal) own(t *testing.T) etcd.MemberHealth {
	t.Helper()
	report, err := r.Health(t.Context())
	check(t, err)
	for _, m := range report.Members {
		if m.HasPeer(memoryPeer("m2")) {
			return m
		}
	}
	return etcd.MemberHealth{}
}

// TestOverlayOwn is what becomes of the member that the dry run starts.
func TestOverlayOwn(t *testing.T) {
	add := func(t *testing.T, r *rehearsal) error {
		_, err := r.AddLearner(t.Context(), memoryPeer("m2"))
		return err
	}
	inBase := func(t *testing.T, r *rehearsal) {
		_, err := r.base.AddLearner(t.Context(), memoryPeer("m2"))
		check(t, err)
	}
	for name, c := range map[string]struct {
		reason  string
		members int
		before  func(*testing.T, *rehearsal)
		do      func(*testing.T, *rehearsal) error
		want    error // of do
		err     error // of the member
		name    string
		votes   bool
	}{
		"Added": {"nothing starts it yet", 1, nil, add, nil, etcd.ErrNotStarted, "", false},
		"Begun": {"its manifest was there before it was added", 1, func(_ *testing.T, r *rehearsal) { r.started = true },
			add, nil, nil, "m2", false},
		"Unserved": {"who has not started serves nobody", 1, nil, func(t *testing.T, r *rehearsal) error {
			return errors.Join(add(t, r), r.Serves(t.Context(), "https://10.0.0.2:2379"))
		}, etcd.ErrUnreachable, etcd.ErrNotStarted, "", false},
		"Serves": {"who has started serves clients", 1, func(_ *testing.T, r *rehearsal) { r.started = true },
			func(t *testing.T, r *rehearsal) error {
				return errors.Join(add(t, r), r.Serves(t.Context(), "https://10.0.0.2:2379"))
			}, nil, nil, "m2", false},
		"Interrupted": {"an earlier run added it, and this one has not come to it", 1, func(t *testing.T, r *rehearsal) {
			inBase(t, r)
			r.started = true
		}, func(*testing.T, *rehearsal) error { return nil }, nil, etcd.ErrNotStarted, "", false},
		"GoesOn": {"an earlier run added it, and this one starts it and gives it its vote", 1, inBase, func(t *testing.T, r *rehearsal) error {
			m, err := r.AddLearner(t.Context(), memoryPeer("m2"))
			r.started = true
			return errors.Join(err, r.Promote(t.Context(), m.ID))
		}, nil, nil, "m2", true},
		"Lagging": {"one that really runs is not in sync before it is", 1, func(t *testing.T, r *rehearsal) {
			inBase(t, r)
			check(t, r.base.Start(memoryPeer("m2"), "m2"))
		}, func(t *testing.T, r *rehearsal) error { return r.Promote(t.Context(), r.own(t).ID) }, etcd.ErrNotReady, nil, "m2", false},
		"Dead": {"one that ran and does not answer is dead, whatever is written here", 3, func(t *testing.T, r *rehearsal) {
			check(t, r.base.Kill("m2"))
			r.started = true
		}, add, nil, etcd.ErrUnreachable, "m2", true},
		"DeadServesNone": {"nor does it serve clients", 3, func(t *testing.T, r *rehearsal) {
			check(t, r.base.Kill("m2"))
			r.started = true
		}, func(t *testing.T, r *rehearsal) error {
			return errors.Join(add(t, r), r.Serves(t.Context(), "https://10.0.0.2:2379"))
		}, etcd.ErrUnreachable, etcd.ErrUnreachable, "m2", true},
		"Again": {"a join was taken back and begins anew", 1, func(_ *testing.T, r *rehearsal) { r.started = true },
			func(t *testing.T, r *rehearsal) error {
				return errors.Join(add(t, r), r.Remove(t.Context(), r.own(t).ID), add(t, r))
			}, nil, nil, "m2", false},
		"Replaced": {"a dead one is taken out, and the new one is another", 3, func(t *testing.T, r *rehearsal) { check(t, r.base.Kill("m2")) },
			func(t *testing.T, r *rehearsal) error {
				return errors.Join(r.Remove(t.Context(), r.own(t).ID), add(t, r))
			}, nil, etcd.ErrNotStarted, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			r := rehearse(c.members, 0)
			if c.before != nil {
				c.before(t, r)
			}
			if err := c.do(t, r); !errors.Is(err, c.want) {
				t.Errorf("%s: want %v, got %v", c.reason, c.want, err)
			}
			if m := r.own(t); !errors.Is(m.Err, c.err) || m.Name != c.name || m.Learner == c.votes {
				t.Errorf("%s: want %q, %v, vote %t, got %+v", c.reason, c.name, c.err, c.votes, m)
			}
		})
	}
}

// TestOverlayRefuses is what etcd would refuse after the changes here.
func TestOverlayRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		reason            string
		members, learners int
		do                func(*testing.T, *rehearsal) error
		want              error
	}{
		"Limit": {"the limit is that of the cluster", 1, 2, func(t *testing.T, r *rehearsal) error {
			_, a := r.AddLearner(t.Context(), memoryPeer("m2"))
			_, b := r.AddLearner(t.Context(), memoryPeer("m3"))
			return errors.Join(a, b)
		}, nil},
		"BaseLearner": {"a learner of another node counts", 1, 0, func(t *testing.T, r *rehearsal) error {
			_, err := r.base.AddLearner(t.Context(), memoryPeer("m3"))
			check(t, err)
			_, err = r.AddLearner(t.Context(), memoryPeer("m2"))
			return err
		}, etcd.ErrTooManyLearners},
		"Two": {"who went here is no more part of the quorum", 3, 0, func(t *testing.T, r *rehearsal) error {
			check(t, r.Remove(t.Context(), r.own(t).ID))
			check(t, r.base.Kill("m3"))
			_, err := r.AddLearner(t.Context(), memoryPeer("m4"))
			return err
		}, etcd.ErrNoQuorum},
		"Last": {"of three removed in turn, the last one stays", 3, 0, func(t *testing.T, r *rehearsal) error {
			list, err := r.Members(t.Context())
			check(t, err)
			for _, m := range list {
				err = errors.Join(err, r.Remove(t.Context(), m.ID))
			}
			return err
		}, etcd.ErrLastVoter},
		"Young": {"who votes since a moment is no part of the quorum that remains", 1, 0, func(t *testing.T, r *rehearsal) error {
			r.started = true
			m, err := r.AddLearner(t.Context(), memoryPeer("m2"))
			check(t, errors.Join(err, r.Promote(t.Context(), m.ID)))
			list, err := r.Members(t.Context())
			check(t, err)
			return r.Remove(t.Context(), list[0].ID)
		}, etcd.ErrNotConnected},
	} {
		t.Run(name, func(t *testing.T) {
			if err := c.do(t, rehearse(c.members, c.learners)); !errors.Is(err, c.want) {
				t.Errorf("%s: want %v, got %v", c.reason, c.want, err)
			}
		})
	}
}
