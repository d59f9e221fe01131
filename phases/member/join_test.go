package member_test

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hactl/hactl/config/goldentest"
	"github.com/hactl/hactl/etcd"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/member"
)

func TestJoin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		n := w.node(2)
		o := n.join(t.Context())
		if o.err != nil || o.end != phases.Finished {
			t.Fatalf("the end is %s: %v", o.end, o.err)
		}
		if got, want := w.members(), "cp-1 voter, cp-2 voter"; got != want {
			t.Errorf("members: want %s, got %s", want, got)
		}
		for _, text := range []string{"etcd: 1 → 2 voting members, tolerates 0 → 0 failures", "2 voting members: an even number"} {
			if !o.tells(text) {
				t.Errorf("it does not tell %q: %q", text, o.told)
			}
		}
		data, err := n.ReadFile(t.Context(), manifest)
		if err != nil {
			t.Fatal(err)
		}
		goldentest.Check(t, "join.etcd.yaml", data)
		if info, err := n.Stat(t.Context(), "/var/lib/etcd"); err != nil || info.Mode.Perm() != 0o700 {
			t.Errorf("data directory: mode %v, %v, want 0700", info.Mode, err)
		}
		if holder := w.holder(); holder != "" {
			t.Errorf("the Lease is still held by %s", holder)
		}
		if o := n.join(t.Context()); o.err != nil || o.end != phases.Unchanged {
			t.Errorf("a second run: %s, %v, want unchanged", o.end, o.err)
		}
		if w.crashes > 0 {
			t.Errorf("etcd was started %d times with the wrong members", w.crashes)
		}
	})
}

// holder is who holds the Lease, "" for nobody.
func (w *world) holder() string {
	l := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "hactl-etcd-join"}}
	if err := w.api.Get(w.t.Context(), l); err != nil || l.Spec.HolderIdentity == nil {
		return ""
	}
	return *l.Spec.HolderIdentity
}

// hold takes the Lease for somebody else, as of then.
func (w *world) hold(holder string, then time.Time) {
	renewed := metav1.NewMicroTime(then)
	err := w.api.Set(&coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "hactl-etcd-join"},
		Spec:       coordinationv1.LeaseSpec{HolderIdentity: &holder, RenewTime: &renewed},
	})
	if err != nil {
		w.t.Error(err)
	}
}

// TestTogether: requirement P7 and acceptance scenario 2.
func TestTogether(t *testing.T) {
	cases := map[string]struct {
		reason   string
		flags    []string
		learners int
		nodes    int
		limit    time.Duration
	}{
		"One":      {"etcd takes one learner, and a voting member must be connected for 5 s before the next", nil, 1, 2, 20 * time.Second},
		"Many":     {"members are started in turn and promoted together: nobody waits for 5 s", []string{"--max-learners=4"}, 4, 2, 4 * time.Second},
		"Four":     {"a long queue", nil, 1, 4, time.Minute},
		"ManyFour": {"nor do they if they are four", []string{"--max-learners=4"}, 4, 4, 5500 * time.Millisecond},
		"ManyFive": {"the last one waits for a place among the learners, and for nothing else", []string{"--max-learners=4"}, 4, 5, 15 * time.Second},
		"Mixed":    {"a flag that says one is as none", []string{"--max-learners=1"}, 1, 2, 20 * time.Second},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, c.flags...)
				w.etcd.MaxLearners(c.learners)
				began := time.Now()
				var all sync.WaitGroup
				outcomes := make([]outcome, c.nodes)
				for i := range c.nodes {
					all.Go(func() { outcomes[i] = w.node(i + 2).join(t.Context()) })
				}
				all.Wait()
				want, waited := "cp-1 voter", false
				for i, o := range outcomes {
					if o.err != nil {
						t.Errorf("%s: cp-%d: %v", c.reason, i+2, o.err)
					}
					want += fmt.Sprintf(", cp-%d voter", i+2)
					waited = waited || o.tells("is adding its own")
					if c.nodes < c.learners+1 && c.learners > 1 && o.tells(etcd.ErrNotConnected.Error()) {
						t.Errorf("%s: cp-%d was told to wait: %q", c.reason, i+2, o.told)
					}
				}
				if got := w.members(); got != want {
					t.Errorf("%s: members: want %s, got %s", c.reason, want, got)
				}
				if took := time.Since(began); took > c.limit {
					t.Errorf("%s: it took %s, want at most %s", c.reason, took, c.limit)
				}
				if !waited || w.crashes > 0 {
					t.Errorf("%s: somebody waited: %t; etcd was told of the wrong members %d times", c.reason, waited, w.crashes)
				}
			})
		})
	}
}

// TestReplace: a node comes back with the same address after a wipe.
func TestReplace(t *testing.T) {
	for name, leftover := range map[string]bool{"Wiped": false, "ManifestLeft": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.voter(3)
				n := w.node(2)
				w.etcd.Settle(0)
				if o := n.join(t.Context()); o.err != nil {
					t.Fatal(o.err)
				}
				if err := w.etcd.Kill("cp-2"); err != nil {
					t.Fatal(err)
				}
				if err := n.Memory.RemoveAll(t.Context(), "/var/lib/etcd"); err != nil {
					t.Fatal(err)
				}
				if !leftover {
					if err := n.Memory.Remove(t.Context(), manifest); err != nil {
						t.Fatal(err)
					}
				}
				o := n.join(t.Context())
				if o.err != nil || o.end != phases.Finished {
					t.Fatalf("the end is %s: %v", o.end, o.err)
				}
				if got, want := w.members(), "cp-1 voter, cp-2 voter, cp-3 voter"; got != want {
					t.Errorf("members: want %s, got %s", want, got)
				}
				for _, text := range []string{"this node's new member takes its place", "3 → 2 voting members, tolerates 1 → 0", "2 → 3 voting members, tolerates 0 → 1"} {
					if !o.tells(text) {
						t.Errorf("it does not tell %q: %q", text, o.told)
					}
				}
			})
		})
	}
}

func TestExternalJoin(t *testing.T) {
	w := newWorld(t)
	n := w.node(2)
	task := n.task()
	task.Cluster = &load(t, "external-etcd").Cluster
	if o := do(t.Context(), member.JoinPhase(), task); o.end != phases.Skipped || o.err != nil {
		t.Errorf("etcd-join: %s, %v, want skipped", o.end, o.err)
	}
	if o := do(t.Context(), member.CheckPhase(), task); o.end != phases.Skipped || o.err != nil {
		t.Errorf("check-etcd: %s, %v, want skipped", o.end, o.err)
	}
}
