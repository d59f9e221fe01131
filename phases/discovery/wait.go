package discovery

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/wait"
)

const (
	// settle is how long an answer may stay wrong that is about to become
	// right: the controller-manager signs for a new token within a second or
	// two, and the roles of a new cluster take about as long.
	settle = 8 * time.Second
	// young is how long a cluster may take to tell of itself that answers
	// already: its first control plane is still being made.
	young = time.Minute
	// always is the patience with what only time can mend.
	always = time.Duration(-1)
	// retold is how often a wait says again what it waits for.
	retold = 10 * time.Second
)

// verdict is why an answer is not good.
type verdict struct {
	status   string        // for people, while there is patience
	patience time.Duration // how long it may last; zero is not at all
	fault    *phases.Fault
}

// judge looks at an answer or the error instead of it; nil means good.
type judge func(*answer, error) *verdict

// until asks until the answer is good, or until there is no patience left
// with what is wrong with it.
func (t *Task) until(ctx context.Context, p place, good judge) (*answer, error) {
	began := time.Now()
	since := began // of the last change
	var got *answer
	var last *verdict
	err := wait.For(ctx, t.Limit, wait.Condition{
		What: p.url + " tells which cluster it belongs to",
		Check: func(ctx context.Context) (bool, string, error) {
			a, err := t.fetch(ctx, p)
			if fault := tooSkewed(a); fault != nil {
				return false, "", fault
			}
			v := good(a, err)
			if v == nil {
				got = a
				return true, "", nil
			}
			if ctx.Err() != nil {
				return false, "", nil // the limit cut the call short: the verdict before it counts
			}
			now := time.Now()
			if last == nil || last.status != v.status {
				since = now
			}
			last = v
			if v.patience != always && now.Sub(since) >= v.patience {
				return false, "", v.fault
			}
			return false, v.status + elapsed(now.Sub(began)), nil
		},
	})
	if err != nil {
		return nil, t.overtime(err, last)
	}
	if s := got.skew; s.Abs() > skewWarning {
		phases.Warn(ctx, skewText(s)+"; set it right before certificates or tokens seem to be over")
	}
	return got, nil
}

// elapsed makes a status that stays the same be told again from time to time.
func elapsed(d time.Duration) string {
	if d < retold {
		return ""
	}
	return fmt.Sprintf(" (for %s)", d.Truncate(retold))
}

// overtime says, when the limit is over, what was wrong all the time.
func (t *Task) overtime(err error, last *verdict) error {
	var timeout *wait.TimeoutError
	if !errors.As(err, &timeout) || last == nil {
		return err
	}
	fault := *last.fault
	fault.What += fmt.Sprintf(", for %s now", t.Limit)
	fault.Exit = phases.CodeTimeout
	fault.Fixes = append(fault.Fixes, "if it only needs longer, raise timeouts.discovery and run the same command again")
	return &fault
}
