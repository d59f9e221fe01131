package member

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/hactl/hactl/etcd"
	"github.com/hactl/hactl/phases/host"
	"github.com/hactl/hactl/templates/staticpod"
)

// owner reads whose data this node's data directory holds, nil if none. Only
// a write-ahead log counts: etcd itself takes a directory without one as
// empty (etcd v3.7, etcdserver/bootstrap.go), and leaves one behind where a
// first start was refused.
func (t *JoinTask) owner(ctx context.Context) (*etcd.Owner, error) {
	file, err := walFile(ctx, t.Files, t.walDir())
	if err != nil || file == "" {
		return nil, err
	}
	data, err := t.Files.ReadHead(ctx, file, etcd.OwnerHead)
	if err != nil {
		return nil, fmt.Errorf("look for data of etcd: %w", err)
	}
	o, err := etcd.ReadOwner(data)
	if err != nil {
		return nil, t.unreadableData(file, err)
	}
	return &o, nil
}

// walFile returns the first file of a write-ahead log, "" if there is none.
func walFile(ctx context.Context, files host.Files, dir string) (string, error) {
	info, err := files.Stat(ctx, dir)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("look for data of etcd: %w", err)
	}
	i := slices.IndexFunc(info.Names, func(name string) bool { return strings.HasSuffix(name, ".wal") })
	if i < 0 {
		return "", nil
	}
	return path.Join(dir, info.Names[i]), nil
}

// walOf is where the member of a manifest keeps its write-ahead log.
func walOf(pod *corev1.Pod, dataDir string) string {
	if dir, ok := staticpod.Flag(pod, "wal-dir"); ok && dir != "" {
		return dir
	}
	if dir, ok := staticpod.Flag(pod, "data-dir"); ok {
		dataDir = dir
	}
	return path.Join(dataDir, "member", "wal")
}

// walDir is where the write-ahead log lies.
func (t *Task) walDir() string {
	l := t.Cluster.Etcd.Local
	if dir, ok := staticpod.Extra(l.ExtraArgs, "wal-dir"); ok {
		return dir
	}
	return path.Join(l.DataDir, "member", "wal")
}
