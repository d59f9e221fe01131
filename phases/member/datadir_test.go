package member

import (
	"os"
	"path/filepath"
	"testing"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/server/v3/storage/wal"
	"google.golang.org/protobuf/proto"
)

// TestRealLog reads what etcd itself writes.
func TestRealLog(t *testing.T) {
	id, cluster := uint64(0x8e9e05c52164694d), uint64(0xcdf818194e3a8c32)
	meta, err := proto.Marshal(&etcdserverpb.Metadata{NodeID: &id, ClusterID: &cluster})
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "wal")
	w, err := wal.Create(nil, dir, meta)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	names, err := filepath.Glob(filepath.Join(dir, "*.wal"))
	if err != nil || len(names) != 1 {
		t.Fatalf("logs: %v, %v", names, err)
	}
	data, err := os.ReadFile(names[0])
	if err != nil {
		t.Fatal(err)
	}
	got, err := readOwner(data)
	if err != nil || got.member != id || got.cluster != cluster {
		t.Errorf("want %x of %x, got %+v, %v", id, cluster, got, err)
	}
}

func FuzzReadOwner(f *testing.F) {
	f.Add([]byte(nil))
	f.Add([]byte{4, 0, 0, 0, 0, 0, 0, 0x84, 8, 4, 16, 0, 0, 0, 0, 0})
	f.Add([]byte{255, 255, 255, 255, 255, 255, 255, 255, 8, 1})
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := readOwner(data)
		if (got == nil) != (err != nil) {
			t.Errorf("got %v, %v", got, err)
		}
	})
}
