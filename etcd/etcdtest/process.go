package etcdtest

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/hactl/hactl/etcd"
)

// MemoryClusterID is the cluster ID of every etcd.Memory.
const MemoryClusterID = 0xcdf818194e3a8c32

// FirstStart is what etcd makes of its flag initial-cluster when it has no data
// yet: it ends itself if that names more or fewer members than there are, or
// others (etcd v3.7, membership.ValidateClusterAndAssignIDs).
func FirstStart(initialCluster string, members []etcd.Member) error {
	var peers []string
	for _, m := range members {
		peers = append(peers, m.PeerURLs...)
	}
	slices.Sort(peers)
	if told := etcd.InitialPeers(initialCluster); !slices.Equal(told, peers) {
		return fmt.Errorf("there are members at %q, and it was told of %q", peers, told)
	}
	return nil
}

// LogHead is the beginning of a member's write-ahead log, as etcd writes it.
func LogHead(member, cluster uint64) []byte {
	meta := binary.AppendUvarint([]byte{1 << 3}, member)
	meta = binary.AppendUvarint(append(meta, 2<<3), cluster)
	record := append([]byte{1 << 3, 1, 2 << 3, 0, 3<<3 | 2, byte(len(meta))}, meta...)
	return append(frame([]byte{1 << 3, 4, 2 << 3, 0}), frame(record)...)
}

// frame writes a record with its length and padding.
func frame(record []byte) []byte {
	pad := (8 - len(record)%8) % 8
	head := uint64(len(record))
	if pad > 0 {
		head |= uint64(0x80|pad) << 56
	}
	return append(binary.LittleEndian.AppendUint64(nil, head), append(record, make([]byte, pad)...)...)
}

// Roles describes a member list in a few words: "cp-1 voter, - learner". One
// that has never started has no name.
func Roles(members []etcd.Member) string {
	var words []string
	for _, m := range members {
		name, role := m.Name, "voter"
		if !m.Started() {
			name = "-"
		}
		if m.Learner {
			role = "learner"
		}
		words = append(words, name+" "+role)
	}
	return strings.Join(words, ", ")
}
