package phases

import (
	"context"
	"time"
)

// Kind says what happened to a phase.
type Kind string

// The kinds of events, in the order in which a phase can have them.
const (
	Started   Kind = "started"
	Progress  Kind = "progress"  // Reason says what is being waited for or done
	Warning   Kind = "warning"   // Reason says what a person should look at
	Unchanged Kind = "unchanged" // Observe found nothing to do, or no sub-phase had anything to do
	Skipped   Kind = "skipped"   // Reason says why
	Finished  Kind = "finished"
	Failed    Kind = "failed" // Err says why
	Undone    Kind = "undone" // what the phase had made for others to see is taken back
)

// Event is one thing that happened in a run. Events carry no secrets.
type Event struct {
	Phase   string // the path, "certs/apiserver"
	Title   string
	Depth   int  // 0 for a phase of the list itself
	Group   bool // the phase has sub-phases
	Kind    Kind
	At      time.Time
	Elapsed time.Duration // since Started; zero in Started itself
	Reason  string
	Err     error
}

type reporterKey struct{}

// reporter sends events of one phase.
type reporter func(kind Kind, reason string)

func withReporter(ctx context.Context, r reporter) context.Context {
	return context.WithValue(ctx, reporterKey{}, r)
}

// Report tells the person who watches what the running phase is doing or
// waiting for. Outside a run it does nothing.
func Report(ctx context.Context, text string) { send(ctx, Progress, text) }

// Warn tells the person who watches of something to look at later; warnings
// are shown together at the end. Outside a run it does nothing.
func Warn(ctx context.Context, text string) { send(ctx, Warning, text) }

func send(ctx context.Context, kind Kind, text string) {
	if r, ok := ctx.Value(reporterKey{}).(reporter); ok {
		r(kind, text)
	}
}
