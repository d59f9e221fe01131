package phases_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hactl/hactl/phases"
)

// Whatever began to apply is taken back, also a group and a check.
func TestUndoOfGroupAndCheck(t *testing.T) {
	var undone []string
	note := func(name string) func(context.Context, *int) error {
		return func(context.Context, *int) error { undone = append(undone, name); return nil }
	}
	fine := func(context.Context, *int) error { return nil }
	list := []phases.Phase[int]{
		{Name: "check", Apply: fine, Undo: note("check")},
		{Name: "group", Undo: note("group"), Phases: []phases.Phase[int]{{Name: "sub", Apply: fine, Undo: note("group/sub")}}},
		{Name: "empty"},
		{Name: "fails", Apply: func(context.Context, *int) error { return errors.New("no") }},
		{Name: "never", Apply: fine, Undo: note("never")},
	}
	if err := phases.Run(t.Context(), list, new(int), phases.Options{}); err == nil {
		t.Fatal("Run() = nil, want an error")
	}
	if diff := cmp.Diff([]string{"group/sub", "group", "check"}, undone); diff != "" {
		t.Errorf("undone: -want +got\n%s", diff)
	}
}

// A phase that runs phases of its own fails under its own path.
func TestPhaseErrorOfInnerRun(t *testing.T) {
	inner := []phases.Phase[int]{{Name: "inner", Apply: func(context.Context, *int) error { return errors.New("no") }}}
	list := []phases.Phase[int]{{Name: "outer", Apply: func(ctx context.Context, n *int) error {
		return phases.Run(ctx, inner, n, phases.Options{})
	}}}
	var failed *phases.PhaseError
	if err := phases.Run(t.Context(), list, new(int), phases.Options{}); !errors.As(err, &failed) || failed.Phase != "outer" {
		t.Errorf("Run() = %v, want an error of phase outer", err)
	}
}
