package cleanup

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"syscall"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases"
)

// member is the entry of a data directory that holds all that etcd keeps
// (etcd v3.7, server/storage/datadir).
const member = "member"

// backup stands between the name of a data directory and the time.
const backup = "-backup-"

// findData finds data of etcd that this node made, and says what it leaves.
func (t *Task) findData(ctx context.Context, f *found) error {
	if wal := f.says.WALDir; wal != "" {
		f.leave(wal, "the write-ahead log of etcd, outside of its data directory: move it away before this node joins again")
	}
	dir, ours := f.says.DataDir, f.says.DataDir != ""
	if !ours {
		dir = config.DefaultEtcdDir
	}
	names, err := t.names(ctx, dir)
	if err != nil {
		return err
	}
	names = slices.DeleteFunc(names, func(n string) bool { return n == "lost+found" })
	if !ours {
		if len(names) > 0 {
			f.leave(dir, "nothing says that the control plane of this node made it")
		}
		return nil
	}
	for _, n := range names {
		if n == member {
			f.data = dir
			continue
		}
		f.leave(path.Join(dir, n), "it is no data of etcd, or was moved aside")
	}
	return nil
}

// moveData moves the data of etcd to a directory of its own, at once. It is
// never removed: it may be the last copy. The directory lies beside that of
// etcd, or in it where that is a file system of its own.
func (t *Task) moveData(ctx context.Context, f *found) error {
	if f.data == "" {
		return nil
	}
	err := t.moveTo(ctx, f.data, path.Dir(f.data), path.Base(f.data)+backup)
	if errors.Is(err, syscall.EXDEV) {
		err = t.moveTo(ctx, f.data, f.data, strings.TrimPrefix(backup, "-"))
	}
	if err == nil {
		phases.Report(ctx, "the data of etcd is now in "+t.Backup)
		return nil
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return &phases.Fault{
		What: "the data of etcd in " + f.data + " cannot be moved aside", Why: err,
		Fixes: []string{"move it by hand, then run the same command again: mv " + path.Join(f.data, member) + " DIRECTORY"},
	}
}

// moveTo moves the data to a new directory in base whose name begins with
// prefix. Where it cannot, nothing is left in base.
func (t *Task) moveTo(ctx context.Context, data, base, prefix string) error {
	dir, err := t.backupDir(ctx, base, prefix)
	if err != nil {
		return err
	}
	if err := t.Host.Mkdir(ctx, dir, 0o700); err != nil {
		return err
	}
	if err := t.Host.Rename(ctx, path.Join(data, member), path.Join(dir, member)); err != nil {
		return errors.Join(err, t.Host.Remove(ctx, dir))
	}
	t.Backup = dir
	return nil
}

// backupDir is a directory that an interrupted reset left empty, or one that
// is not there yet.
func (t *Task) backupDir(ctx context.Context, base, prefix string) (string, error) {
	names, err := t.names(ctx, base)
	if err != nil {
		return "", err
	}
	for _, n := range names {
		p := path.Join(base, n)
		if !strings.HasPrefix(n, prefix) {
			continue
		}
		if info, err := t.Host.Stat(ctx, p); err == nil && info.Mode.IsDir() && !info.Link && len(info.Names) == 0 {
			return p, nil
		}
	}
	name := prefix + t.Now().UTC().Format("20060102-150405")
	for n := 2; slices.Contains(names, name); n++ {
		name = fmt.Sprintf("%s%s-%d", prefix, t.Now().UTC().Format("20060102-150405"), n)
	}
	return path.Join(base, name), nil
}
