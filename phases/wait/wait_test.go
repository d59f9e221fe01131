package wait_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/wait"
)

const ms = time.Millisecond

// log is a condition that notes when it was checked, since its making.
type log struct {
	began time.Time
	times []time.Duration
}

func newLog() *log { return &log{began: time.Now()} }

// until returns a Check that is met at the nth call; n = 0 means never.
func (l *log) until(n int) func(context.Context) (bool, string, error) {
	return func(context.Context) (bool, string, error) {
		l.times = append(l.times, time.Since(l.began))
		return len(l.times) == n, "not yet", nil
	}
}

func TestForTimes(t *testing.T) {
	cases := map[string]struct {
		reason string
		limit  time.Duration
		until  int
		wake   func(chan<- struct{}) // nil means that nothing can wake
		want   []time.Duration
	}{
		"AtOnce": {
			reason: "a condition that is met is checked once, without waiting",
			limit:  time.Second, until: 1, want: []time.Duration{0},
		},
		"BackOff": {
			reason: "pauses grow by half from 20 ms",
			until:  5,
			want:   []time.Duration{0, 20 * ms, 50 * ms, 95 * ms, 162500 * time.Microsecond},
		},
		"SafetyTick": {
			reason: "without an event there is one check in time to report, then one each 2 s",
			until:  4, wake: func(chan<- struct{}) {},
			want: []time.Duration{0, 300 * ms, 2300 * ms, 4300 * ms},
		},
		"Wake": {
			reason: "an event causes a check at once",
			until:  3, wake: func(c chan<- struct{}) {
				time.Sleep(10 * ms)
				c <- struct{}{}
				time.Sleep(10 * ms)
				c <- struct{}{}
			},
			want: []time.Duration{0, 10 * ms, 20 * ms},
		},
		"ClosedWake": {
			reason: "a watch that ended does not make the wait spin",
			until:  3, wake: func(c chan<- struct{}) { close(c) },
			want: []time.Duration{0, 300 * ms, 2300 * ms},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLog()
				cond := wait.Condition{What: "it is so", Check: l.until(c.until)}
				if c.wake != nil {
					events := make(chan struct{})
					cond.Wake = []<-chan struct{}{make(chan struct{}), events}
					go c.wake(events)
				}
				if err := wait.For(t.Context(), c.limit, cond); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(c.want, l.times); diff != "" {
					t.Errorf("%s: -want +got\n%s", c.reason, diff)
				}
			})
		})
	}
}

func TestForLongestPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLog()
		if err := wait.For(t.Context(), 0, wait.Condition{Check: l.until(20)}); err != nil {
			t.Fatal(err)
		}
		if got := l.times[19] - l.times[18]; got != 500*ms {
			t.Errorf("want 500ms, got %s", got)
		}
	})
}

// A look brings the next check forward, once: a check that does not agree is
// not made again before its time.
func TestForLooks(t *testing.T) {
	cases := map[string]struct {
		reason string
		look   time.Duration // since when it says yes
		until  int
		wakes  bool
		want   []time.Duration
	}{
		"Sees": {
			reason: "the pause of 2 s is cut short",
			look:   750 * ms, until: 3, wakes: true,
			want: []time.Duration{0, 300 * ms, 800 * ms},
		},
		"Errs": {
			reason: "the check after it comes at its own time",
			look:   750 * ms, until: 4, wakes: true,
			want: []time.Duration{0, 300 * ms, 800 * ms, 2800 * ms},
		},
		"BackOff": {
			reason: "short pauses have no looks in them",
			until:  4, want: []time.Duration{0, 20 * ms, 50 * ms, 95 * ms},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLog()
				look := func(context.Context) bool { return time.Since(l.began) >= c.look }
				cond := wait.Condition{Check: l.until(c.until), Look: look}
				if c.wakes {
					cond.Wake = []<-chan struct{}{make(chan struct{})}
				}
				if err := wait.For(t.Context(), 0, cond); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(c.want, l.times); diff != "" {
					t.Errorf("%s: -want +got\n%s", c.reason, diff)
				}
			})
		})
	}
}

var errBroken = errors.New("kube-apiserver exited 3 times")

func TestForErrors(t *testing.T) {
	interrupt := errors.New("interrupted")
	cases := map[string]struct {
		reason string
		limit  time.Duration
		check  func(ctx context.Context) (bool, string, error)
		cancel time.Duration // after which the parent ends; 0 means never
		want   error
		after  time.Duration
	}{
		"Timeout": {
			reason: "the error tells the limit, its name and the last status",
			limit:  time.Minute,
			check:  func(context.Context) (bool, string, error) { return false, "connection refused", nil },
			want: &wait.TimeoutError{
				What: "it is ready", Limit: time.Minute, LimitName: "timeouts.it", Last: "connection refused",
			},
			after: time.Minute,
		},
		"TimeoutInsideCheck": {
			reason: "what a check says because its time was over is not a final error and no status",
			limit:  time.Minute,
			check: func(ctx context.Context) (bool, string, error) {
				<-ctx.Done()
				return false, "context deadline exceeded", ctx.Err()
			},
			want:  &wait.TimeoutError{What: "it is ready", Limit: time.Minute, LimitName: "timeouts.it"},
			after: time.Minute,
		},
		"Final": {
			reason: "an error of the check ends the wait at once",
			limit:  time.Minute,
			check:  func(context.Context) (bool, string, error) { return false, "", errBroken },
			want:   errBroken,
		},
		"Parent": {
			reason: "the cause of the parent's end is the error",
			limit:  time.Minute, cancel: time.Second,
			check: func(context.Context) (bool, string, error) { return false, "", nil },
			want:  interrupt, after: time.Second,
		},
		"ParentInsideCheck": {
			reason: "the cause is the error, whatever the check made of it",
			cancel: time.Second,
			check: func(ctx context.Context) (bool, string, error) {
				<-ctx.Done()
				return false, "", ctx.Err()
			},
			want: interrupt, after: time.Second,
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				if c.cancel > 0 {
					time.AfterFunc(c.cancel, func() { cancel(interrupt) })
				}
				began := time.Now()
				// A channel that nobody closes: For must end what reads it.
				err := wait.For(ctx, c.limit, wait.Condition{
					What: "it is ready", Check: c.check, LimitName: "timeouts.it",
					Wake: []<-chan struct{}{make(chan struct{})},
				})
				if diff := cmp.Diff(c.want, err, cmpopts.EquateErrors()); diff != "" && !sameTimeout(c.want, err) {
					t.Errorf("%s: -want +got\n%s", c.reason, diff)
				}
				if got := time.Since(began); got != c.after {
					t.Errorf("%s: want the end after %s, got %s", c.reason, c.after, got)
				}
			})
		})
	}
}

// sameTimeout compares by value: timeouts have no identity.
func sameTimeout(want, got error) bool {
	var w, g *wait.TimeoutError
	return errors.As(want, &w) && errors.As(got, &g) && *w == *g && g.Code() == phases.CodeTimeout && len(g.Fix()) == 1
}

func TestForReports(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type report struct {
			At   time.Duration
			Text string
		}
		var got []report
		began, calls := time.Now(), 0
		check := func(context.Context) (bool, string, error) {
			calls++
			if calls < 3 {
				return false, "port closed", nil
			}
			return calls == 5, "starting", nil
		}
		list := []phases.Phase[int]{{Name: "x", Apply: func(ctx context.Context, _ *int) error {
			return wait.For(ctx, 0, wait.Condition{What: "it is up", Check: check, Wake: []<-chan struct{}{make(chan struct{})}})
		}}}
		notify := func(e phases.Event) {
			if e.Kind == phases.Progress {
				got = append(got, report{time.Since(began), e.Reason})
			}
		}
		if err := phases.Run(t.Context(), list, new(int), phases.Options{Notify: notify}); err != nil {
			t.Fatal(err)
		}
		want := []report{
			{300 * ms, "waiting until it is up: port closed"},
			{2300 * ms, "waiting until it is up: starting"},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("each new status is told once: -want +got\n%s", diff)
		}
	})
}

func TestAll(t *testing.T) {
	met := func(d time.Duration) wait.Condition {
		began := time.Now()
		return wait.Condition{What: "met", Check: func(context.Context) (bool, string, error) {
			return time.Since(began) >= d, "", nil
		}}
	}
	never := func(what string) wait.Condition {
		return wait.Condition{What: what, Check: func(context.Context) (bool, string, error) { return false, "", nil }}
	}
	broken := wait.Condition{What: "broken", Check: func(context.Context) (bool, string, error) { return false, "", errBroken }}
	interrupt := errors.New("interrupted")
	cases := map[string]struct {
		reason     string
		conditions func() []wait.Condition
		cancel     time.Duration
		want       string
		after      time.Duration
	}{
		"Met": {
			reason:     "all together take as long as the slowest",
			conditions: func() []wait.Condition { return []wait.Condition{met(0), met(50 * ms), met(20 * ms)} },
			after:      50 * ms,
		},
		"None": {reason: "nothing is met at once", conditions: func() []wait.Condition { return nil }},
		"Late": {
			reason:     "every condition that was not met in time is named",
			conditions: func() []wait.Condition { return []wait.Condition{never("one"), met(0)} },
			want:       "not so after 10s: one", after: 10 * time.Second,
		},
		"Final": {
			reason:     "a final error ends the other waits at once, and is the only error",
			conditions: func() []wait.Condition { return []wait.Condition{never("one"), broken, never("two")} },
			want:       errBroken.Error(),
		},
		"Interrupted": {
			reason:     "the cause of the end is told once",
			conditions: func() []wait.Condition { return []wait.Condition{never("one"), never("two")} },
			cancel:     time.Second,
			want:       interrupt.Error(), after: time.Second,
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				if c.cancel > 0 {
					time.AfterFunc(c.cancel, func() { cancel(interrupt) })
				}
				began, got := time.Now(), ""
				if err := wait.All(ctx, 10*time.Second, c.conditions()...); err != nil {
					got = err.Error()
				}
				if diff := cmp.Diff(c.want, got); diff != "" {
					t.Errorf("%s: -want +got\n%s", c.reason, diff)
				}
				if got := time.Since(began); got != c.after {
					t.Errorf("%s: want the end after %s, got %s", c.reason, c.after, got)
				}
			})
		})
	}
}
