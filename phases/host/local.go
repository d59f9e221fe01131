package host

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
)

// watchedDir is the name of directories in which the kubelet looks for
// static pods; temporary files for them lie in the directory above.
const watchedDir = "manifests"

// Local is the machine that hactl runs on.
type Local struct {
	root    string
	systemd systemd
	writing sync.Mutex // one write at a time: each removes what others left
}

// NewLocal returns the machine. With a root other than "/" or "", all paths
// of Files lie below it; absolute symbolic links still lead out of it, and
// programs and units are those of the running system. The caller closes it.
func NewLocal(root string) *Local {
	if root == "" {
		root = "/"
	}
	return &Local{root: root}
}

// Close ends the connection to the service manager, if there is one.
func (l *Local) Close() { l.systemd.close() }

// Services returns systemd over D-Bus; it connects at the first call.
func (l *Local) Services() Services { return &l.systemd }

func (l *Local) real(ctx context.Context, op, path string) (string, error) {
	path, err := checkPath(ctx, op, path)
	if err != nil {
		return "", err
	}
	return filepath.Join(l.root, path), nil
}

// ReadFile is that of Files.
func (l *Local) ReadFile(ctx context.Context, path string) ([]byte, error) {
	real, err := l.real(ctx, "open", path)
	if err != nil {
		return nil, err
	}
	return os.ReadFile(real)
}

// ReadHead is that of Files.
func (l *Local) ReadHead(ctx context.Context, path string, most int) ([]byte, error) {
	real, err := l.real(ctx, "open", path)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(real)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, int64(most)))
	return data, errors.Join(err, f.Close())
}

// Stat is that of Files.
func (l *Local) Stat(ctx context.Context, path string) (Info, error) {
	real, err := l.real(ctx, "stat", path)
	if err != nil {
		return Info{}, err
	}
	link, err := os.Lstat(real)
	if err != nil {
		return Info{}, err
	}
	target, err := os.Stat(real)
	if err != nil {
		return Info{}, err
	}
	info := Info{Mode: target.Mode(), Size: target.Size(), Owner: ownerOf(target), Link: link.Mode()&fs.ModeSymlink != 0}
	if !target.IsDir() {
		return info, nil
	}
	info.Size, info.Names = 0, []string{}
	dir, err := os.Open(real)
	if err != nil {
		return Info{}, err
	}
	names, err := dir.Readdirnames(-1)
	info.Names = append(info.Names, names...)
	slices.Sort(info.Names)
	return info, errors.Join(err, dir.Close())
}

// WriteFile is that of Files. A symbolic link at path is replaced.
func (l *Local) WriteFile(ctx context.Context, path string, data []byte, perm fs.FileMode) error {
	real, err := l.real(ctx, "write", path)
	if err != nil {
		return err
	}
	l.writing.Lock()
	defer l.writing.Unlock()
	dir := filepath.Dir(real)
	if err := mkdirAll(dir, made); err != nil {
		return err
	}
	if filepath.Base(dir) == watchedDir {
		err := replace(filepath.Dir(dir), real, data, perm.Perm())
		if !errors.Is(err, syscall.EXDEV) {
			return err
		}
		// The directory is a mount of its own. The kubelet ignores files
		// whose name starts with a dot (pkg/kubelet/config/file.go, v1.37).
	}
	return replace(dir, real, data, perm.Perm())
}

// replace writes through a temporary file in tempDir. No file is left behind
// when it fails, nor the one of a process that was killed in here: it may
// hold a key.
func replace(tempDir, path string, data []byte, perm fs.FileMode) (err error) {
	prefix := TempPrefix(filepath.Base(path))
	if err := removeLeft(tempDir, prefix); err != nil {
		return err
	}
	temp, err := os.CreateTemp(tempDir, prefix+"*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(temp.Name()))
		}
	}()
	_, err = temp.Write(data)
	if err == nil {
		err = temp.Chmod(perm)
	}
	if err == nil {
		err = temp.Sync()
	}
	if err := errors.Join(err, temp.Close()); err != nil {
		return err
	}
	if err := os.Rename(temp.Name(), path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// removeLeft removes the files in dir whose names begin with prefix.
func removeLeft(dir, prefix string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), prefix) {
			continue
		}
		if err := os.Remove(filepath.Join(dir, e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// Mkdir is that of Files.
func (l *Local) Mkdir(ctx context.Context, path string, perm fs.FileMode) error {
	real, err := l.real(ctx, "mkdir", path)
	if err != nil {
		return err
	}
	return mkdirAll(real, perm.Perm())
}

// mkdirAll is os.MkdirAll with the exact mode, whatever the umask, and safe
// against a power cut.
func mkdirAll(path string, perm fs.FileMode) error {
	info, err := os.Stat(path)
	switch {
	case err == nil && info.IsDir():
		return nil
	case err == nil:
		return &fs.PathError{Op: "mkdir", Path: path, Err: syscall.ENOTDIR}
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	parent := filepath.Dir(path)
	if err := mkdirAll(parent, perm); err != nil {
		return err
	}
	if err := os.Mkdir(path, perm); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := os.Chmod(path, perm); err != nil {
		return err
	}
	return syncDir(parent)
}

func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// Remove is that of Files.
func (l *Local) Remove(ctx context.Context, path string) error {
	real, err := l.real(ctx, "remove", path)
	if err != nil {
		return err
	}
	err = os.Remove(real)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case errors.Is(err, syscall.EBUSY):
		return &MountedError{Path: path}
	}
	return err
}
