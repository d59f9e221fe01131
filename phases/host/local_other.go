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

// ownerOf knows no owners; hactl changes no machine without Linux.
func ownerOf(fs.FileInfo) Owner { return Owner{} }

// Chown is that of Owners; hactl changes no machine without Linux.
func (l *Local) Chown(context.Context, string, Owner, fs.FileMode) error {
	return errors.ErrUnsupported
}

// MountPoints is that of Mounts; hactl changes no machine without Linux.
func (l *Local) MountPoints(context.Context, string) ([]string, error) {
	return nil, errors.ErrUnsupported
}

// Unmount is that of Mounts; hactl changes no machine without Linux.
func (l *Local) Unmount(context.Context, string, ...UnmountFlag) error { return errors.ErrUnsupported }
