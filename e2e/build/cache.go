//go:build linux

package build

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

// cache holds finished entries in directories named kind-key. An entry appears
// whole or not at all, and never changes afterwards.
type cache struct {
	dir string
	log *reporter
}

// has reports whether an entry is finished.
func (c cache) has(kind, key string) bool {
	info, err := os.Stat(filepath.Join(c.dir, kind+"-"+key))
	return err == nil && info.IsDir()
}

// ensure returns the entry's directory, and calls fill for it if it is
// missing. Among all processes only one fills an entry of one kind at a time.
func (c cache) ensure(ctx context.Context, kind, key string, fill func(ctx context.Context, dir string) error) (string, error) {
	entry := filepath.Join(c.dir, kind+"-"+key)
	if c.has(kind, key) {
		return entry, nil
	}
	if err := os.MkdirAll(c.dir, 0o755); err != nil {
		return "", err
	}
	unlock, err := c.lock(ctx, kind)
	if err != nil {
		return "", err
	}
	defer unlock()
	if c.has(kind, key) {
		return entry, nil
	}
	partial := entry + ".partial"
	if err := os.RemoveAll(partial); err != nil {
		return "", err
	}
	if err := os.Mkdir(partial, 0o755); err != nil {
		return "", err
	}
	if err := fill(ctx, partial); err != nil {
		return "", errors.Join(fmt.Errorf("make %s: %w", kind, err), os.RemoveAll(partial))
	}
	if err := os.Rename(partial, entry); err != nil {
		return "", err
	}
	return entry, nil
}

// lock waits until this process alone may fill entries of kind.
func (c cache) lock(ctx context.Context, kind string) (unlock func(), err error) {
	file, err := os.OpenFile(filepath.Join(c.dir, "."+kind+".lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	var done func()
	for {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			break
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			file.Close()
			return nil, fmt.Errorf("lock %s: %w", file.Name(), err)
		}
		if done == nil {
			done = c.log.during(fmt.Sprintf("waiting for another process that is making %s", kind), nil)
			defer done()
		}
		select {
		case <-ctx.Done():
			file.Close()
			return nil, ctx.Err()
		case <-tick.C:
		}
	}
	return func() { file.Close() }, nil
}

// digest is a short name for exactly these parts in this order.
func digest(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return hex.EncodeToString(h.Sum(nil))[:12]
}

// digestTree is a short name for every file below the roots of fsys: its path
// and content.
func digestTree(fsys fs.FS, roots ...string) (string, error) {
	var parts []string
	for _, root := range roots {
		err := fs.WalkDir(fsys, root, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			data, err := fs.ReadFile(fsys, path)
			parts = append(parts, path, string(data))
			return err
		})
		if err != nil {
			return "", err
		}
	}
	return digest(parts...), nil
}

// sortedKeys lists a map's keys in order.
func sortedKeys[V any](m map[string]V) []string {
	return slices.Sorted(maps.Keys(m))
}
