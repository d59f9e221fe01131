package membership_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hactl/hactl/config/goldentest"
	"github.com/hactl/hactl/etcd"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/wait"
)

// errLate stands for any *wait.TimeoutError.
var errLate = errors.New("late")

func is(err, want error) bool {
	var late *wait.TimeoutError
	if want == errLate {
		return errors.As(err, &late)
	}
	return errors.Is(err, want)
}

func codeOf(err error) phases.Code {
	var fault *phases.Fault
	if errors.As(err, &fault) {
		return fault.Code()
	}
	return 0
}

// TestRefused: what people read, and within which time. Nothing of etcd or of
// the machine has changed by then, unless the wait is for that.
func TestRefused(t *testing.T) {
	const soon, later = 3 * time.Second, 5 * time.Minute
	cases := map[string]struct {
		reason string
		set    func(*box)
		code   phases.Code
		within time.Duration
	}{
		"AddressTaken": {"a live member has this address", func(b *box) { b.etcd.Join("etcd-9", peer(2)) }, phases.CodeUnsafe, soon},
		"AllDead":      {"nobody answers", func(b *box) { b.must(b.etcd.Kill("etcd-1")) }, phases.CodeFailed, soon},
		"CannotReplace": {"a second member died, between the look and the removal", func(b *box) {
			b.etcd.Join("etcd-2", peer(2))
			b.etcd.Join("etcd-3", peer(3))
			b.must(b.etcd.Kill("etcd-2"))
			b.on(etcd.MethodRemove, func() error { return etcd.ErrQuorum })
		}, phases.CodeUnsafe, soon},
		"DataOfOther":    {"the data is of another cluster", func(b *box) { b.log(7) }, phases.CodeUnsafe, soon},
		"DataUnreadable": {"nothing tells whose it is", func(b *box) { b.must(b.WriteFile(b.t.Context(), segment, []byte("?"), 0o600)) }, phases.CodeUnsafe, soon},
		"Dead": {"one of three is dead, and etcd would refuse a fourth", func(b *box) {
			b.etcd.Join("etcd-3", peer(3))
			b.etcd.Join("etcd-4", peer(4))
			b.must(b.etcd.Kill("etcd-4"))
		}, phases.CodeFailed, soon},
		"DiesMeanwhile": {"one of three dies while etcd refuses the learner for the moment", func(b *box) {
			b.etcd.Join("etcd-3", peer(3))
			b.etcd.Join("etcd-4", peer(4))
			b.on(etcd.MethodAddLearner, func() error { return b.etcd.Kill("etcd-4") })
		}, phases.CodeFailed, soon},
		"LearnerAhead": {"another's learner has the only place, and nobody goes on with it", func(b *box) { b.learner(3) }, phases.CodeTimeout, later},
		"Lost": {"somebody removes it while it starts", func(b *box) {
			b.idle = true
			time.AfterFunc(time.Second, func() {
				list, err := b.etcd.Members(b.t.Context())
				b.must(errors.Join(err, b.etcd.Remove(b.t.Context(), list[0].ID)))
			})
		}, phases.CodeFailed, soon},
		"NameTaken": {"another address has the name", func(b *box) { b.etcd.Join("etcd-2", peer(9)) }, phases.CodeUnsafe, soon},
		"NoQuorum": {"one of two is dead", func(b *box) {
			b.etcd.Join("etcd-3", peer(3))
			b.must(b.etcd.Kill("etcd-3"))
		}, phases.CodeFailed, soon},
		"NotInSync": {"it never gets all data", func(b *box) {
			b.on(etcd.MethodPromote, func() error { return etcd.ErrNotReady })
		}, phases.CodeTimeout, later},
		"NotStarted": {"nothing starts it", func(b *box) { b.idle = true }, phases.CodeTimeout, later},
	}
	var text bytes.Buffer
	for _, name := range slices.Sorted(maps.Keys(cases)) {
		c := cases[name]
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBox(t)
				c.set(b)
				began := time.Now()
				o := b.run(t.Context())
				if codeOf(o.err) != c.code || time.Since(began) > c.within {
					t.Errorf("%s: want code %d within %s, got %v after %s", c.reason, c.code, c.within, o.err, time.Since(began))
				}
				if c.code == phases.CodeUnsafe && len(b.told) > 0 {
					t.Errorf("%s: etcd was started", c.reason)
				}
				explain(&text, name, o.err)
			})
		})
	}
	goldentest.Check(t, "refusals.golden", text.Bytes())
}

// on runs f before each call of a method.
func (b *box) on(method etcd.Method, f func() error) {
	b.etcd.Intercept(func(m etcd.Method) error {
		if m == method {
			return f()
		}
		return nil
	})
}

// A limit of the queue: by turns nobody is ahead for long; without them, the
// learners ahead may take as long as a member may take to start.
func TestQueueLimit(t *testing.T) {
	for byTurns, want := range map[bool]string{true: "timeouts.etcdAPICall", false: "timeouts.controlPlaneComponentHealthCheck"} {
		synctest.Test(t, func(t *testing.T) {
			b := newBox(t)
			b.learner(3)
			m := b.member()
			m.ByTurns = byTurns
			j := m.Join(b.etcd, nil)
			v, err := j.Look(t.Context())
			b.must(err)
			_, err = j.Start(context.Background(), v, etcd.CourseAdd)
			var late *wait.TimeoutError
			if !errors.As(err, &late) || late.LimitName != want {
				t.Errorf("by turns: %t: want the limit %s, got %v", byTurns, want, err)
			}
		})
	}
}

// explain writes an error as a person sees it.
func explain(to *bytes.Buffer, name string, err error) {
	var fault *phases.Fault
	if !errors.As(err, &fault) {
		fmt.Fprintf(to, "%s\n  error %v\n", name, err)
		return
	}
	fmt.Fprintf(to, "%s (%d)\n  what  %s\n", name, fault.Code(), fault.What)
	if fault.Why != nil {
		fmt.Fprintf(to, "  why   %v\n", fault.Why)
	}
	for _, fix := range fault.Fixes {
		fmt.Fprintf(to, "  fix   %s\n", fix)
	}
}
