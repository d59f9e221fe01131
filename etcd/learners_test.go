package etcd_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/storage/schema"
	"go.uber.org/zap"

	"github.com/hactl/hactl/etcd"
)

// TestMaxLearners shows when --max-learners above 1 is safe: only if every
// member has it, those that join later too. etcd 3.7.3 checks its own
// --max-learners when it applies a committed change
// (RaftCluster.ValidateConfigurationChange), so a member with a smaller one
// skips what the others do.
//
//   - One that joins with 1 when there were two learners in the past runs raft
//     with fewer voters than the others, and nothing says so: two halves may
//     then each believe to be a quorum. That is the case Joiner.
//   - One that runs with 1 while a second learner is added panics as soon as
//     that learner starts ("failed to update; member unknown"), and again
//     after each restart. That would end this process, so it is not here.
//
// If Joiner fails with a newer etcd, the reason to refuse mixed settings may
// be gone.
func TestMaxLearners(t *testing.T) {
	for name, c := range map[string]struct {
		reason string
		late   int  // the setting of m2, which starts last
		lacks  bool // m3 has no vote in m2's raft
	}{
		"Same":   {"with one setting everywhere all agree", 2, false},
		"Joiner": {"one that joins with 1 replays the history and skips a part", 1, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t, 1, func(config *embed.Config) {
				config.MaxLearners = 2
				if config.Name == "m2" {
					config.MaxLearners = c.late
				}
			})
			client := l.dial(l.client("m1"))
			m2, m3 := l.add(client, "m2"), l.add(client, "m3")
			l.start(client, "m3")
			l.promote(client, m3)
			l.start(client, "m2")
			l.promote(client, m2)
			l.level()
			all := l.raftVoters("m1")
			if len(all) != 3 {
				t.Fatalf("want 3 voters at m1, got %x", all)
			}
			if diff := cmp.Diff(all, l.raftVoters("m3")); diff != "" {
				t.Errorf("raft's voters at m3: -want +got\n%s", diff)
			}
			want := slices.DeleteFunc(slices.Clone(all), func(id uint64) bool { return c.lacks && id == m3 })
			if diff := cmp.Diff(want, l.raftVoters("m2")); diff != "" {
				t.Errorf("%s: raft's voters at m2: -want +got\n%s", c.reason, diff)
			}
		})
	}
}

func (l *lab) add(c etcd.Cluster, name string) uint64 {
	l.t.Helper()
	m, err := c.AddLearner(l.t.Context(), l.peer(name))
	check(l.t, err)
	return m.ID
}

func (l *lab) promote(c etcd.Cluster, id uint64) {
	l.t.Helper()
	l.until("promotion", func() bool { return c.Promote(l.t.Context(), id) == nil })
}

// level returns when all have applied the same.
func (l *lab) level() {
	l.t.Helper()
	l.until("all have applied the same", func() bool {
		index := l.running["m1"].Server.AppliedIndex()
		for _, e := range l.running {
			if e.Server.AppliedIndex() != index {
				return false
			}
		}
		return true
	})
}

// raftVoters are the ids of those that vote, as the member's raft has it.
// The member list does not tell: it may be right while raft's is not.
func (l *lab) raftVoters(name string) []uint64 {
	l.t.Helper()
	b := l.running[name].Server.Backend()
	b.ForceCommit()
	tx := b.ReadTx()
	tx.RLock()
	defer tx.RUnlock()
	return slices.Sorted(slices.Values(schema.UnsafeConfStateFromBackend(zap.NewNop(), tx).GetVoters()))
}
