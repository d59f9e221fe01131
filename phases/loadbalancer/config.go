package loadbalancer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/host"
)

// ConfigPhase puts the file in place, once the program itself has accepted
// it. Until VerifyPhase has ended well, a failure brings the old file back.
func ConfigPhase() phases.Phase[Task] {
	return phases.Phase[Task]{
		Name:    "config",
		Title:   "test and replace the configuration file",
		Writes:  []string{"the program's configuration file, and a copy of the old one"},
		Observe: observeConfig,
		Apply:   applyConfig,
		Undo:    rollBack,
	}
}

func observeConfig(ctx context.Context, t *Task) (phases.State, error) {
	f, err := t.replaceable(ctx)
	if err != nil || !bytes.Equal(f.data, t.Config) {
		return phases.Missing, err
	}
	return phases.Done, nil
}

func applyConfig(ctx context.Context, t *Task) error {
	f, err := t.replaceable(ctx)
	if err != nil {
		return err
	}
	if err := t.tryOut(ctx); err != nil {
		return err
	}
	if err := t.keepOld(ctx, f); err != nil {
		return err
	}
	return t.Host.WriteFile(ctx, t.Program.File(), t.Config, perm)
}

// keepOld keeps what is to be replaced, for rollBack and, if it is
// somebody's, for ever.
func (t *Task) keepOld(ctx context.Context, f there) error {
	if p, err := t.pending(ctx); err != nil || p != nil && !f.keep() {
		return err // what an earlier run put there was never verified
	}
	status, err := t.Host.Services().Status(ctx, t.Program.Unit())
	if err != nil {
		return err
	}
	p := pending{Active: status.Active}
	if f.exists {
		p.Old = t.Program.File() + ".hactl-old"
		if f.keep() {
			if p.Old, err = t.copyName(ctx, f.data); err != nil {
				return err
			}
			phases.Warn(ctx, "the file that was there is kept as "+p.Old)
		}
		if err := t.Host.WriteFile(ctx, p.Old, f.data, perm); err != nil {
			return err
		}
	}
	data, err := json.Marshal(p)
	if err != nil {
		return err
	}
	return t.Host.WriteFile(ctx, t.pendingFile(), append(data, '\n'), 0o600)
}

// perm is that of the files: they hold no secret.
const perm fs.FileMode = 0o644

// tryOut lets the program judge the new file, beside the old one.
func (t *Task) tryOut(ctx context.Context) error {
	file := t.Program.File() + ".hactl-new"
	if err := t.Host.WriteFile(ctx, file, t.Config, perm); err != nil {
		return err
	}
	_, err := t.Host.Exec(ctx, t.Program.test(file)...)
	if removed := t.Host.Remove(context.WithoutCancel(ctx), file); err == nil {
		return removed
	}
	var exit *host.ExitError
	if !errors.As(err, &exit) {
		return err
	}
	fixes := []string{"nothing was changed; see " + t.words(
		"the flags that the lines above name: hactl lb install "+string(t.Program)+" --help", "loadBalancer in the document HighAvailability")}
	if t.Program == Nginx && strings.Contains(exit.Stderr, `unknown directive "stream"`) {
		fixes = append([]string{"nginx has no stream module:"}, t.Program.install()...)
	}
	return &phases.Fault{
		What: string(t.Program) + " does not accept the configuration that was made for it",
		Why:  errors.New(strings.TrimSpace(exit.Stderr)), Fixes: fixes,
	}
}

// copyName is where a copy of somebody's file goes: a name that is free, or
// one that has the same content already.
func (t *Task) copyName(ctx context.Context, data []byte) (string, error) {
	for i := range 100 {
		name := t.Program.File() + ".before-hactl"
		if i > 0 {
			name += fmt.Sprintf("-%d", i)
		}
		have, err := t.Host.ReadFile(ctx, name)
		if errors.Is(err, fs.ErrNotExist) || err == nil && bytes.Equal(have, data) {
			return name, nil
		}
		if err != nil {
			return "", err
		}
	}
	return "", &phases.Fault{
		What:  "there are 100 copies of " + t.Program.File() + " already",
		Fixes: []string{"remove those that nobody needs: " + t.Program.File() + ".before-hactl*"},
	}
}

// pending is what is known of a replacement that nobody has verified yet. It
// is on the disk, so that also a later run can take the replacement back.
type pending struct {
	// Old is where the file before is kept, "" if there was none.
	Old string `json:"old"`
	// Active says that the program ran before.
	Active bool `json:"active"`
}

func (t *Task) pendingFile() string { return "/var/lib/hactl/lb/" + string(t.Program) + ".pending" }

// pending returns nil if nothing is.
func (t *Task) pending(ctx context.Context) (*pending, error) {
	data, err := t.Host.ReadFile(ctx, t.pendingFile())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	p := &pending{}
	if err == nil {
		err = json.Unmarshal(data, p)
	}
	if err != nil {
		return nil, fmt.Errorf("read what to take back: %w", err)
	}
	return p, nil
}

// commit forgets that there is something to take back.
func (t *Task) commit(ctx context.Context) error { return t.Host.Remove(ctx, t.pendingFile()) }

// rollBack brings the old file back, and the program to it. Without a
// replacement that is pending there is nothing to do, so it may run again.
func rollBack(ctx context.Context, t *Task) error {
	p, err := t.pending(ctx)
	if err != nil || p == nil {
		return err
	}
	if err := t.restore(ctx, p.Old); err != nil {
		return err
	}
	// What runs is now to be what is in the file.
	s := t.Host.Services()
	if p.Active {
		err = again(ctx, s, t.Program.Unit())
	} else if err = s.Stop(ctx, t.Program.Unit()); err != nil {
		var none *host.UnitError
		if errors.As(err, &none) {
			err = nil
		}
	}
	return errors.Join(err, t.Host.Remove(ctx, loadedFile(t.Program.Unit())), t.commit(ctx))
}

// restore puts the copy, "" for no file, in place.
func (t *Task) restore(ctx context.Context, old string) error {
	if old == "" {
		return t.Host.Remove(ctx, t.Program.File())
	}
	data, err := t.Host.ReadFile(ctx, old)
	if err != nil {
		return err
	}
	return t.Host.WriteFile(ctx, t.Program.File(), data, perm)
}

// again makes a unit run with its configuration as it is now: without an
// interruption if it runs.
func again(ctx context.Context, s host.Services, unit string) error {
	status, err := s.Status(ctx, unit)
	switch {
	case err != nil:
		return err
	case status.Active:
		return s.ReloadUnit(ctx, unit)
	}
	return s.Restart(ctx, unit)
}
