package host

import (
	"context"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// SetMount mounts a file system on the directory, which then exists; a file
// system once more on top of what is mounted there already.
func (m *Memory) SetMount(path string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	path = filepath.Clean(path)
	for dir := path; m.nodes[dir] == nil; dir = filepath.Dir(dir) {
		m.nodes[dir] = &node{mode: fs.ModeDir | 0o755}
	}
	m.mounts = append(m.mounts, path)
}

// HandleUnmount makes f run before each unmount of a mount point. If f
// returns an error, Unmount returns it and changes nothing.
func (m *Memory) HandleUnmount(f func(path string, flags []UnmountFlag) error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.unmount = f
}

// MountPoints is that of Mounts.
func (m *Memory) MountPoints(ctx context.Context, dir string) ([]string, error) {
	dir, err := checkPath(ctx, "mounts", dir)
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return mountsBelow(m.mounts, dir), nil
}

// Unmount is that of Mounts. With the last mount on a path, what was on it
// is out of sight.
func (m *Memory) Unmount(ctx context.Context, path string, flags ...UnmountFlag) error {
	path, err := checkPath(ctx, "unmount", path)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if !slices.Contains(m.mounts, path) {
		return nil
	}
	if m.unmount != nil {
		if err := m.unmount(path, flags); err != nil {
			return err
		}
	}
	for _, p := range m.mounts {
		if p != path && below(p, path) {
			return &fs.PathError{Op: "unmount", Path: path, Err: syscall.EBUSY}
		}
	}
	i := lastIndex(m.mounts, path)
	m.mounts = slices.Delete(m.mounts, i, i+1)
	if !slices.Contains(m.mounts, path) {
		maps.DeleteFunc(m.nodes, func(p string, _ *node) bool { return p != path && below(p, path) })
	}
	return nil
}

// RemoveAll is that of Files.
func (m *Memory) RemoveAll(ctx context.Context, path string) error {
	path, err := checkPath(ctx, "remove", path)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := checkRemoval(m.mounts, path); err != nil {
		return err
	}
	maps.DeleteFunc(m.nodes, func(p string, _ *node) bool { return below(p, path) })
	return nil
}

// Rename is that of Files.
func (m *Memory) Rename(ctx context.Context, oldPath, newPath string) error {
	oldPath, newPath, err := checkPaths(ctx, oldPath, newPath)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := renamable(ctx, m, oldPath, newPath); err != nil {
		return err
	}
	if err := checkMounts(m.mounts, oldPath, newPath); err != nil {
		return err
	}
	moveNodes(m.nodes, oldPath, newPath)
	for i, p := range m.mounts {
		if below(p, oldPath) {
			m.mounts[i] = newPath + strings.TrimPrefix(p, oldPath)
		}
	}
	return nil
}

// moveNodes moves the entries at oldPath and below it.
func moveNodes(nodes map[string]*node, oldPath, newPath string) {
	moved := map[string]*node{}
	for p, n := range nodes {
		if below(p, oldPath) {
			moved[newPath+strings.TrimPrefix(p, oldPath)] = n
			delete(nodes, p)
		}
	}
	maps.Copy(nodes, moved)
}
