package host

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"syscall"
)

// made is the mode of directories that WriteFile makes on its way.
const made fs.FileMode = 0o700

// node is a file or directory in memory.
type node struct {
	mode fs.FileMode // with the type bits
	data []byte
}

// tree is a file system in memory whose rules are in the functions below,
// so that Memory and Overlay cannot differ in them. Its methods do not lock.
type tree interface {
	stat(ctx context.Context, path string) (Info, error)
	put(ctx context.Context, path string, n *node) error
	drop(path string)
}

func write(ctx context.Context, t tree, path string, data []byte, perm fs.FileMode) error {
	info, err := t.stat(ctx, path)
	if err == nil && info.Mode.IsDir() {
		return &fs.PathError{Op: "write", Path: path, Err: syscall.EISDIR}
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := mkdir(ctx, t, filepath.Dir(path), made); err != nil {
		return err
	}
	return t.put(ctx, path, &node{mode: perm.Perm(), data: bytes.Clone(data)})
}

func mkdir(ctx context.Context, t tree, path string, perm fs.FileMode) error {
	info, err := t.stat(ctx, path)
	switch {
	case err == nil && info.Mode.IsDir():
		return nil
	case err == nil:
		return &fs.PathError{Op: "mkdir", Path: path, Err: syscall.ENOTDIR}
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if err := mkdir(ctx, t, filepath.Dir(path), perm); err != nil {
		return err
	}
	return t.put(ctx, path, &node{mode: fs.ModeDir | perm.Perm()})
}

func remove(ctx context.Context, t tree, path string) error {
	info, err := t.stat(ctx, path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case len(info.Names) > 0:
		return &fs.PathError{Op: "remove", Path: path, Err: syscall.ENOTEMPTY}
	}
	t.drop(path)
	return nil
}

// names returns the sorted entries of dir among paths.
func names[V any](paths map[string]V, dir string) []string {
	list := []string{}
	for p := range paths {
		if p != dir && filepath.Dir(p) == dir {
			list = append(list, filepath.Base(p))
		}
	}
	slices.Sort(list)
	return list
}

// checkPath refuses work under an ended ctx and on a path that is not
// absolute, and returns the path in its shortest form.
func checkPath(ctx context.Context, op, path string) (string, error) {
	if ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	if !filepath.IsAbs(path) {
		return "", &fs.PathError{Op: op, Path: path, Err: fs.ErrInvalid}
	}
	return filepath.Clean(path), nil
}

// RemoveAll removes path and all below it. It never follows symbolic links.
// It does cross mount points: unmount first what is to be kept.
func RemoveAll(ctx context.Context, files Files, path string) error {
	info, err := files.Stat(ctx, path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err == nil && info.Mode.IsDir() && !info.Link {
		for _, name := range info.Names {
			if err := RemoveAll(ctx, files, filepath.Join(path, name)); err != nil {
				return err
			}
		}
	}
	return files.Remove(ctx, path)
}
