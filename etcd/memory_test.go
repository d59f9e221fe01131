package etcd_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hactl/hactl/etcd"
	"github.com/hactl/hactl/etcd/etcdtest"
)

func TestMemory(t *testing.T) {
	etcdtest.Run(t, func(t *testing.T, members int) etcdtest.World {
		m := memory(members)
		return etcdtest.World{
			Cluster: m,
			Peer:    memoryPeer,
			Start:   func(name string) { check(t, m.Start(memoryPeer(name), name)) },
			Sync:    func(name string) { check(t, m.Sync(name)) },
			Kill:    func(name string) { check(t, m.Kill(name)) },
			Settle:  func() { m.Settle(0) },
		}
	})
}

func memoryPeer(name string) string { return "https://10.0.0." + name[1:] + ":2380" }

// memory has members m1, m2, ….
func memory(members int) *etcd.Memory {
	m := etcd.NewMemory("m1", memoryPeer("m1"))
	for _, name := range []string{"m2", "m3", "m4", "m5"}[:members-1] {
		m.Join(name, memoryPeer(name))
	}
	return m
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestMemoryControls(t *testing.T) {
	boom := errors.New("boom")
	for name, c := range map[string]struct {
		reason string
		do     func(*etcd.Memory) error
		want   error
	}{
		"MaxLearners": {"the limit can be raised", func(m *etcd.Memory) error {
			m.MaxLearners(2)
			_, a := m.AddLearner(t.Context(), memoryPeer("m2"))
			_, b := m.AddLearner(t.Context(), memoryPeer("m3"))
			return errors.Join(a, b)
		}, nil},
		"Intercept": {"a test makes a call fail", func(m *etcd.Memory) error {
			m.Intercept(func(method etcd.Method) error {
				if method == etcd.MethodHealth {
					return boom
				}
				return nil
			})
			_, a := m.Members(t.Context())
			_, b := m.Health(t.Context())
			return errors.Join(a, b)
		}, boom},
		"Edit": {"a test makes a member say something", func(m *etcd.Memory) error {
			err := m.Edit("m1", func(h *etcd.MemberHealth) { h.Alarms = []string{"NOSPACE"} })
			r, _ := m.Health(t.Context())
			if diff := cmp.Diff([]string{"NOSPACE"}, r.Members[0].Alarms); diff != "" {
				t.Errorf("alarms: -want +got\n%s", diff)
			}
			return err
		}, nil},
		"StartUnknown": {"etcd does not start a member that was not added",
			func(m *etcd.Memory) error { return m.Start(memoryPeer("m2"), "m2") }, etcd.ErrNotFound},
		"KillUnknown": {"a test's typing mistake shows",
			func(m *etcd.Memory) error { return m.Kill("m2") }, etcd.ErrNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			if err := c.do(memory(1)); !errors.Is(err, c.want) {
				t.Errorf("%s: want %v, got %v", c.reason, c.want, err)
			}
		})
	}
}

func TestMemoryShares(t *testing.T) {
	m := memory(1)
	list, err := m.Members(t.Context())
	check(t, err)
	list[0].PeerURLs[0] = "changed"
	again, err := m.Members(t.Context())
	check(t, err)
	if !again[0].HasPeer(memoryPeer("m1")) {
		t.Error("a caller's change reached the cluster")
	}
}

// TestReport is the arithmetic of MayRemove and HasQuorum.
func TestReport(t *testing.T) {
	dead := errors.New("dead")
	voter := func(id uint64, err error) etcd.MemberHealth {
		return etcd.MemberHealth{Member: etcd.Member{ID: id, Name: "m"}, Err: err}
	}
	for name, c := range map[string]struct {
		reason  string
		members []etcd.MemberHealth
		remove  uint64
		want    error
		quorum  bool
	}{
		"Last":        {"the only one stays", []etcd.MemberHealth{voter(1, nil)}, 1, etcd.ErrLastVoter, true},
		"OneOfTwo":    {"one of one is a quorum", []etcd.MemberHealth{voter(1, nil), voter(2, nil)}, 2, nil, true},
		"DeadOfTwo":   {"the report allows it, and etcd cannot do it", []etcd.MemberHealth{voter(1, nil), voter(2, dead)}, 2, nil, false},
		"LivingOfTwo": {"a dead one is no quorum", []etcd.MemberHealth{voter(1, nil), voter(2, dead)}, 1, etcd.ErrQuorum, false},
		"DeadOfThree": {"two of two are a quorum", []etcd.MemberHealth{voter(1, nil), voter(2, dead), voter(3, nil)}, 2, nil, true},
		"OneOfThree":  {"one of two is none", []etcd.MemberHealth{voter(1, nil), voter(2, dead), voter(3, nil)}, 1, etcd.ErrQuorum, true},
		"Unknown":     {"what is not there may go", []etcd.MemberHealth{voter(1, nil)}, 9, nil, true},
		"Learner": {"a learner may always go",
			[]etcd.MemberHealth{voter(1, nil), {Member: etcd.Member{ID: 2, Learner: true}}}, 2, nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			r := etcd.Report{Members: c.members}
			if got := r.MayRemove(c.remove); !errors.Is(got, c.want) {
				t.Errorf("%s: want %v, got %v", c.reason, c.want, got)
			}
			if got := r.HasQuorum(); got != c.quorum {
				t.Errorf("HasQuorum: want %v, got %v", c.quorum, got)
			}
		})
	}
}

func TestEndpoints(t *testing.T) {
	got := etcd.Endpoints([]etcd.Member{
		{Name: "a", ClientURLs: []string{"https://10.0.0.1:2379"}},
		{Name: "b", ClientURLs: []string{"https://10.0.0.2:2379"}, Learner: true},
		{PeerURLs: []string{"https://10.0.0.3:2380"}},
		{Name: "d", ClientURLs: []string{"https://10.0.0.4:2379", "https://10.0.0.1:2379"}},
	})
	if diff := cmp.Diff([]string{"https://10.0.0.1:2379", "https://10.0.0.4:2379"}, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}
