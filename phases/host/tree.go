package host

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// made is the mode of directories that WriteFile makes on its way.
const made fs.FileMode = 0o700

// node is a file or directory in memory.
type node struct {
	mode  fs.FileMode // with the type bits
	owner Owner
	data  []byte
	// source is where an Overlay's base has the content of a file that was
	// moved or given away; size is that content's.
	source string
	size   int64
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

// renamable refuses what Rename refuses, mounts aside.
func renamable(ctx context.Context, t tree, oldPath, newPath string) error {
	if _, err := t.stat(ctx, oldPath); err != nil {
		return err
	}
	if below(newPath, oldPath) && newPath != oldPath {
		return &fs.PathError{Op: "rename", Path: newPath, Err: syscall.EINVAL}
	}
	_, err := t.stat(ctx, newPath)
	switch {
	case err == nil:
		return &fs.PathError{Op: "rename", Path: newPath, Err: fs.ErrExist}
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	up, err := t.stat(ctx, filepath.Dir(newPath))
	if err == nil && !up.Mode.IsDir() {
		err = &fs.PathError{Op: "rename", Path: newPath, Err: syscall.ENOTDIR}
	}
	return err
}

// below says whether path is dir or lies below it.
func below(path, dir string) bool {
	return path == dir || dir == "/" || strings.HasPrefix(path, dir+"/")
}

// mountOf is the deepest of the mount points that path lies on.
func mountOf(points []string, path string) string {
	deepest := "/"
	for _, p := range points {
		if below(path, p) && len(p) > len(deepest) {
			deepest = p
		}
	}
	return deepest
}

// mountsBelow keeps the points at dir and below it.
func mountsBelow(points []string, dir string) []string {
	var kept []string
	for _, p := range points {
		if below(p, dir) {
			kept = append(kept, p)
		}
	}
	return kept
}

func lastIndex(points []string, path string) int {
	for i := len(points) - 1; i >= 0; i-- {
		if points[i] == path {
			return i
		}
	}
	return -1
}

// checkRemoval refuses to remove the root and what a mount point is in.
func checkRemoval(points []string, path string) error {
	if path == "/" {
		return &fs.PathError{Op: "remove", Path: path, Err: fs.ErrInvalid}
	}
	if held := mountsBelow(points, path); len(held) > 0 {
		return &MountedError{Path: held[0]}
	}
	return nil
}

// checkMounts refuses a rename that the mount points forbid.
func checkMounts(points []string, oldPath, newPath string) error {
	if slices.Contains(points, oldPath) {
		return &fs.PathError{Op: "rename", Path: oldPath, Err: syscall.EBUSY}
	}
	if mountOf(points, oldPath) != mountOf(points, filepath.Dir(newPath)) {
		return &fs.PathError{Op: "rename", Path: newPath, Err: syscall.EXDEV}
	}
	return nil
}

// checkPaths is checkPath for both ends of a rename.
func checkPaths(ctx context.Context, oldPath, newPath string) (from, to string, err error) {
	if from, err = checkPath(ctx, "rename", oldPath); err != nil {
		return "", "", err
	}
	to, err = checkPath(ctx, "rename", newPath)
	return from, to, err
}

// TempPrefix is how the name of a file begins that WriteFile left half
// written when the process was killed, where name is the file's.
func TempPrefix(name string) string { return "." + name + ".hactl-" }
