package host

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os/exec"
	"syscall"
	"time"
)

const (
	// stderrTail is how much of standard error an ExitError keeps.
	stderrTail = 4 << 10
	// grace is how long a program may need to end after ctx has ended.
	grace = 3 * time.Second
)

// Probe is that of Commands.
func (l *Local) Probe(ctx context.Context, argv ...string) ([]byte, error) {
	return execute(ctx, argv)
}

// Exec is that of Commands.
func (l *Local) Exec(ctx context.Context, argv ...string) ([]byte, error) {
	return execute(ctx, argv)
}

// execute runs a program with the environment of hactl, in the C locale so
// that its messages are the ones that people can search for.
func execute(ctx context.Context, argv []string) ([]byte, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	var stdout bytes.Buffer
	var stderr tail
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = append(cmd.Environ(), "LC_ALL=C")
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = grace
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return stdout.Bytes(), nil
	case ctx.Err() != nil:
		return stdout.Bytes(), context.Cause(ctx)
	case errors.As(err, &exit):
		return stdout.Bytes(), &ExitError{Argv0: argv[0], Code: exit.ExitCode(), Stderr: string(stderr)}
	case errors.Is(err, fs.ErrNotExist):
		return nil, &exec.Error{Name: argv[0], Err: exec.ErrNotFound}
	}
	return nil, err
}

// tail keeps the end of what is written to it.
type tail []byte

func (t *tail) Write(p []byte) (int, error) {
	*t = append(*t, p...)
	if extra := len(*t) - stderrTail; extra > 0 {
		*t = append((*t)[:0], (*t)[extra:]...)
	}
	return len(p), nil
}
