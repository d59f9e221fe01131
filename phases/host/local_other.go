//go:build !linux

package host

import (
	"context"
	"errors"
	"io/fs"
	"os"
)

func renameNew(oldPath, newPath string) error {
	if _, err := os.Lstat(newPath); !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(err, fs.ErrExist)
	}
	return os.Rename(oldPath, newPath)
}

// MountPoints is that of Mounts; hactl changes no machine without Linux.
func (l *Local) MountPoints(context.Context, string) ([]string, error) {
	return nil, errors.ErrUnsupported
}

// Unmount is that of Mounts; hactl changes no machine without Linux.
func (l *Local) Unmount(context.Context, string, ...UnmountFlag) error { return errors.ErrUnsupported }
