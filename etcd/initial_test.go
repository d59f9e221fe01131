package etcd_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hactl/hactl/etcd"
)

func TestJoining(t *testing.T) {
	members := []etcd.Member{
		{ID: 0x30, Name: "", PeerURLs: []string{"https://10.0.0.33:2380"}},
		{ID: 0x10, Name: "etcd-1", PeerURLs: []string{"https://10.0.0.31:2380"}},
		{ID: 0x20, Name: "", PeerURLs: []string{"https://10.0.0.32:2380"}},
	}
	got := etcd.Joining(members, "https://10.0.0.33:2380", "etcd-3")
	want := etcd.Initial{
		Cluster: "etcd-1=https://10.0.0.31:2380,20=https://10.0.0.32:2380,etcd-3=https://10.0.0.33:2380",
		State:   etcd.StateExisting,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("by ID, with this member's name: -want +got\n%s", diff)
	}
	peers := []string{"https://10.0.0.31:2380", "https://10.0.0.32:2380", "https://10.0.0.33:2380"}
	if diff := cmp.Diff(peers, etcd.InitialPeers("c=https://10.0.0.33:2380,a=https://10.0.0.31:2380,b=https://10.0.0.32:2380")); diff != "" {
		t.Errorf("peers: -want +got\n%s", diff)
	}
}

func TestSame(t *testing.T) {
	in := etcd.Initial{Cluster: "a=https://10.0.0.31:2380,b=https://10.0.0.32:2380", State: etcd.StateExisting}
	for name, c := range map[string]struct {
		reason string
		other  etcd.Initial
		want   bool
	}{
		"Names": {"a name came later, and etcd compares none", etcd.Initial{Cluster: "b=https://10.0.0.32:2380,20=https://10.0.0.31:2380", State: etcd.StateExisting}, true},
		"Fewer": {"a member has left", etcd.Initial{Cluster: "a=https://10.0.0.31:2380", State: etcd.StateExisting}, false},
		"Other": {"a member has another URL", etcd.Initial{Cluster: "a=https://10.0.0.31:2380,b=https://10.0.0.33:2380", State: etcd.StateExisting}, false},
		"New":   {"it would begin a cluster of its own", etcd.Initial{Cluster: in.Cluster}, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := in.Same(c.other); got != c.want {
				t.Errorf("%s: got %v, want %v", c.reason, got, c.want)
			}
		})
	}
}

func TestFind(t *testing.T) {
	members := []etcd.Member{{ID: 1, Name: "a"}, {ID: 2, Name: "b"}}
	if m, err := etcd.Find(members, 2); err != nil || m.Name != "b" {
		t.Errorf("one that is there: %+v, %v", m, err)
	}
	if _, err := etcd.Find(members, 3); !errors.Is(err, etcd.ErrNotFound) {
		t.Errorf("one that is not there: want ErrNotFound, got %v", err)
	}
}

func TestDescribe(t *testing.T) {
	got := etcd.Describe(
		etcd.Member{ID: 1, Name: "cp-1", PeerURLs: []string{"https://10.0.0.11:2380", "https://[fd00::11]:2380"}},
		etcd.Member{ID: 2, PeerURLs: []string{"https://10.0.0.12:2380"}, Learner: true})
	want := "cp-1 at https://10.0.0.11:2380, https://[fd00::11]:2380; the learner at https://10.0.0.12:2380 that has never started"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if got := etcd.Describe(); got != "" {
		t.Errorf("nobody: got %q", got)
	}
}
