package host

import (
	"context"
	"sync"
)

// overlayServices lists actions and keeps the status that they would lead to.
type overlayServices struct {
	actions
	base   Host
	record func(Change)
	// made says whether the unit's file was written here, so that the
	// service manager would know the unit.
	made  func(unit string) bool
	mu    sync.Mutex
	units map[string]ServiceStatus // after the first action
	hub   hub
}

// Status is that of Services, as if the actions had succeeded.
func (o *overlayServices) Status(ctx context.Context, name string) (ServiceStatus, error) {
	if ctx.Err() != nil {
		return ServiceStatus{}, context.Cause(ctx)
	}
	o.mu.Lock()
	status, ok := o.units[name]
	o.mu.Unlock()
	if ok {
		return status, nil
	}
	status, err := o.base.Services().Status(ctx, name)
	if err == nil && !status.Exists {
		status.Exists = o.made(name)
	}
	return status, err
}

func (o *overlayServices) act(ctx context.Context, name string, a ServiceAction) error {
	status, err := o.Status(ctx, name)
	if err != nil {
		return err
	}
	if err := status.possible(name, a); err != nil {
		return err
	}
	o.mu.Lock()
	o.units[name] = status.after(a)
	o.mu.Unlock()
	o.record(Change{Kind: ServiceChanged, Action: a, Unit: name})
	o.hub.notify(name)
	return nil
}

// Reload is listed.
func (o *overlayServices) Reload(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	o.record(Change{Kind: ServiceChanged, Action: ReloadUnits})
	return nil
}

// Watch tells of the actions here and of changes on the base.
func (o *overlayServices) Watch(ctx context.Context, name string) (<-chan struct{}, error) {
	below, err := o.base.Services().Watch(ctx, name)
	if err != nil {
		return nil, err
	}
	go func() {
		for range below {
			o.hub.notify(name)
		}
	}()
	return o.hub.subscribe(ctx, name), nil
}
