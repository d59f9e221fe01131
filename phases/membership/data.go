package membership

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/hactl/hactl/etcd"
	"github.com/hactl/hactl/phases/host"
)

// Owner reads whose data this machine's data directory holds, nil if none.
// Only a write-ahead log counts: etcd itself takes a directory without one as
// empty (etcd v3.7, etcdserver/bootstrap.go), and leaves one behind where a
// first start was refused. Data that nothing tells the owner of is refused.
func (m *Member) Owner(ctx context.Context) (*etcd.Owner, error) {
	file, err := LogFile(ctx, m.Files, m.LogDir)
	if err != nil || file == "" {
		return nil, err
	}
	data, err := m.Files.ReadHead(ctx, file, etcd.OwnerHead)
	if err != nil {
		return nil, fmt.Errorf("look for data of etcd: %w", err)
	}
	o, err := etcd.ReadOwner(data)
	if err != nil {
		return nil, m.unreadableData(file, err)
	}
	return &o, nil
}

// LogFile returns the first file of the write-ahead log in a directory, "" if
// there is none.
func LogFile(ctx context.Context, files host.Files, dir string) (string, error) {
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

// sweep removes what etcd wrote beside its log, and the data directory if this
// run made it.
func (m *Member) sweep(ctx context.Context) error {
	dir := m.DataDir
	if !m.MadeDataDir {
		dir = path.Join(dir, "member")
	}
	return m.Files.RemoveAll(ctx, dir)
}
