// Package wait waits for conditions. Nothing in hactl sleeps and polls by
// itself: a wait ends when something wakes it, and says what it waited for
// when its limit is over.
package wait

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hactl/hactl/phases"
)

const (
	// The back-off for a condition that nothing can wake, such as a socket
	// that does not listen yet.
	shortest = 20 * time.Millisecond
	longest  = 500 * time.Millisecond
	// glance is the pause between two looks.
	glance = 100 * time.Millisecond
	// safety is how often a condition with wake-ups is checked without one:
	// it covers lost events.
	safety = 2 * time.Second
	// quiet is how long a wait goes on before it is reported.
	quiet = 300 * time.Millisecond
)

// Condition is something to wait for.
type Condition struct {
	// What names the condition for people: "kube-apiserver is ready".
	What string
	// Check says whether the condition is met. An error is final and ends
	// the wait; what is only not yet so is told in status ("connection
	// refused"), which people see while they wait and when time is over.
	Check func(ctx context.Context) (met bool, status string, err error)
	// Wake channels cause a check. With none, Check is called with a
	// back-off of 20 to 500 ms.
	Wake []<-chan struct{}
	// Look, if set, says every 100 ms, for next to nothing, whether the next
	// check is worth making now. After a check that did not agree it keeps
	// quiet until the one after.
	Look func(ctx context.Context) bool
	// LimitName is the configuration field of the limit, for the error
	// ("timeouts.controlPlaneComponentHealthCheck"). It may be empty.
	LimitName string
}

// TimeoutError says which limit was over while waiting for what.
type TimeoutError struct {
	What      string
	Limit     time.Duration
	LimitName string
	Last      string // the last status
}

func (e *TimeoutError) Error() string {
	s := fmt.Sprintf("not so after %s: %s", e.Limit, e.What)
	if e.Last != "" {
		s += " (" + e.Last + ")"
	}
	return s
}

// Fix names the configuration field that holds the limit.
func (e *TimeoutError) Fix() []string {
	if e.LimitName == "" {
		return nil
	}
	return []string{fmt.Sprintf("if the machine is only slow, raise %s (now %s) and run the same command again", e.LimitName, e.Limit)}
}

// Code is phases.CodeTimeout.
func (e *TimeoutError) Code() phases.Code { return phases.CodeTimeout }

// For waits until the condition is met. It returns nil then, the error of
// Check, the cause of ctx's end, or a *TimeoutError when limit is over; a
// limit of zero means none.
func For(ctx context.Context, limit time.Duration, c Condition) error {
	began := time.Now()
	timed, cancel := limited(ctx, limit)
	defer cancel()
	wake := merge(timed, c.Wake)
	pause, reported, last, looked := shortest, "", "", false
	for {
		met, status, err := c.Check(timed)
		if met && err == nil {
			return nil
		}
		if timed.Err() != nil {
			return over(ctx, limit, c, last)
		}
		if err != nil {
			return err
		}
		if status != "" {
			last = status
		}
		if text := describe(c.What, last); text != reported && time.Since(began) >= quiet {
			phases.Report(ctx, text)
			reported = text
		}
		next := pause
		if wake != nil {
			next = safety
			if reported == "" { // one check in time to report
				next = max(quiet-time.Since(began), shortest)
			}
		}
		looked = c.rest(timed, wake, next, looked)
		if timed.Err() != nil {
			return over(ctx, limit, c, last)
		}
		pause = min(pause*3/2, longest)
	}
}

// rest returns when it is time for the next check: after the pause, or when
// an event or a look says so. It tells whether it was a look, and is told
// whether it was one the last time, in vain.
func (c *Condition) rest(ctx context.Context, wake <-chan struct{}, pause time.Duration, looked bool) bool {
	over := time.After(pause)
	var looks <-chan time.Time
	if c.Look != nil && !looked {
		ticker := time.NewTicker(glance)
		defer ticker.Stop()
		looks = ticker.C
	}
	for {
		select {
		case <-ctx.Done():
			return false
		case <-wake:
			return false
		case <-over:
			return false
		case <-looks:
			if c.Look(ctx) {
				return true
			}
		}
	}
}

func limited(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	if limit > 0 {
		return context.WithTimeout(ctx, limit)
	}
	return context.WithCancel(ctx)
}

// over says why a wait ended unmet.
func over(ctx context.Context, limit time.Duration, c Condition, last string) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return &TimeoutError{What: c.What, Limit: limit, LimitName: c.LimitName, Last: last}
}

// errElsewhere ends the waits beside one that failed for good.
var errElsewhere = errors.New("another condition failed for good")

// All waits for all conditions at the same time under one limit. A final
// error ends all of the waits at once. All returns the final errors joined
// or, if there are none, those of the conditions that were not met in time.
func All(parent context.Context, limit time.Duration, conditions ...Condition) error {
	ctx, stop := context.WithCancelCause(parent)
	defer stop(nil)
	results := make(chan error, len(conditions))
	for _, c := range conditions {
		go func() { results <- For(ctx, limit, c) }()
	}
	var late, final []error
	var ended error
	for range conditions {
		err := <-results
		var timeout *TimeoutError
		switch {
		case err == nil || errors.Is(err, errElsewhere):
		case parent.Err() != nil && errors.Is(err, context.Cause(parent)):
			ended = err
		case errors.As(err, &timeout):
			late = append(late, err)
		default:
			final = append(final, err)
			stop(errElsewhere)
		}
	}
	switch {
	case len(final) > 0:
		return errors.Join(final...)
	case ended != nil:
		return ended
	}
	return errors.Join(late...)
}

func describe(what, status string) string {
	if status == "" {
		return "waiting until " + what
	}
	return "waiting until " + what + ": " + status
}

// merge joins the channels into one; nil if there are none.
func merge(ctx context.Context, in []<-chan struct{}) <-chan struct{} {
	if len(in) == 0 {
		return nil
	}
	out := make(chan struct{}, 1)
	for _, c := range in {
		go func() {
			for {
				select {
				case <-ctx.Done():
					return
				case _, open := <-c:
					if !open {
						return
					}
					select {
					case out <- struct{}{}:
					default:
					}
				}
			}
		}()
	}
	return out
}
