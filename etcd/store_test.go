package etcd_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/hactl/hactl/etcd"
)

// stores are the real Store and the one in memory, with the same content.
func stores(t *testing.T) (real, memory etcd.Store, endpoint string) {
	l := newLab(t, 1, nil)
	endpoint = l.client("m1")
	c := l.dial(endpoint)
	raw, err := clientv3.New(clientv3.Config{Endpoints: []string{endpoint}, Logger: zap.NewNop()})
	check(t, err)
	defer raw.Close()
	m := &etcd.MemoryStore{}
	h := l.health(c, "m1")
	r, err := c.Health(t.Context())
	check(t, err)
	m.Answer(endpoint, etcd.Probed{ClusterID: r.ClusterID, MemberID: h.ID, Version: h.Version, HasLeader: true})
	for key, value := range map[string]string{"/registry/a": "1", "/registry/b": "2", "/other/a": "3"} {
		_, err := raw.Put(t.Context(), key, value)
		check(t, err)
		m.Put(key, []byte(value))
	}
	return c, m, endpoint
}

func TestStore(t *testing.T) {
	t.Parallel()
	real, memory, endpoint := stores(t)
	for name, s := range map[string]etcd.Store{"Real": real, "Memory": memory} {
		t.Run(name, func(t *testing.T) {
			for prefix, want := range map[string]int64{"/registry/": 2, "/": 3, "/none/": 0} {
				if got, err := s.Count(t.Context(), prefix); got != want || err != nil {
					t.Errorf("Count(%q) = %d, %v, want %d", prefix, got, err, want)
				}
			}
			if value, found, err := s.Read(t.Context(), "/registry/b"); string(value) != "2" || !found || err != nil {
				t.Errorf("Read of a key: %q, %v, %v", value, found, err)
			}
			if value, found, err := s.Read(t.Context(), "/registry/"); value != nil || found || err != nil {
				t.Errorf("Read of no key: %q, %v, %v", value, found, err)
			}
			if _, err := s.Probe(t.Context(), "http://127.0.0.1:1"); !errors.Is(err, etcd.ErrUnreachable) {
				t.Errorf("Probe of nobody: want ErrUnreachable, got %v", err)
			}
		})
	}
	got, err := real.Probe(t.Context(), endpoint)
	check(t, err)
	if got.Latency <= 0 {
		t.Errorf("latency %v", got.Latency)
	}
	got.Latency = 0
	want, err := memory.Probe(t.Context(), endpoint)
	check(t, err)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Probe: -want +got\n%s", diff)
	}
}

func TestInitialCluster(t *testing.T) {
	members := []etcd.Member{
		{ID: 0x30, Name: "", PeerURLs: []string{"https://10.0.0.33:2380"}},
		{ID: 0x10, Name: "etcd-1", PeerURLs: []string{"https://10.0.0.31:2380"}},
		{ID: 0x20, Name: "", PeerURLs: []string{"https://10.0.0.32:2380"}},
	}
	got := etcd.InitialCluster(members, "https://10.0.0.33:2380", "etcd-3")
	want := "etcd-1=https://10.0.0.31:2380,20=https://10.0.0.32:2380,etcd-3=https://10.0.0.33:2380"
	if got != want {
		t.Errorf("by ID, with this member's name: got %s, want %s", got, want)
	}
	peers := []string{"https://10.0.0.31:2380", "https://10.0.0.32:2380", "https://10.0.0.33:2380"}
	if diff := cmp.Diff(peers, etcd.InitialPeers("c=https://10.0.0.33:2380,a=https://10.0.0.31:2380,b=https://10.0.0.32:2380")); diff != "" {
		t.Errorf("peers: -want +got\n%s", diff)
	}
}

func FuzzReadOwner(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{8, 0, 0, 0, 0, 0, 0, 0, 8, 4, 16, 0, 26, 0, 0, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		if o, err := etcd.ReadOwner(data); err == nil && o.Member == 0 {
			t.Errorf("an owner without a member: %+v", o)
		}
	})
}
