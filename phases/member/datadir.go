package member

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/hactl/hactl/phases/host"
	"github.com/hactl/hactl/templates/staticpod"
)

// owner says whose data a data directory holds.
type owner struct {
	member, cluster uint64
}

// owner reads whose data this node's data directory holds, nil if none. Only
// a write-ahead log counts: etcd itself takes a directory without one as
// empty (etcd v3.7, etcdserver/bootstrap.go), and leaves one behind where a
// first start was refused.
func (t *JoinTask) owner(ctx context.Context) (*owner, error) {
	file, err := walFile(ctx, t.Files, t.walDir())
	if err != nil || file == "" {
		return nil, err
	}
	data, err := t.Files.ReadFile(ctx, file)
	if err != nil {
		return nil, fmt.Errorf("look for data of etcd: %w", err)
	}
	o, err := readOwner(data)
	if err != nil {
		return nil, t.unreadableData(file, err)
	}
	return o, nil
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

// The types of records at the head of each file of a write-ahead log (etcd
// v3.7, storage/wal/wal.go).
const (
	metadataRecord = 1
	crcRecord      = 4
)

var errNoHead = errors.New("it does not begin as a write-ahead log of etcd does")

// readOwner reads the head of a write-ahead log. Each record has a length of
// eight bytes, the highest of which tells the padding, and is a message
// {1: type, 2: crc, 3: data}; the data of the metadata record is a message
// {1: member, 2: cluster} (etcd v3.7, storage/wal, etcdserverpb.Metadata).
func readOwner(log []byte) (*owner, error) {
	for len(log) >= 8 {
		head := binary.LittleEndian.Uint64(log)
		size, pad := head&(1<<56-1), head>>56&7
		log = log[8:]
		if size == 0 || size+pad > uint64(len(log)) {
			break
		}
		record, err := message(log[:size])
		if err != nil {
			return nil, err
		}
		switch record.number[1] {
		case crcRecord:
		case metadataRecord:
			meta, err := message(record.bytes[3])
			if err != nil || meta.number[1] == 0 {
				return nil, errNoHead
			}
			return &owner{member: meta.number[1], cluster: meta.number[2]}, nil
		default:
			return nil, errNoHead
		}
		log = log[size+pad:]
	}
	return nil, errNoHead
}

// fields are those of a protocol buffers message, by their numbers.
type fields struct {
	number map[uint64]uint64
	bytes  map[uint64][]byte
}

// message decodes varints and byte strings, which is all that is needed.
func message(data []byte) (fields, error) {
	f := fields{number: map[uint64]uint64{}, bytes: map[uint64][]byte{}}
	for len(data) > 0 {
		tag, n := binary.Uvarint(data)
		if n <= 0 {
			return f, errNoHead
		}
		value, m := binary.Uvarint(data[n:])
		if m <= 0 {
			return f, errNoHead
		}
		data = data[n+m:]
		switch tag & 7 {
		case 0:
			f.number[tag>>3] = value
		case 2:
			if value > uint64(len(data)) {
				return f, errNoHead
			}
			f.bytes[tag>>3] = data[:value]
			data = data[value:]
		default:
			return f, errNoHead
		}
	}
	return f, nil
}
