package app

import (
	"strings"
	"time"

	"github.com/hactl/hactl/phases"
)

// selection is which phases of a list users want to run, as they type it.
// Nothing means the whole list.
type selection struct {
	only, skip []string
}

// options are those of a run of the list. It returns an
// *phases.UnknownPhaseError for a phase that the list does not have.
func options[S any](list []phases.Phase[S], s selection, notify func(phases.Event), now func() time.Time) (phases.Options, error) {
	only, err := phases.Resolve(list, s.only)
	if err != nil {
		return phases.Options{}, err
	}
	skip, err := phases.Resolve(list, s.skip)
	if err != nil {
		return phases.Options{}, err
	}
	return phases.Options{Only: only, Skip: skip, Notify: visible(list, notify), Now: now}, nil
}

// command is what other processes are told of a run: the use ("hactl init")
// and the phases that run alone.
func command(use string, only []string) string {
	if len(only) == 0 {
		return use
	}
	return use + " phase " + strings.Join(only, " ")
}

// visible keeps the events of hidden phases from the person who watches,
// unless there is something to do about them.
func visible[S any](list []phases.Phase[S], notify func(phases.Event)) func(phases.Event) {
	hidden := map[string]bool{}
	phases.Walk(list, func(path string, p *phases.Phase[S]) { hidden[path] = p.Hidden })
	return func(e phases.Event) {
		if !hidden[e.Phase] || e.Kind == phases.Failed || e.Kind == phases.Warning {
			notify(e)
		}
	}
}
