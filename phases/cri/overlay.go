package cri

import (
	"context"
	"errors"
	"slices"
	"sync"
)

// Change is one thing that would be done to a sandbox.
type Change struct {
	Action  SandboxAction
	Sandbox Sandbox
}

// Overlay is a runtime in which nothing changes: what would be stopped
// or removed is listed, and then looks as if it were.
type Overlay struct {
	Runtime
	mu      sync.Mutex
	gone    map[string]bool // sandboxes by ID
	stopped map[string]bool
	ended   []string // containers
	changes []Change
}

// NewOverlay returns an Overlay over base.
func NewOverlay(base Runtime) *Overlay {
	return &Overlay{Runtime: base, gone: map[string]bool{}, stopped: map[string]bool{}}
}

// Changes lists what would have changed, in order.
func (o *Overlay) Changes() []Change {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.changes)
}

// PullImage refuses: whoever pulls knows of the dry run.
func (o *Overlay) PullImage(ctx context.Context, image string) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return errors.New("pull " + image + ": a dry run pulls nothing")
}

// StopContainer is no change: the kubelet would start the container anew.
func (o *Overlay) StopContainer(ctx context.Context, id string) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ended = append(o.ended, id)
	return nil
}

// Sandboxes lists what would be left.
func (o *Overlay) Sandboxes(ctx context.Context) ([]Sandbox, error) {
	list, err := o.Runtime.Sandboxes(ctx)
	o.mu.Lock()
	defer o.mu.Unlock()
	list = slices.DeleteFunc(list, func(s Sandbox) bool { return o.gone[s.ID] })
	for i, s := range list {
		list[i].Ready = s.Ready && !o.stopped[s.ID]
	}
	return list, err
}

// Containers lists what would be left.
func (o *Overlay) Containers(ctx context.Context, f Filter) ([]Container, error) {
	list, err := o.Runtime.Containers(ctx, f)
	if err != nil {
		return nil, err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	of := func(a SandboxAction, c Container) bool {
		return slices.ContainsFunc(o.changes, func(x Change) bool {
			return x.Action == a && x.Sandbox.Namespace == c.Namespace && x.Sandbox.Pod == c.Pod
		})
	}
	list = slices.DeleteFunc(list, func(c Container) bool { return of(Remove, c) })
	for i, c := range list {
		if c.State == Running && (of(Stop, c) || slices.Contains(o.ended, c.ID)) {
			list[i].State = Exited
		}
	}
	return list, nil
}

// StopSandbox lists the sandbox, if it is there and not stopped.
func (o *Overlay) StopSandbox(ctx context.Context, id string) error { return o.act(ctx, Stop, id) }

// RemoveSandbox lists the sandbox, if it is there.
func (o *Overlay) RemoveSandbox(ctx context.Context, id string) error { return o.act(ctx, Remove, id) }

func (o *Overlay) act(ctx context.Context, a SandboxAction, id string) error {
	list, err := o.Sandboxes(ctx)
	if err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, s := range list {
		if s.ID != id || a == Stop && !s.Ready {
			continue
		}
		o.changes = append(o.changes, Change{Action: a, Sandbox: s})
		o.stopped[id] = true
		o.gone[id] = a == Remove
	}
	return nil
}
