package loadbalancer

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"

	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/host"
)

// ReloadPhase makes the program run with its file: started if it did not
// run, reloaded without the end of a connection if it did, and started at
// every boot.
func ReloadPhase() phases.Phase[Task] {
	return phases.Phase[Task]{
		Name:   "reload",
		Title:  "start or reload without dropping connections",
		Writes: []string{"the program's unit: enabled, running"},
		Observe: func(ctx context.Context, t *Task) (phases.State, error) {
			return running(ctx, t.Host, t.Program.Unit(), t.Config)
		},
		Apply: applyReload,
		Undo:  rollBack,
	}
}

func applyReload(ctx context.Context, t *Task) error {
	s := t.Host.Services()
	if err := s.Enable(ctx, t.Program.Unit()); err != nil {
		return err
	}
	status, err := s.Status(ctx, t.Program.Unit())
	if err != nil {
		return err
	}
	before := t.workers(ctx)
	if err := again(ctx, s, t.Program.Unit()); err != nil {
		return err
	}
	if status.Active && !t.DryRun {
		if err := t.takenUp(ctx, before); err != nil {
			return err
		}
	}
	return loaded(ctx, t.Host, t.Program.Unit(), t.Config)
}

// loadedFile holds the checksum of the configuration that a unit was last
// made to read. It is gone after a boot, as what the unit has read.
func loadedFile(unit string) string { return "/run/hactl/lb/" + unit + ".loaded" }

func checksum(config []byte) string { return fmt.Sprintf("%x\n", sha256.Sum256(config)) }

// loaded notes that the unit has read the configuration.
func loaded(ctx context.Context, h host.Host, unit string, config []byte) error {
	return h.WriteFile(ctx, loadedFile(unit), []byte(checksum(config)), 0o644)
}

// running says whether the unit is enabled and runs with the configuration.
func running(ctx context.Context, h host.Host, unit string, config []byte) (phases.State, error) {
	status, err := h.Services().Status(ctx, unit)
	if err != nil || !status.Active || !status.Enabled {
		return phases.Missing, err
	}
	noted, err := h.ReadFile(ctx, loadedFile(unit))
	if errors.Is(err, fs.ErrNotExist) {
		return phases.Missing, nil
	}
	if err != nil || string(noted) != checksum(config) {
		return phases.Missing, err
	}
	return phases.Done, nil
}
