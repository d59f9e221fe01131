package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/host"
)

// hold keeps other processes of hactl from changing this machine until
// close: two runs at once would take each other's files. Command is what
// they are told ("hactl init"); it holds no arguments, which may be secret.
// A dry run changes nothing, so it neither holds the machine nor minds who
// does.
func (m *machine) hold(ctx context.Context, command string) error {
	if m.files != nil {
		return nil
	}
	release, err := m.lock(ctx, fmt.Sprintf("process %d: %s", os.Getpid(), command))
	var locked *host.LockedError
	switch {
	case errors.As(err, &locked):
		return busy(locked)
	case errors.Is(err, fs.ErrPermission):
		// Whoever may not lock may not change the node either; files in a
		// directory of one's own are nobody else's matter.
		return nil
	case err != nil:
		return fmt.Errorf("keep other runs from this machine: %w", err)
	}
	m.closers = append(m.closers, func() { _ = release() }) // the end of the process does the same
	return nil
}

func busy(locked *host.LockedError) error {
	holder := locked.Holder
	if holder == "" {
		holder = "another process"
	}
	return &phases.Fault{
		What: "another hactl is changing this node: " + holder,
		Why:  locked,
		Fixes: []string{
			"wait until it has ended, then run the same command again",
			"to see it: fuser -v " + locked.Path,
		},
		Exit: phases.CodeUnsafe,
	}
}
