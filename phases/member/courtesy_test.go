package member_test

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestCourtesy: a member waits with its vote only as long as that helps
// another one. It starts a second after its manifest is written.
func TestCourtesy(t *testing.T) {
	cases := map[string]struct {
		reason   string
		voters   int
		flags    []string
		holder   string // takes the turn when it is free, and adds nothing
		from, to time.Duration
	}{
		"Alone":    {"nobody takes the turn for half a second", 1, []string{"--max-learners=4"}, "", 1500 * time.Millisecond, 1800 * time.Millisecond},
		"Two":      {"a third vote would delay a fourth member", 2, []string{"--max-learners=4"}, "", 1500 * time.Millisecond, 1800 * time.Millisecond},
		"Three":    {"a fourth vote delays nobody", 3, []string{"--max-learners=4"}, "cp-9", time.Second, 1300 * time.Millisecond},
		"Stuck":    {"who has the turn does not go on", 1, []string{"--max-learners=4"}, "cp-9", 7 * time.Second, 7500 * time.Millisecond},
		"One":      {"etcd takes one learner: the turn lasts until the vote", 1, nil, "cp-9", time.Second, 1300 * time.Millisecond},
		"OwnAgain": {"the turn that could not be given back is no other's", 1, []string{"--max-learners=4"}, "cp-2", 1500 * time.Millisecond, 1800 * time.Millisecond},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, c.flags...)
				w.etcd.MaxLearners(4)
				for i := 1; i < c.voters; i++ {
					w.voter(10 + i)
				}
				n := w.node(2)
				started := false
				n.after = func(call string) error {
					started = started || call == "write"
					if call == "update" && started && c.holder != "" && w.holder() == "" {
						w.hold(c.holder, time.Now())
					}
					return nil
				}
				began := time.Now()
				o := n.join(t.Context())
				if o.err != nil {
					t.Fatalf("%s: %v", c.reason, o.err)
				}
				if took := time.Since(began); took < c.from || took > c.to {
					t.Errorf("%s: it took %s, want %s to %s", c.reason, took, c.from, c.to)
				}
			})
		})
	}
}
