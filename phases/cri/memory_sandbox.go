package cri

import (
	"context"
	"errors"
	"maps"
	"slices"
)

// SandboxAction is what is done to a sandbox.
type SandboxAction string

// The actions.
const (
	Stop   SandboxAction = "stop"
	Remove SandboxAction = "remove"
)

// SetSandbox adds the sandbox or replaces the one with its ID. The
// containers of its Pod are those with the same namespace and pod.
func (m *Memory) SetSandbox(s Sandbox) { m.locked(func() { m.sandboxes[s.ID] = s }) }

// OnSandbox makes f run before each action on a sandbox. If f returns an
// error, a removal returns it and changes nothing; a stop returns it, as
// after a failure of the network plugin, and has stopped the containers.
func (m *Memory) OnSandbox(f func(SandboxAction, Sandbox) error) {
	m.locked(func() { m.onSandbox = f })
}

// Sandboxes lists the set sandboxes.
func (m *Memory) Sandboxes(ctx context.Context) (list []Sandbox, err error) {
	err = m.call(ctx, func() { list = slices.Collect(maps.Values(m.sandboxes)) })
	orderSandboxes(list)
	return list, err
}

// StopContainer ends the container.
func (m *Memory) StopContainer(ctx context.Context, id string) error {
	return m.call(ctx, func() {
		if c, ok := m.containers[id]; ok && c.State == Running {
			c.State = Exited
			m.containers[id] = c
			m.notify()
		}
	})
}

// StopSandbox ends the containers of the sandbox's Pod.
func (m *Memory) StopSandbox(ctx context.Context, id string) error {
	hooked, err := m.act(ctx, Stop, id)
	if err != nil {
		return err
	}
	err = m.call(ctx, func() {
		s, ok := m.sandboxes[id]
		if !ok {
			return
		}
		s.Ready = false
		m.sandboxes[id] = s
		for id, c := range m.containers {
			if c.Namespace == s.Namespace && c.Pod == s.Pod && c.State == Running {
				c.State, c.ExitCode = Exited, 137
				m.containers[id] = c
			}
		}
		m.notify()
	})
	if err == nil {
		err = hooked
	}
	return err
}

// RemoveSandbox removes the sandbox and the containers of its Pod.
func (m *Memory) RemoveSandbox(ctx context.Context, id string) error {
	hooked, err := m.act(ctx, Remove, id)
	if err := errors.Join(err, hooked); err != nil {
		return err
	}
	return m.call(ctx, func() {
		s, ok := m.sandboxes[id]
		if !ok {
			return
		}
		delete(m.sandboxes, id)
		maps.DeleteFunc(m.containers, func(_ string, c Container) bool {
			return c.Namespace == s.Namespace && c.Pod == s.Pod
		})
		m.notify()
	})
}

// act calls the hook without the lock.
func (m *Memory) act(ctx context.Context, a SandboxAction, id string) (hooked, err error) {
	var hook func(SandboxAction, Sandbox) error
	var s Sandbox
	err = m.call(ctx, func() { hook, s = m.onSandbox, m.sandboxes[id] })
	if err == nil && hook != nil && s.ID != "" {
		hooked = hook(a, s)
	}
	return hooked, err
}
