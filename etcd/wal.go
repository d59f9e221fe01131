package etcd

import (
	"encoding/binary"
	"errors"
	"fmt"
	"path"
)

// Owner says whose data a data directory holds.
type Owner struct {
	Member, Cluster uint64
}

// OwnerHead is how many bytes of a log file ReadOwner needs at most. The file
// itself is made with 64 MB.
const OwnerHead = 4 << 10

// ErrNoLog says that a file does not begin as a write-ahead log of etcd does.
var ErrNoLog = errors.New("it does not begin as a write-ahead log of etcd does")

// The types of records at the head of each file of a write-ahead log (etcd
// v3.7, storage/wal/wal.go).
const (
	metadataRecord = 1
	crcRecord      = 4
)

// ReadOwner reads the head of a file of a write-ahead log; more of the file
// than that is not looked at. It returns ErrNoLog for anything else.
//
// Each record has a length of eight bytes, the highest of which tells the
// padding, and is a message {1: type, 2: crc, 3: data}; the data of the
// metadata record is a message {1: member, 2: cluster} (etcd v3.7,
// storage/wal, etcdserverpb.Metadata).
func ReadOwner(log []byte) (Owner, error) {
	for len(log) >= 8 {
		head := binary.LittleEndian.Uint64(log)
		size, pad := head&(1<<56-1), head>>56&7
		log = log[8:]
		if size == 0 || size+pad > uint64(len(log)) {
			break
		}
		record, err := decode(log[:size])
		if err != nil {
			return Owner{}, err
		}
		switch record.number[1] {
		case crcRecord:
		case metadataRecord:
			meta, err := decode(record.bytes[3])
			if err != nil || meta.number[1] == 0 {
				return Owner{}, ErrNoLog
			}
			return Owner{Member: meta.number[1], Cluster: meta.number[2]}, nil
		default:
			return Owner{}, ErrNoLog
		}
		log = log[size+pad:]
	}
	return Owner{}, ErrNoLog
}

// fields are those of a protocol buffers message, by their numbers.
type fields struct {
	number map[uint64]uint64
	bytes  map[uint64][]byte
}

// decode reads varints and byte strings, which is all that is needed.
func decode(data []byte) (fields, error) {
	f := fields{number: map[uint64]uint64{}, bytes: map[uint64][]byte{}}
	for len(data) > 0 {
		tag, n := binary.Uvarint(data)
		if n <= 0 {
			return f, ErrNoLog
		}
		value, m := binary.Uvarint(data[n:])
		if m <= 0 {
			return f, ErrNoLog
		}
		data = data[n+m:]
		switch tag & 7 {
		case 0:
			f.number[tag>>3] = value
		case 2:
			if value > uint64(len(data)) {
				return f, ErrNoLog
			}
			f.bytes[tag>>3] = data[:value]
			data = data[value:]
		default:
			return f, ErrNoLog
		}
	}
	return f, nil
}

// SetAside is the shell command that keeps the data of etcd in dir and leaves
// dir free for another member, also where dir is a file system of its own,
// which cannot be renamed. Neither etcd nor preflight minds what it leaves.
func SetAside(dir string) string {
	return fmt.Sprintf(`mv %s "$(mktemp -d %s)"`, path.Join(dir, "member"), path.Join(dir, "backup-XXXX"))
}
