package host

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// RemoveAll is that of Files. Nothing goes while a file system is mounted
// anywhere below path. Each directory is opened below its parent
// without following links, so that nobody can lead the removal elsewhere
// while it runs.
func (l *Local) RemoveAll(ctx context.Context, path string) error {
	real, err := l.real(ctx, "remove", path)
	if err != nil {
		return err
	}
	if real == filepath.Clean(l.root) {
		return &fs.PathError{Op: "remove", Path: path, Err: fs.ErrInvalid}
	}
	if points, err := l.MountPoints(ctx, path); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return err
	} else if len(points) > 0 && !isLink(real) {
		return &MountedError{Path: points[0]}
	}
	parent, err := os.Open(filepath.Dir(real))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(removeBelow(ctx, parent, filepath.Base(real)), parent.Close())
}

func isLink(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && info.Mode()&fs.ModeSymlink != 0
}

// removeBelow removes the entry name of the open directory.
func removeBelow(ctx context.Context, parent *os.File, name string) error {
	path := filepath.Join(parent.Name(), name)
	err := unlink(parent, name, 0)
	if err == nil {
		return nil
	}
	// Linux says EISDIR, POSIX EPERM.
	if !errors.Is(err, unix.EISDIR) && !errors.Is(err, unix.EPERM) && !errors.Is(err, unix.EBUSY) {
		return &fs.PathError{Op: "remove", Path: path, Err: err}
	}
	dir, openErr := openBelow(parent, name)
	if errors.Is(openErr, unix.ENOTDIR) || errors.Is(openErr, unix.ELOOP) {
		if errors.Is(err, unix.EBUSY) {
			return &MountedError{Path: path}
		}
		return &fs.PathError{Op: "remove", Path: path, Err: err}
	}
	if openErr != nil {
		return &fs.PathError{Op: "open", Path: path, Err: openErr}
	}
	if err := errors.Join(removeEntries(ctx, parent, dir), dir.Close()); err != nil {
		return err
	}
	err = unlink(parent, name, unix.AT_REMOVEDIR)
	switch {
	case errors.Is(err, unix.EBUSY):
		return &MountedError{Path: path}
	case err != nil:
		return &fs.PathError{Op: "remove", Path: path, Err: err}
	}
	return nil
}

// removeEntries empties dir, unless a file system other than its parent's
// was mounted there meanwhile.
func removeEntries(ctx context.Context, parent, dir *os.File) error {
	var above, here unix.Stat_t
	if err := errors.Join(unix.Fstat(int(parent.Fd()), &above), unix.Fstat(int(dir.Fd()), &here)); err != nil {
		return &fs.PathError{Op: "stat", Path: dir.Name(), Err: err}
	}
	if above.Dev != here.Dev {
		return &MountedError{Path: dir.Name()}
	}
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return err
	}
	for _, name := range names {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := removeBelow(ctx, dir, name); err != nil {
			return err
		}
	}
	return nil
}

// unlink removes the entry; what is gone already is no error.
func unlink(parent *os.File, name string, flags int) error {
	err := unix.Unlinkat(int(parent.Fd()), name, flags)
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	return err
}

func openBelow(parent *os.File, name string) (*os.File, error) {
	const flags = unix.O_RDONLY | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC
	fd, err := unix.Openat(int(parent.Fd()), name, flags, 0)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), filepath.Join(parent.Name(), name)), nil
}

// Rename is that of Files.
func (l *Local) Rename(ctx context.Context, oldPath, newPath string) error {
	from, err := l.real(ctx, "rename", oldPath)
	if err != nil {
		return err
	}
	to, err := l.real(ctx, "rename", newPath)
	if err != nil {
		return err
	}
	l.writing.Lock()
	defer l.writing.Unlock()
	if err := renameNew(from, to); err != nil {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
	}
	return errors.Join(syncDir(filepath.Dir(to)), syncDir(filepath.Dir(from)))
}
