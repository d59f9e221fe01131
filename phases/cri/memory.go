package cri

import (
	"context"
	"fmt"
	"io/fs"
	"slices"
	"sync"
)

// Memory is a runtime that runs nothing: tests say what it has. It behaves
// as a runtime does: a pull puts the image there, a changed container sends
// an event. All methods may be called at the same time.
type Memory struct {
	mu         sync.Mutex
	version    Version
	status     Status
	images     map[string]bool
	pull       func(context.Context, string) error
	containers map[string]Container // by ID
	logs       map[string][]string  // by ID
	sandboxes  map[string]Sandbox   // by ID
	onSandbox  func(SandboxAction, Sandbox) error
	broken     error
	silent     bool
	changed    []chan struct{}
}

var _ Runtime = (*Memory)(nil)

// NewMemory makes a ready containerd without images and containers, from
// which every image can be pulled.
func NewMemory() *Memory {
	return &Memory{
		version:    Version{Name: "containerd", Version: "v2.4.2", API: "v1"},
		status:     Status{Runtime: Condition{Met: true}, Network: Condition{Met: true}, CgroupDriver: "systemd"},
		images:     map[string]bool{},
		containers: map[string]Container{},
		logs:       map[string][]string{},
		sandboxes:  map[string]Sandbox{},
	}
}

// SetVersion changes what Version tells.
func (m *Memory) SetVersion(v Version) { m.locked(func() { m.version = v }) }

// SetStatus changes what Status tells.
func (m *Memory) SetStatus(s Status) { m.locked(func() { m.status = s }) }

// SetImages replaces the images that are on the machine.
func (m *Memory) SetImages(images ...string) {
	m.locked(func() {
		m.images = map[string]bool{}
		for _, i := range images {
			m.images[i] = true
		}
	})
}

// OnPull makes pull stand for the registry: its error is the pull's. Nil
// means that every image is to be had.
func (m *Memory) OnPull(pull func(ctx context.Context, image string) error) {
	m.locked(func() { m.pull = pull })
}

// SetContainer adds the container, or replaces the one with its ID, and sends
// an event. The log lines replace those it has.
func (m *Memory) SetContainer(c Container, log ...string) {
	m.locked(func() {
		m.containers[c.ID] = c
		m.logs[c.ID] = slices.Clone(log)
		m.notify()
	})
}

// RemoveContainer removes the container and sends an event.
func (m *Memory) RemoveContainer(id string) {
	m.locked(func() {
		delete(m.containers, id)
		delete(m.logs, id)
		m.notify()
	})
}

// Break makes every call fail with err and ends all events; nil mends it.
func (m *Memory) Break(err error) {
	m.locked(func() {
		m.broken = err
		if err == nil {
			return
		}
		for _, c := range m.changed {
			close(c)
		}
		m.changed = nil
	})
}

// NoEvents makes it a runtime without events.
func (m *Memory) NoEvents() { m.locked(func() { m.silent = true }) }

// Version tells what SetVersion set.
func (m *Memory) Version(ctx context.Context) (v Version, err error) {
	err = m.call(ctx, func() { v = m.version })
	return v, err
}

// Status tells what SetStatus set.
func (m *Memory) Status(ctx context.Context) (s Status, err error) {
	err = m.call(ctx, func() { s = m.status })
	return s, err
}

// ImageExists says whether the image was set or pulled.
func (m *Memory) ImageExists(ctx context.Context, image string) (found bool, err error) {
	err = m.call(ctx, func() { found = m.images[image] })
	return found, err
}

// PullImage puts the image on the machine, if OnPull's function lets it.
func (m *Memory) PullImage(ctx context.Context, image string) error {
	var pull func(context.Context, string) error
	if err := m.call(ctx, func() { pull = m.pull }); err != nil {
		return err
	}
	if pull != nil {
		if err := pull(ctx, image); err != nil {
			return err
		}
	}
	return m.call(ctx, func() { m.images[image] = true })
}

// Containers lists the set containers that the filter matches.
func (m *Memory) Containers(ctx context.Context, f Filter) (list []Container, err error) {
	err = m.call(ctx, func() {
		for _, c := range m.containers {
			if f.matches(c) {
				list = append(list, c)
			}
		}
	})
	order(list)
	return list, err
}

// Logs returns the last of the lines that were set.
func (m *Memory) Logs(ctx context.Context, c Container, lines int) (found []string, err error) {
	err = m.call(ctx, func() { found = slices.Clone(last(m.logs[c.ID], lines)) })
	if err == nil && len(found) == 0 {
		return nil, fmt.Errorf("log of container %s: %w", c.Name, fs.ErrNotExist)
	}
	return found, err
}

// Events sends after SetContainer and RemoveContainer.
func (m *Memory) Events(ctx context.Context) <-chan struct{} {
	c := make(chan struct{}, 1)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.silent || m.broken != nil || ctx.Err() != nil {
		close(c)
		return c
	}
	m.changed = append(m.changed, c)
	context.AfterFunc(ctx, func() {
		m.locked(func() {
			if i := slices.Index(m.changed, c); i >= 0 {
				m.changed = slices.Delete(m.changed, i, i+1)
				close(c)
			}
		})
	})
	return c
}

// notify wants the lock held.
func (m *Memory) notify() {
	for _, c := range m.changed {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

func (m *Memory) locked(f func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f()
}

func (m *Memory) call(ctx context.Context, f func()) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.broken != nil {
		return m.broken
	}
	f()
	return nil
}
