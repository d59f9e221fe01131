package host

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/dbus"
)

// jobCheck is how often the connection is looked at while a job runs.
const jobCheck = 2 * time.Second

// systemd talks to systemd over one D-Bus connection, opened at the first
// call and again when it broke. Interface:
// https://www.freedesktop.org/software/systemd/man/latest/org.freedesktop.systemd1.html
type systemd struct {
	mu   sync.Mutex
	conn *dbus.Conn
	done context.CancelFunc
	hub  hub
}

func (s *systemd) open(ctx context.Context) (*dbus.Conn, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn != nil && s.conn.Connected() {
		return s.conn, nil
	}
	s.closeLocked()
	// The library ends the connection with its context, and this one serves
	// later calls too.
	life, done := context.WithCancel(context.WithoutCancel(ctx))
	conn, err := dbus.NewWithContext(life)
	if err != nil {
		done()
		return nil, &ManagerError{Err: err}
	}
	if err := conn.Subscribe(); err != nil {
		done()
		conn.Close()
		return nil, &ManagerError{Err: err}
	}
	updates, lost := make(chan *dbus.PropertiesUpdate, 256), make(chan error, 16)
	conn.SetPropertiesSubscriber(updates, lost)
	go s.forward(life, updates, lost)
	s.conn, s.done = conn, done
	s.hub.notifyAll() // changes were lost while there was no connection
	return conn, nil
}

// forward wakes the watchers until the connection is closed.
func (s *systemd) forward(ctx context.Context, updates <-chan *dbus.PropertiesUpdate, lost <-chan error) {
	for {
		select {
		case <-ctx.Done():
			return
		case u := <-updates:
			s.hub.notify(u.UnitName)
		case <-lost:
			s.hub.notifyAll()
		}
	}
}

func (s *systemd) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closeLocked()
}

func (s *systemd) closeLocked() {
	if s.conn == nil {
		return
	}
	s.done()
	s.conn.Close()
	s.conn = nil
}

// Status is that of Services.
func (s *systemd) Status(ctx context.Context, name string) (ServiceStatus, error) {
	conn, err := s.open(ctx)
	if err != nil {
		return ServiceStatus{}, err
	}
	props, err := conn.GetUnitPropertiesContext(ctx, name)
	if err != nil {
		return ServiceStatus{}, fail(ctx, conn, err)
	}
	status := statusOf(props)
	if status.Exists && strings.HasSuffix(name, ".service") {
		restarts, err := conn.GetServicePropertyContext(ctx, name, "NRestarts")
		if err != nil {
			return ServiceStatus{}, fail(ctx, conn, err)
		}
		if n, ok := restarts.Value.Value().(uint32); ok {
			status.Restarts = int(n)
		}
	}
	return status, nil
}

// statusOf reads the properties of org.freedesktop.systemd1.Unit.
func statusOf(props map[string]any) ServiceStatus {
	text := func(name string) string {
		s, _ := props[name].(string)
		return s
	}
	active, sub := text("ActiveState"), text("SubState")
	status := ServiceStatus{
		Exists: text("LoadState") != "not-found",
		Active: active == "active" || active == "reloading",
		Failed: active == "failed" || strings.HasPrefix(sub, "auto-restart"),
		Detail: active + "/" + sub,
	}
	// The states for which systemctl is-enabled exits with 0.
	switch text("UnitFileState") {
	case "enabled", "enabled-runtime", "static", "alias", "indirect", "generated":
		status.Enabled = true
	}
	return status
}

// fail tells an end of ctx and a broken connection from an answer of systemd.
func fail(ctx context.Context, conn *dbus.Conn, err error) error {
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case !conn.Connected():
		return &ManagerError{Err: err}
	}
	return fmt.Errorf("systemd: %w", err)
}

// job runs a job of the unit and waits for its end.
func (s *systemd) job(ctx context.Context, name string, a ServiceAction) error {
	status, err := s.Status(ctx, name)
	if err != nil {
		return err
	}
	if err := status.possible(name, a); err != nil {
		return err
	}
	conn, err := s.open(ctx)
	if err != nil {
		return err
	}
	begin := conn.StartUnitContext
	switch a {
	case StopService:
		begin = conn.StopUnitContext
	case RestartService:
		begin = conn.RestartUnitContext
	case ReloadService:
		begin = conn.ReloadUnitContext
	}
	result := make(chan string, 1)
	if _, err := begin(ctx, name, "replace", result); err != nil {
		return fail(ctx, conn, err)
	}
	return finish(ctx, conn, result, func(r string) error {
		return &JobError{Unit: name, Action: a, Result: r}
	})
}

// finish waits for the result of a job. The library says nothing when the
// connection breaks, so that is looked at now and then.
func finish(ctx context.Context, conn *dbus.Conn, result <-chan string, bad func(string) error) error {
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case r := <-result:
			if r != "done" {
				return bad(r)
			}
			return nil
		case <-time.After(jobCheck):
			if !conn.Connected() {
				return &ManagerError{Err: errors.New("the connection broke during a job")}
			}
		}
	}
}

// Start is that of Services; a *JobError says that systemd could not.
func (s *systemd) Start(ctx context.Context, name string) error {
	return s.job(ctx, name, StartService)
}

// Stop is that of Services; a *JobError says that systemd could not.
func (s *systemd) Stop(ctx context.Context, name string) error {
	return s.job(ctx, name, StopService)
}

// Restart is that of Services; a *JobError says that systemd could not.
func (s *systemd) Restart(ctx context.Context, name string) error {
	return s.job(ctx, name, RestartService)
}

// ReloadUnit is that of Services.
func (s *systemd) ReloadUnit(ctx context.Context, name string) error {
	return s.job(ctx, name, ReloadService)
}

// Enable is that of Services.
func (s *systemd) Enable(ctx context.Context, name string) error {
	status, err := s.Status(ctx, name)
	switch {
	case err != nil:
		return err
	case !status.Exists:
		return &UnitError{Unit: name}
	case status.Enabled:
		return nil
	}
	conn, err := s.open(ctx)
	if err != nil {
		return err
	}
	if _, _, err := conn.EnableUnitFilesContext(ctx, []string{name}, false, false); err != nil {
		return fail(ctx, conn, err)
	}
	return s.Reload(ctx) // as systemctl enable does; UnitFileState is cached
}

// Reload is that of Services.
func (s *systemd) Reload(ctx context.Context) error {
	conn, err := s.open(ctx)
	if err != nil {
		return err
	}
	if err := conn.ReloadContext(ctx); err != nil {
		return fail(ctx, conn, err)
	}
	return nil
}

// Watch is that of Services.
func (s *systemd) Watch(ctx context.Context, name string) (<-chan struct{}, error) {
	if _, err := s.open(ctx); err != nil {
		return nil, err
	}
	return s.hub.subscribe(ctx, name), nil
}
