package host

import (
	"context"
	"io/fs"
	"maps"
	"slices"
	"syscall"
)

// unseen says whether the base's entry at path is no longer there: something
// above it, or a mount that held it, is gone.
func (o *Overlay) unseen(path string) bool {
	return slices.ContainsFunc(o.hidden, func(dir string) bool { return path != dir && below(path, dir) })
}

// baseStat is Stat of what is left of the base.
func (o *Overlay) baseStat(ctx context.Context, path string) (Info, error) {
	if o.unseen(path) {
		return Info{}, &fs.PathError{Op: "stat", Path: path, Err: syscall.ENOENT}
	}
	info, err := o.base.Stat(ctx, path)
	if err == nil && slices.Contains(o.hidden, path) && info.Mode.IsDir() {
		info.Names = []string{}
	}
	return info, err
}

// baseRead is ReadFile of what is left of the base.
func (o *Overlay) baseRead(ctx context.Context, path string) ([]byte, error) {
	if o.unseen(path) {
		return nil, &fs.PathError{Op: "open", Path: path, Err: syscall.ENOENT}
	}
	return o.base.ReadFile(ctx, path)
}

// Chown is that of Owners. Contents stay where they are.
func (o *Overlay) Chown(ctx context.Context, path string, owner Owner, perm fs.FileMode) error {
	path, err := checkPath(ctx, "chown", path)
	if err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	info, err := o.stat(ctx, path)
	if err != nil {
		return err
	}
	mode := info.Mode.Type() | perm.Perm()
	if mode == info.Mode && owner == info.Owner {
		return nil
	}
	n := node{size: info.Size, source: path}
	if known := o.nodes[path]; known != nil {
		n = *known
	}
	n.mode, n.owner = mode, owner
	o.nodes[path] = &n
	o.changes = append(o.changes, Change{Kind: OwnerChanged, Path: path, Mode: mode, Owner: owner})
	return nil
}

// RemoveAll is that of Files; a directory with all below it is one change.
func (o *Overlay) RemoveAll(ctx context.Context, path string) error {
	path, err := checkPath(ctx, "remove", path)
	if err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	info, err := o.stat(ctx, path)
	if err != nil || info.Link || len(info.Names) == 0 {
		return o.removeOne(ctx, path)
	}
	points, err := o.mountPoints(ctx, path)
	if err != nil {
		return err
	}
	if err := checkRemoval(points, path); err != nil {
		return err
	}
	o.hide(path)
	o.drop(path)
	o.changes = append(o.changes, Change{Kind: TreeRemoved, Path: path, Mode: info.Mode})
	return nil
}

// hide makes all below path vanish.
func (o *Overlay) hide(path string) {
	maps.DeleteFunc(o.nodes, func(p string, _ *node) bool { return p != path && below(p, path) })
	o.hidden = append(o.hidden, path)
}

// Rename is that of Files.
func (o *Overlay) Rename(ctx context.Context, oldPath, newPath string) error {
	oldPath, newPath, err := checkPaths(ctx, oldPath, newPath)
	if err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if err := renamable(ctx, o, oldPath, newPath); err != nil {
		return err
	}
	points, err := o.mountPoints(ctx, "/")
	if err != nil {
		return err
	}
	if err := checkMounts(points, oldPath, newPath); err != nil {
		return err
	}
	info, err := o.stat(ctx, oldPath)
	if err != nil {
		return err
	}
	moved := map[string]*node{}
	if err := o.collect(ctx, oldPath, newPath, moved); err != nil {
		return err
	}
	o.hide(oldPath)
	o.drop(oldPath)
	maps.Copy(o.nodes, moved)
	o.changes = append(o.changes, Change{Kind: PathMoved, Path: newPath, From: oldPath, Mode: info.Mode})
	return nil
}

// collect lists the entries at path and below it as they will be at newPath.
// Contents stay where they are: they may be large.
func (o *Overlay) collect(ctx context.Context, path, newPath string, moved map[string]*node) error {
	info, err := o.stat(ctx, path)
	if err != nil {
		return err
	}
	n := &node{mode: info.Mode, owner: info.Owner, size: info.Size, source: path}
	if known := o.nodes[path]; known != nil {
		n = known
	}
	moved[newPath] = n
	for _, name := range info.Names {
		if err := o.collect(ctx, joinPath(path, name), joinPath(newPath, name), moved); err != nil {
			return err
		}
	}
	return nil
}

// MountPoints is that of Mounts, without those that were unmounted here.
func (o *Overlay) MountPoints(ctx context.Context, dir string) ([]string, error) {
	dir, err := checkPath(ctx, "mounts", dir)
	if err != nil {
		return nil, err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.mountPoints(ctx, dir)
}

func (o *Overlay) mountPoints(ctx context.Context, dir string) ([]string, error) {
	points, err := o.base.MountPoints(ctx, dir)
	for _, p := range o.unmounted {
		if i := lastIndex(points, p); i >= 0 {
			points = slices.Delete(points, i, i+1)
		}
	}
	return points, err
}

// Unmount is that of Mounts: listed, and what was mounted is out of sight.
func (o *Overlay) Unmount(ctx context.Context, path string, _ ...UnmountFlag) error {
	path, err := checkPath(ctx, "unmount", path)
	if err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	points, err := o.mountPoints(ctx, path)
	if err != nil || !slices.Contains(points, path) {
		return err
	}
	if slices.ContainsFunc(points, func(p string) bool { return p != path }) {
		return &fs.PathError{Op: "unmount", Path: path, Err: syscall.EBUSY}
	}
	o.unmounted = append(o.unmounted, path)
	if len(points) == 1 {
		o.hide(path)
	}
	o.changes = append(o.changes, Change{Kind: Unmounted, Path: path})
	return nil
}
