package hosttest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/hactl/hactl/phases/host"
)

// patience is how long a watch may take to tell of a change.
const patience = 10 * time.Second

// RunServices tests a service manager. The unit exists, has an [Install]
// section, can be reloaded and runs until it is stopped; when machine returns it is neither
// running nor enabled.
func RunServices(t *testing.T, machine func(t *testing.T) host.Host, unit string) {
	cases := map[string]struct {
		reason string
		test   func(*testing.T, host.Services, string)
	}{
		"Unknown":   {"a unit that is not there has a status and can do nothing", unknownUnit},
		"StartStop": {"the status follows at once, and both may run twice", startStop},
		"Restart":   {"a restart starts what is not running", restart},
		"Enable":    {"enabling says nothing about running", enable},
		"Again":     {"a unit that runs reads its configuration anew and goes on; another cannot", reloadUnit},
		"Reload":    {"unit files can be read again at any time", reload},
		"Watch":     {"each change wakes the watcher until ctx ends", watch},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Log(c.reason)
			c.test(t, machine(t).Services(), unit)
		})
	}
}

func state(t *testing.T, s host.Services, unit string, active, enabled bool) {
	t.Helper()
	got, err := s.Status(t.Context(), unit)
	must(t, err)
	if !got.Exists || got.Failed || got.Active != active || got.Enabled != enabled || got.Detail == "" {
		t.Errorf("%s: want active %v, enabled %v, not failed, with detail; got %+v", unit, active, enabled, got)
	}
}

func unknownUnit(t *testing.T, s host.Services, _ string) {
	const name = "hactl-has-no-such-unit.service"
	got, err := s.Status(t.Context(), name)
	must(t, err)
	if got.Exists || got.Active || got.Failed || got.Enabled {
		t.Errorf("want nothing, got %+v", got)
	}
	calls := map[string]func(context.Context, string) error{
		"Start": s.Start, "Stop": s.Stop, "Restart": s.Restart, "Enable": s.Enable, "ReloadUnit": s.ReloadUnit,
	}
	for action, call := range calls {
		var unit *host.UnitError
		if err := call(t.Context(), name); !errors.As(err, &unit) || unit.Unit != name {
			t.Errorf("%s: want *UnitError, got %v", action, err)
		}
	}
}

func startStop(t *testing.T, s host.Services, unit string) {
	state(t, s, unit, false, false)
	for range 2 {
		must(t, s.Start(t.Context(), unit))
		state(t, s, unit, true, false)
	}
	for range 2 {
		must(t, s.Stop(t.Context(), unit))
		state(t, s, unit, false, false)
	}
}

func restart(t *testing.T, s host.Services, unit string) {
	for range 2 {
		must(t, s.Restart(t.Context(), unit))
		state(t, s, unit, true, false)
	}
	must(t, s.Stop(t.Context(), unit))
}

func enable(t *testing.T, s host.Services, unit string) {
	for range 2 {
		must(t, s.Enable(t.Context(), unit))
		state(t, s, unit, false, true)
	}
}

func reloadUnit(t *testing.T, s host.Services, unit string) {
	var job *host.JobError
	if err := s.ReloadUnit(t.Context(), unit); !errors.As(err, &job) || job.Unit != unit {
		t.Errorf("a unit that does not run: want *JobError, got %v", err)
	}
	must(t, s.Start(t.Context(), unit))
	for range 2 {
		must(t, s.ReloadUnit(t.Context(), unit))
		state(t, s, unit, true, false)
	}
	must(t, s.Stop(t.Context(), unit))
}

func reload(t *testing.T, s host.Services, unit string) {
	must(t, s.Reload(t.Context()))
	state(t, s, unit, false, false)
}

func watch(t *testing.T, s host.Services, unit string) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	changes, err := s.Watch(ctx, unit)
	must(t, err)
	must(t, s.Start(t.Context(), unit))
	woken(t, changes)
	must(t, s.Stop(t.Context(), unit))
	woken(t, changes)
	cancel()
	deadline := time.After(patience)
	for {
		select {
		case _, open := <-changes:
			if !open {
				return
			}
		case <-deadline:
			t.Fatal("the channel is still open after the end of ctx")
		}
	}
}

func woken(t *testing.T, changes <-chan struct{}) {
	t.Helper()
	select {
	case <-changes:
	case <-time.After(patience):
		t.Fatal("no change was told")
	}
}
