package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Lock takes a lock and keeps it until release is called or the process
// ends, however it ends. It never waits: if another process has the lock,
// the error is a *LockedError that says what that process wrote as holder.
// Two locks of one process exclude each other, too.
func (l *Local) Lock(ctx context.Context, path, holder string) (release func() error, err error) {
	real, err := l.real(ctx, "lock", path)
	if err != nil {
		return nil, err
	}
	file, err := os.OpenFile(real, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		defer file.Close()
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		said := make([]byte, 512)
		n, _ := file.ReadAt(said, 0) // a short file ends in an error
		return nil, &LockedError{Path: filepath.Clean(path), Holder: firstLine(said[:n])}
	}
	if err := say(file, holder); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), file.Close())
	}
	// The file stays: to remove it would let two processes lock two files of
	// one name.
	return func() error { return errors.Join(file.Truncate(0), file.Close()) }, nil
}

// say replaces what the holder before has left.
func say(file *os.File, holder string) error {
	if err := file.Truncate(0); err != nil {
		return err
	}
	_, err := file.WriteAt([]byte(holder+"\n"), 0)
	return err
}
