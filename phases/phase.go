// Package phases is the engine that runs a use case: a readable list of
// phases, each of which observes, applies and observes again. It knows
// neither commands nor Kubernetes; what a phase does is in the packages
// below it, one for each family.
package phases

import (
	"context"
	"slices"
	"strings"
)

// State is what Observe found.
type State int

const (
	// Missing says that Apply has work to do.
	Missing State = iota
	// Done says that everything Apply would make is there, with the right
	// content.
	Done
)

// Phase is one named piece of a use case. S is the data that the use case
// carries from phase to phase.
//
// A phase has either work of its own (Apply, with or without Observe) or
// sub-phases, in order.
type Phase[S any] struct {
	// Name is one path element, as users type it ("apiserver").
	Name string
	// Aliases are other names that users may type for it.
	Aliases []string
	// Title says what the phase does, in a few words for people.
	Title string
	// Reads and Writes name what a person finds before and after the phase:
	// files, objects, services.
	Reads, Writes []string
	// Hidden keeps the phase out of lists for people.
	Hidden bool

	// Skip returns why the phase has nothing to do in this run, or "".
	Skip func(*S) string
	// Observe loads what exists and compares its content with what is
	// wanted. It changes nothing. A phase without Observe is a check and
	// runs every time.
	Observe func(context.Context, *S) (State, error)
	// Apply makes Observe report Done. It may run twice.
	Apply func(context.Context, *S) error
	// Undo takes back what others can see, and never user data. It runs
	// when this phase or a later one fails after Apply began.
	Undo func(context.Context, *S) error

	// Phases are the sub-phases, in order.
	Phases []Phase[S]
}

// Lift makes a phase over T usable in a use case over S, so that use cases
// share one definition. The view is taken anew at every call.
func Lift[S, T any](p Phase[T], view func(*S) *T) Phase[S] {
	q := Phase[S]{
		Name: p.Name, Aliases: p.Aliases, Title: p.Title,
		Reads: p.Reads, Writes: p.Writes, Hidden: p.Hidden,
	}
	if p.Skip != nil {
		q.Skip = func(s *S) string { return p.Skip(view(s)) }
	}
	if p.Observe != nil {
		q.Observe = func(ctx context.Context, s *S) (State, error) { return p.Observe(ctx, view(s)) }
	}
	if p.Apply != nil {
		q.Apply = func(ctx context.Context, s *S) error { return p.Apply(ctx, view(s)) }
	}
	if p.Undo != nil {
		q.Undo = func(ctx context.Context, s *S) error { return p.Undo(ctx, view(s)) }
	}
	for _, sub := range p.Phases {
		q.Phases = append(q.Phases, Lift(sub, view))
	}
	return q
}

// Walk calls visit for every phase of the list, parents first, with its
// path ("certs/apiserver").
func Walk[S any](list []Phase[S], visit func(path string, p *Phase[S])) {
	walk("", list, visit)
}

func walk[S any](parent string, list []Phase[S], visit func(string, *Phase[S])) {
	for i := range list {
		path := join(parent, list[i].Name)
		visit(path, &list[i])
		walk(path, list[i].Phases, visit)
	}
}

// Resolve returns the canonical paths for what users typed: aliases are
// replaced, and a last element "all" stands for its parent. It returns an
// *UnknownPhaseError for a path that is not in the list.
func Resolve[S any](list []Phase[S], typed []string) ([]string, error) {
	var paths []string
	for _, t := range typed {
		path, ok := resolve(list, strings.Split(strings.Trim(t, "/"), "/"))
		if !ok {
			return nil, &UnknownPhaseError{Typed: t, Known: known(list)}
		}
		if !slices.Contains(paths, path) {
			paths = append(paths, path)
		}
	}
	return paths, nil
}

func resolve[S any](list []Phase[S], elements []string) (string, bool) {
	for i := range list {
		p := &list[i]
		if !strings.EqualFold(p.Name, elements[0]) && !slices.Contains(p.Aliases, strings.ToLower(elements[0])) {
			continue
		}
		rest := elements[1:]
		if len(rest) == 0 || (len(rest) == 1 && rest[0] == "all" && len(p.Phases) > 0) {
			return p.Name, true
		}
		sub, ok := resolve(p.Phases, rest)
		return join(p.Name, sub), ok
	}
	return "", false
}

func known[S any](list []Phase[S]) []string {
	var paths []string
	Walk(list, func(path string, p *Phase[S]) {
		if !p.Hidden {
			paths = append(paths, path)
		}
	})
	return paths
}

func join(parent, name string) string {
	if parent == "" {
		return name
	}
	return parent + "/" + name
}

// within says whether path is one of the listed paths or lies below one.
func within(path string, listed []string) bool {
	return slices.ContainsFunc(listed, func(l string) bool {
		return path == l || strings.HasPrefix(path, l+"/")
	})
}

// above says whether a listed path lies below path.
func above(path string, listed []string) bool {
	return slices.ContainsFunc(listed, func(l string) bool { return strings.HasPrefix(l, path+"/") })
}
