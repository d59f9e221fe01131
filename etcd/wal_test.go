package etcd_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hactl/hactl/etcd"
)

// TestReadOwner reads what a real member has written.
func TestReadOwner(t *testing.T) {
	t.Parallel()
	l := newLab(t, 1, nil)
	report, err := l.dial(l.client("m1")).Health(t.Context())
	check(t, err)
	files, err := filepath.Glob(filepath.Join(l.dir, "m1", "member", "wal", "*.wal"))
	check(t, err)
	if len(files) == 0 {
		t.Fatal("the member has no write-ahead log")
	}
	data, err := os.ReadFile(files[0])
	check(t, err)
	got, err := etcd.ReadOwner(data)
	check(t, err)
	if diff := cmp.Diff(etcd.Owner{Member: report.Members[0].ID, Cluster: report.ClusterID}, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	for name, bad := range map[string][]byte{"Empty": nil, "Short": data[:12], "Zeros": make([]byte, 64), "Text": []byte("this is no log of etcd at all, but long enough")} {
		if o, err := etcd.ReadOwner(bad); !errors.Is(err, etcd.ErrNoLog) {
			t.Errorf("%s: %+v, %v, want ErrNoLog", name, o, err)
		}
	}
}

func FuzzReadOwner(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{8, 0, 0, 0, 0, 0, 0, 0, 8, 4, 16, 0, 26, 0, 0, 0})
	f.Add([]byte{4, 0, 0, 0, 0, 0, 0, 0x84, 8, 4, 16, 0, 0, 0, 0, 0})
	f.Add([]byte{255, 255, 255, 255, 255, 255, 255, 255, 8, 1})
	f.Fuzz(func(t *testing.T, data []byte) {
		if o, err := etcd.ReadOwner(data); err == nil && o.Member == 0 {
			t.Errorf("an owner without a member: %+v", o)
		}
	})
}
