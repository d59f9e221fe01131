//go:build linux

package nodes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/hactl/hactl/e2e/build"
)

// record is what a lab's state directory says about it.
type record struct {
	Name      string
	Keep      bool
	Keeper    process
	Nodes     []string
	Artifacts build.Artifacts
}

// stateRoot is where labs keep their nodes' disks.
func stateRoot() string {
	if dir := os.Getenv("HACTL_LAB_STATE"); dir != "" {
		return dir
	}
	return "/var/lib/hactl-lab"
}

func stateDir(lab string) string { return filepath.Join(stateRoot(), lab) }

// readRecord returns fs.ErrNotExist if there is no such lab.
func readRecord(lab string) (record, error) {
	var r record
	return r, readJSON(filepath.Join(stateDir(lab), "lab.json"), &r)
}

func (r record) write() error {
	return writeJSON(filepath.Join(stateDir(r.Name), "lab.json"), r)
}

func readJSON[T any](file string, value *T) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, value); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
}

// writeJSON replaces the file whole, so that another process never reads half
// of it.
func writeJSON[T any](file string, value T) error {
	data, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return err
	}
	next, err := os.CreateTemp(filepath.Dir(file), ".next-")
	if err != nil {
		return err
	}
	_, err = next.Write(data)
	if err := errors.Join(err, next.Close()); err != nil {
		return errors.Join(err, os.Remove(next.Name()))
	}
	return os.Rename(next.Name(), file)
}

// lockLab keeps every other process from starting, changing or removing the
// lab, until the caller calls unlock.
func lockLab(ctx context.Context, lab string) (unlock func(), err error) {
	for {
		unlock, err := tryLockLab(lab)
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return unlock, err
		}
		if err := pause(ctx, 100*time.Millisecond); err != nil {
			return nil, fmt.Errorf("lab %s is being changed by another process: %w", lab, err)
		}
	}
}

// tryLockLab returns syscall.EWOULDBLOCK if another process has the lock.
func tryLockLab(lab string) (unlock func(), err error) {
	if err := os.MkdirAll(stateRoot(), 0o700); err != nil {
		return nil, err
	}
	name := filepath.Join(stateRoot(), "."+lab+".lock")
	for {
		file, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o600)
		if err != nil {
			return nil, err
		}
		if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
			file.Close()
			return nil, err
		}
		// The last holder removes the file: what was locked may be gone.
		locked, err1 := file.Stat()
		named, err2 := os.Stat(name)
		if err1 == nil && err2 == nil && os.SameFile(locked, named) {
			return func() {
				os.Remove(name)
				file.Close()
			}, nil
		}
		file.Close()
	}
}

// labs lists the names of all labs that have state, running or not.
func labs() ([]string, error) {
	entries, err := os.ReadDir(stateRoot())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() && checkName(e.Name()) == nil {
			names = append(names, e.Name())
		}
	}
	return names, err
}

// pause waits, or returns the context's error.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// until calls check every few milliseconds until it says true. It returns
// an error if ctx ends first, or after limit.
func until(ctx context.Context, limit time.Duration, what string, check func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		if ok, err := check(); ok || err != nil {
			return err
		}
		if pause(ctx, 10*time.Millisecond) != nil {
			return fmt.Errorf("%s: not within %s: %w", what, limit, ctx.Err())
		}
	}
}
