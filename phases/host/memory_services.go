package host

import (
	"context"
	"sync"
)

// ServiceAction is what is asked of a service manager.
type ServiceAction string

// The actions.
const (
	StartService   ServiceAction = "start"
	StopService    ServiceAction = "stop"
	RestartService ServiceAction = "restart"
	EnableService  ServiceAction = "enable"
	ReloadService  ServiceAction = "reload unit"
	ReloadUnits    ServiceAction = "reload" // of the service manager, not of a unit
)

// possible returns an error for an action that a unit in this status cannot
// take.
func (s ServiceStatus) possible(name string, a ServiceAction) error {
	switch {
	case !s.Exists:
		return &UnitError{Unit: name}
	case a == ReloadService && !s.Active:
		return &JobError{Unit: name, Action: a, Result: "not running"}
	}
	return nil
}

// after returns the status of a healthy unit after the action.
func (s ServiceStatus) after(a ServiceAction) ServiceStatus {
	switch a {
	case StartService, RestartService:
		if a == StartService && s.Active {
			return s
		}
		s.Active, s.Failed, s.Restarts, s.Detail = true, false, 0, "active/running"
	case StopService:
		s.Active, s.Failed, s.Detail = false, false, "inactive/dead"
	case EnableService:
		s.Enabled = true
	}
	return s
}

type unit struct {
	status ServiceStatus
	hook   func(ServiceAction) error
}

// actions are the methods of Services that only differ in the action: the
// function does them.
type actions func(ctx context.Context, unit string, a ServiceAction) error

// Start is that of Services.
func (act actions) Start(ctx context.Context, unit string) error {
	return act(ctx, unit, StartService)
}

// Stop is that of Services.
func (act actions) Stop(ctx context.Context, unit string) error {
	return act(ctx, unit, StopService)
}

// Restart is that of Services.
func (act actions) Restart(ctx context.Context, unit string) error {
	return act(ctx, unit, RestartService)
}

// Enable is that of Services.
func (act actions) Enable(ctx context.Context, unit string) error {
	return act(ctx, unit, EnableService)
}

// ReloadUnit is that of Services.
func (act actions) ReloadUnit(ctx context.Context, unit string) error {
	return act(ctx, unit, ReloadService)
}

// memoryServices is a service manager in memory.
type memoryServices struct {
	actions
	mu    sync.Mutex
	units map[string]*unit
	hub   hub
}

// unit returns the named one, which then has an entry; the caller holds mu.
func (m *memoryServices) unit(name string) *unit {
	if m.units[name] == nil {
		m.units[name] = &unit{}
	}
	return m.units[name]
}

func (m *memoryServices) set(name string, status ServiceStatus) {
	m.mu.Lock()
	status.Exists = true
	m.unit(name).status = status
	m.mu.Unlock()
	m.hub.notify(name)
}

func (m *memoryServices) handle(name string, f func(ServiceAction) error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.unit(name).hook = f
}

// Status is that of Services.
func (m *memoryServices) Status(ctx context.Context, name string) (ServiceStatus, error) {
	if ctx.Err() != nil {
		return ServiceStatus{}, context.Cause(ctx)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.unit(name).status, nil
}

func (m *memoryServices) act(ctx context.Context, name string, a ServiceAction) error {
	status, err := m.Status(ctx, name)
	if err != nil {
		return err
	}
	if err := status.possible(name, a); err != nil {
		return err
	}
	m.mu.Lock()
	hook := m.unit(name).hook
	m.mu.Unlock()
	if hook != nil {
		if err := hook(a); err != nil {
			return err
		}
	}
	m.mu.Lock()
	u := m.unit(name)
	u.status = u.status.after(a)
	m.mu.Unlock()
	m.hub.notify(name)
	return nil
}

// Reload has nothing to read in memory.
func (m *memoryServices) Reload(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

// Watch is that of Services.
func (m *memoryServices) Watch(ctx context.Context, name string) (<-chan struct{}, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return m.hub.subscribe(ctx, name), nil
}
