package loadbalancer

import (
	"context"

	"github.com/hactl/hactl/phases"
)

// WholePhase is all of Phases as one, for a program on a control plane: it
// says "unchanged" where the program runs with its file, and else does what
// is missing. A replacement that nobody has verified is verified first.
func WholePhase(p Program, title string) phases.Phase[Task] {
	return phases.Phase[Task]{
		Name:    string(p),
		Title:   title,
		Writes:  []string{p.File(), p.Unit() + " (enabled, running)"},
		Observe: observeWhole,
		Apply:   applyWhole,
		Undo:    rollBack,
	}
}

func observeWhole(ctx context.Context, t *Task) (phases.State, error) {
	state, err := observeConfig(ctx, t)
	if err == nil && state == phases.Done {
		state, err = running(ctx, t.Host, t.Program.Unit(), t.Config)
	}
	if err != nil || state != phases.Done || t.DryRun {
		return state, err
	}
	p, err := t.pending(ctx)
	if err != nil || p != nil {
		return phases.Missing, err
	}
	return phases.Done, nil
}

func applyWhole(ctx context.Context, t *Task) error {
	if err := preflight(ctx, t); err != nil {
		return err
	}
	for _, p := range []phases.Phase[Task]{ConfigPhase(), ReloadPhase()} {
		state, err := p.Observe(ctx, t)
		if err == nil && state != phases.Done {
			err = p.Apply(ctx, t)
		}
		if err != nil {
			return err
		}
	}
	if t.DryRun {
		return nil
	}
	return verify(ctx, t)
}
