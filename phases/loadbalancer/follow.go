package loadbalancer

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/kube"
	"github.com/hactl/hactl/templates/loadbalancer"
)

// Follower keeps the list of a balancer's servers that of the cluster.
type Follower struct {
	// APIs are ways to the cluster, in the order in which they are asked: a
	// balancer whose list is out of date must not be the only one.
	APIs func(known []loadbalancer.Server) []kube.API
	// Current are the servers that the balancer has now.
	Current func(context.Context) ([]loadbalancer.Server, error)
	// Apply gives the balancer another list, which is never empty.
	Apply func(context.Context, []loadbalancer.Server) error
	// Tick is how often the cluster is asked where no event tells of a
	// change.
	Tick time.Duration
	// Tell gets a line for each thing that a person may want to know.
	Tell func(kind phases.Kind, text string)

	last string // what was told last
}

// Once makes the list right once. It says whether it had to be changed; while
// the cluster does not answer, or names nobody, the list stays and Once
// returns the error.
func (f *Follower) Once(ctx context.Context) (changed bool, err error) {
	current, err := f.Current(ctx)
	if err != nil {
		return false, err
	}
	wanted, err := f.ask(ctx, current)
	if err != nil {
		return false, err
	}
	if slices.Equal(current, wanted) {
		return false, nil
	}
	f.tell(phases.Progress, describe(current, wanted))
	if err := f.Apply(ctx, wanted); err != nil {
		return false, err
	}
	return true, nil
}

// ask asks one way to the cluster after another.
func (f *Follower) ask(ctx context.Context, current []loadbalancer.Server) ([]loadbalancer.Server, error) {
	var first error
	for _, api := range f.APIs(current) {
		list, err := Servers(ctx, api, current)
		if err == nil {
			return list, nil
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if first == nil {
			first = err
		}
		if !kube.Unreachable(err) {
			return nil, err // an answer: another server says the same
		}
	}
	return nil, first
}

// Run makes the list right until ctx ends, and returns nil then. Failures are
// told and tried again: this is what runs while nobody looks.
func (f *Follower) Run(ctx context.Context) error {
	current, err := f.Current(ctx)
	if err != nil {
		return err
	}
	var wake <-chan struct{}
	if apis := f.APIs(current); len(apis) > 0 {
		if wake, err = apis[0].Watch(ctx, slice()); err != nil {
			return err
		}
	}
	tick := time.NewTicker(f.Tick)
	defer tick.Stop()
	for {
		changed, err := f.Once(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			f.tell(phases.Warning, "the list stays as it is: "+err.Error())
		case changed:
			f.tell(phases.Progress, "the balancer has the new list")
		default:
			f.tell(phases.Progress, "the list is that of the cluster")
		}
		select {
		case <-ctx.Done():
			return nil
		case _, open := <-wake:
			if !open {
				wake = nil
			}
		case <-tick.C:
		}
	}
}

// tell leaves out what was told last: a log of one line a tick is no help.
func (f *Follower) tell(kind phases.Kind, text string) {
	if text != f.last {
		f.last = text
		f.Tell(kind, text)
	}
}

// describe says which servers come and go.
func describe(current, wanted []loadbalancer.Server) string {
	var parts []string
	for _, s := range wanted {
		if !slices.Contains(current, s) {
			parts = append(parts, "+"+s.String())
		}
	}
	for _, s := range current {
		if !slices.Contains(wanted, s) {
			parts = append(parts, "-"+s.String())
		}
	}
	return fmt.Sprintf("%d control planes: %s", len(wanted), strings.Join(parts, " "))
}
