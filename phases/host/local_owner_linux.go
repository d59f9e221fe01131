package host

import (
	"context"
	"io/fs"
	"os"
	"syscall"
)

// ownerOf is the owner that stat(2) tells.
func ownerOf(info fs.FileInfo) Owner {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return Owner{User: int64(s.Uid), Group: int64(s.Gid)}
	}
	return Owner{}
}

// Chown is that of Owners. Between the two changes the new owner has the old
// mode, so that nobody else ever sees more than before or after.
func (l *Local) Chown(ctx context.Context, path string, owner Owner, perm fs.FileMode) error {
	real, err := l.real(ctx, "chown", path)
	if err != nil {
		return err
	}
	if err := os.Chown(real, int(owner.User), int(owner.Group)); err != nil {
		return err
	}
	return os.Chmod(real, perm.Perm())
}
