package host

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// renameNew renames and never replaces. Few file systems lack the flag; on
// those, nobody else is expected to make newPath in between.
func renameNew(oldPath, newPath string) error {
	err := unix.Renameat2(unix.AT_FDCWD, oldPath, unix.AT_FDCWD, newPath, unix.RENAME_NOREPLACE)
	if !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOSYS) {
		return err
	}
	if _, err := os.Lstat(newPath); !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(err, unix.EEXIST)
	}
	return unix.Rename(oldPath, newPath)
}

// MountPoints is that of Mounts, as the kernel lists them for this process.
func (l *Local) MountPoints(ctx context.Context, dir string) ([]string, error) {
	real, err := l.real(ctx, "mounts", dir)
	if err != nil {
		return nil, err
	}
	real, err = filepath.EvalSymlinks(real)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	var points []string
	for _, p := range parseMounts(string(table)) {
		if below(p, real) {
			points = append(points, l.shown(p))
		}
	}
	return points, nil
}

// shown is the path as users of Files write it.
func (l *Local) shown(real string) string {
	if l.root == "/" {
		return real
	}
	root, err := filepath.EvalSymlinks(l.root)
	if err != nil {
		root = filepath.Clean(l.root)
	}
	return filepath.Join("/", strings.TrimPrefix(real, root))
}

// parseMounts reads the fifth field of each line of proc_pid_mountinfo(5).
func parseMounts(table string) []string {
	var points []string
	for line := range strings.Lines(table) {
		if fields := strings.Fields(line); len(fields) > 4 {
			points = append(points, unescape(fields[4]))
		}
	}
	return points
}

// unescape undoes the octal escapes of space, tab, line break and backslash.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+4 <= len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// Unmount is that of Mounts.
func (l *Local) Unmount(ctx context.Context, path string, flags ...UnmountFlag) error {
	real, err := l.real(ctx, "unmount", path)
	if err != nil {
		return err
	}
	bits := unix.UMOUNT_NOFOLLOW
	for _, f := range flags {
		switch f {
		case UnmountForce:
			bits |= unix.MNT_FORCE
		case UnmountDetach:
			bits |= unix.MNT_DETACH
		case UnmountExpire:
			bits |= unix.MNT_EXPIRE
		case UnmountNoFollow:
		default:
			return &fs.PathError{Op: "unmount", Path: path, Err: errors.New("unknown flag " + string(f))}
		}
	}
	err = unix.Unmount(real, bits)
	if errors.Is(err, unix.EAGAIN) && bits&unix.MNT_EXPIRE != 0 {
		err = unix.Unmount(real, bits) // the first call only marks it
	}
	if err == nil || errors.Is(err, unix.ENOENT) {
		return nil
	}
	// The kernel says EINVAL for what is not mounted, and for flags that do
	// not go together.
	if points, _ := l.MountPoints(ctx, path); errors.Is(err, unix.EINVAL) && !slices.Contains(points, l.shown(real)) {
		return nil
	}
	return &fs.PathError{Op: "unmount", Path: path, Err: err}
}
