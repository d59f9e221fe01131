package phases

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"
)

// undoLimit bounds the time that taking back may need after a failure or an
// interrupt.
const undoLimit = 30 * time.Second

// Options says which phases run and who is told.
type Options struct {
	// Only and Skip hold canonical paths (see Resolve). Only, if not empty,
	// leaves out everything else; Skip leaves out what it names.
	Only, Skip []string
	// Notify gets every event, one at a time. Nil means nobody listens.
	Notify func(Event)
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Run runs the list in order over s. It stops at the first phase that fails
// and then takes back, in reverse order, what others can see of what this
// run applied. The error is a *PhaseError.
func Run[S any](ctx context.Context, list []Phase[S], s *S, o Options) error {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Notify == nil {
		o.Notify = func(Event) {}
	}
	r := &run[S]{s: s, o: o}
	_, err := r.list(ctx, "", 0, list)
	if err != nil {
		r.undo(ctx)
	}
	return err
}

type run[S any] struct {
	s       *S
	o       Options
	mu      sync.Mutex // events may come from goroutines of a phase
	applied []applied[S]
}

type applied[S any] struct {
	phase *Phase[S]
	emit  func(Kind, string, error)
}

// list runs the phases. It returns Unchanged if none of those that ran had
// anything to do.
func (r *run[S]) list(ctx context.Context, parent string, depth int, list []Phase[S]) (Kind, error) {
	ran, made := 0, false
	for i := range list {
		path := join(parent, list[i].Name)
		if len(r.o.Only) > 0 && !within(path, r.o.Only) && !above(path, r.o.Only) {
			continue
		}
		kind, err := r.one(ctx, path, depth, &list[i])
		if err != nil {
			return Failed, err
		}
		ran++
		made = made || kind == Finished
	}
	if ran > 0 && !made {
		return Unchanged, nil
	}
	return Finished, nil
}

// one runs a phase and returns how it ended.
func (r *run[S]) one(ctx context.Context, path string, depth int, p *Phase[S]) (Kind, error) {
	emit := r.emitter(path, depth, p)
	if within(path, r.o.Skip) {
		emit(Skipped, "--skip-phases", nil)
		return Skipped, nil
	}
	if p.Skip != nil {
		if reason := p.Skip(r.s); reason != "" {
			emit(Skipped, reason, nil)
			return Skipped, nil
		}
	}
	emit(Started, "", nil)
	kind, err := r.work(ctx, path, depth, p, emit)
	if err != nil {
		emit(Failed, "", err)
		if p.Apply == nil {
			return Failed, err // a sub-phase's, with its path
		}
		return Failed, &PhaseError{Phase: path, Err: err}
	}
	emit(kind, "", nil)
	return kind, nil
}

// work does what the phase is for and says how it ended.
func (r *run[S]) work(ctx context.Context, path string, depth int, p *Phase[S], emit func(Kind, string, error)) (Kind, error) {
	if p.Apply == nil { // a group, perhaps an empty one
		r.begin(p, emit)
		return r.list(ctx, path, depth+1, p.Phases)
	}
	if ctx.Err() != nil {
		return Failed, context.Cause(ctx)
	}
	ctx = withReporter(ctx, func(k Kind, text string) { emit(k, text, nil) })
	if p.Observe == nil {
		r.begin(p, emit)
		return Finished, p.Apply(ctx, r.s)
	}
	state, err := p.Observe(ctx, r.s)
	if err != nil {
		return Failed, err
	}
	if state == Done {
		return Unchanged, nil
	}
	r.begin(p, emit)
	if err := p.Apply(ctx, r.s); err != nil {
		return Failed, err
	}
	state, err = p.Observe(ctx, r.s)
	if err != nil {
		return Failed, fmt.Errorf("verify the result: %w", err)
	}
	if state != Done {
		return Failed, &UnfinishedError{}
	}
	return Finished, nil
}

// begin notes that a phase may leave something to take back from here on.
func (r *run[S]) begin(p *Phase[S], emit func(Kind, string, error)) {
	if p.Undo != nil {
		r.applied = append(r.applied, applied[S]{p, emit})
	}
}

// undo takes back in reverse order. The run's context may be the one that
// was interrupted, so undo has its own limit.
func (r *run[S]) undo(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoLimit)
	defer cancel()
	for i := len(r.applied) - 1; i >= 0; i-- {
		a := r.applied[i]
		if err := a.phase.Undo(ctx, r.s); err != nil {
			a.emit(Warning, fmt.Sprintf("not taken back: %v", err), nil)
			continue
		}
		a.emit(Undone, "", nil)
	}
}

func (r *run[S]) emitter(path string, depth int, p *Phase[S]) func(Kind, string, error) {
	start := r.o.Now()
	return func(kind Kind, reason string, err error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		now := r.o.Now()
		if kind == Started {
			start = now
		}
		r.o.Notify(Event{
			Phase: path, Title: p.Title, Depth: depth, Group: len(p.Phases) > 0,
			Kind: kind, At: now, Elapsed: now.Sub(start),
			Reason: strings.TrimSpace(reason), Err: err,
		})
	}
}
