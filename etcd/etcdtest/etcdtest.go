// Package etcdtest holds the conformance suite that every etcd.Cluster
// passes. It owns what the interface promises and nothing about one
// implementation.
package etcdtest

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hactl/hactl/etcd"
)

// World is a cluster to test, of members "m1", "m2", … that run and vote. It
// takes one learner at a time.
type World struct {
	Cluster etcd.Cluster
	// Peer is the peer URL of a member with that name, present or future.
	Peer func(name string) string
	// Start runs a member that was added, or that Kill stopped.
	Start func(name string)
	// Sync returns when the learner is in sync, at most seconds later.
	Sync func(name string)
	// Kill stops a member.
	Kill func(name string)
	// Settle returns when etcd calls all members connected.
	Settle func()
}

// Run tests a cluster; world makes a new one of so many members for each
// case. The cases run at the same time.
func Run(t *testing.T, world func(t *testing.T, members int) World) {
	cases := map[string]struct {
		reason  string
		members int
		test    func(*testing.T, World)
	}{
		"Healthy":      {"members have names, URLs and health, and one leads", 3, healthy},
		"AddLearner":   {"a learner is added once, and is listed before it starts", 1, addLearner},
		"TooMany":      {"a second learner is refused, a second time too", 1, tooMany},
		"BadURL":       {"what is no URL is refused", 1, badURL},
		"Promote":      {"a learner gets its vote when it is in sync, not before", 1, promote},
		"PromoteNone":  {"a member that is not there cannot be promoted", 1, promoteNone},
		"Remove":       {"a learner goes, and a second time is no error", 1, remove},
		"LastVoter":    {"the only voting member stays", 1, lastVoter},
		"OneOfTwo":     {"one of two is no quorum, so nobody can go, not even the dead one", 2, oneOfTwo},
		"RemoveLeader": {"the leader may go if all others answer", 3, removeLeader},
		"Dead":         {"a dead member is named, blocks additions, and can be removed", 3, dead},
		"Back":         {"a member that comes back is healthy again", 3, back},
		"NoQuorum":     {"without quorum there is a report, and no change", 3, noQuorum},
		"Unreachable":  {"if nobody answers, every method says so", 1, unreachable},
		"Ended":        {"an ended context stops everything, with its cause", 1, ended},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			t.Log(c.reason)
			c.test(t, world(t, c.members))
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantErr(t *testing.T, what string, want, got error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: want %q, got %v", what, want, got)
	}
}

func list(t *testing.T, w World) []etcd.Member {
	t.Helper()
	all, err := w.Cluster.Members(t.Context())
	must(t, err)
	return all
}

func report(t *testing.T, w World) etcd.Report {
	t.Helper()
	began := time.Now()
	r, err := w.Cluster.Health(t.Context())
	must(t, err)
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("Health took %v: more than its two seconds", took)
	}
	return r
}

func names(t *testing.T, w World, want ...string) {
	t.Helper()
	var got []string
	for _, m := range list(t, w) {
		got = append(got, m.Name)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("members: -want +got\n%s", diff)
	}
}

// named returns the member with that name.
func named(t *testing.T, w World, name string) etcd.MemberHealth {
	t.Helper()
	for _, m := range report(t, w).Members {
		if m.Name == name {
			return m
		}
	}
	t.Fatalf("no member %s", name)
	return etcd.MemberHealth{}
}

func healthy(t *testing.T, w World) {
	names(t, w, "m1", "m2", "m3")
	for _, m := range list(t, w) {
		if !m.HasPeer(w.Peer(m.Name)) || len(m.ClientURLs) != 1 || m.ID == 0 || m.Learner {
			t.Errorf("want an id, a vote, one client URL and peer URL %s, got %+v", w.Peer(m.Name), m)
		}
		must(t, w.Cluster.Serves(t.Context(), m.ClientURLs[0]))
	}
	r := report(t, w)
	all, healthy := r.Voters()
	if all != 3 || healthy != 3 || r.ClusterID == 0 || !r.HasQuorum() {
		t.Errorf("want 3 of 3 healthy and a cluster id, got %d of %d, %x", healthy, all, r.ClusterID)
	}
	leaders := 0
	for _, m := range r.Members {
		if m.Leader {
			leaders++
		}
		if m.Err != nil || m.Version == "" || m.Term == 0 || m.Applied == 0 || m.Size == 0 || m.InUse == 0 || m.Latency == 0 || m.Alarms != nil {
			t.Errorf("want a healthy member with all fields and no alarm, got %+v", m)
		}
	}
	if leaders != 1 {
		t.Errorf("want one leader, got %d", leaders)
	}
}

func addLearner(t *testing.T, w World) {
	added, err := w.Cluster.AddLearner(t.Context(), w.Peer("m2"))
	must(t, err)
	if !added.Learner || added.Started() || added.ID == 0 || !added.HasPeer(w.Peer("m2")) {
		t.Errorf("want a learner that has not started, got %+v", added)
	}
	again, err := w.Cluster.AddLearner(t.Context(), w.Peer("m2"))
	must(t, err)
	if diff := cmp.Diff(added, again); diff != "" {
		t.Errorf("added again: -first +second\n%s", diff)
	}
	r := report(t, w)
	m, ok := r.Find(added.ID)
	if !ok {
		t.Fatalf("the report lacks the learner: %+v", r)
	}
	wantErr(t, "the learner", etcd.ErrNotStarted, m.Err)
	if len(r.Dead()) != 0 {
		t.Errorf("what has never run is not dead: %+v", r.Dead())
	}
	if all, healthy := r.Voters(); all != 1 || healthy != 1 {
		t.Errorf("want 1 of 1 voters healthy, got %d of %d", healthy, all)
	}
}

func tooMany(t *testing.T, w World) {
	_, err := w.Cluster.AddLearner(t.Context(), w.Peer("m2"))
	must(t, err)
	for range 2 {
		_, err = w.Cluster.AddLearner(t.Context(), w.Peer("m3"))
		wantErr(t, "AddLearner", etcd.ErrTooManyLearners, err)
	}
	if got := len(list(t, w)); got != 2 {
		t.Errorf("want 2 members, got %d", got)
	}
}

func badURL(t *testing.T, w World) {
	for _, bad := range []string{"", "10.0.0.2:2380", "https://10.0.0.2:2380/path"} {
		if m, err := w.Cluster.AddLearner(t.Context(), bad); err == nil {
			t.Errorf("AddLearner(%q): got %+v", bad, m)
		}
	}
	names(t, w, "m1")
}

func promote(t *testing.T, w World) {
	m, err := w.Cluster.AddLearner(t.Context(), w.Peer("m2"))
	must(t, err)
	wantErr(t, "Promote before the start", etcd.ErrNotReady, w.Cluster.Promote(t.Context(), m.ID))
	w.Start("m2")
	w.Sync("m2")
	if got := named(t, w, "m2"); !got.Learner || got.Err != nil || got.Version == "" {
		t.Errorf("want a healthy learner, got %+v", got)
	}
	must(t, w.Cluster.Promote(t.Context(), m.ID))
	must(t, w.Cluster.Promote(t.Context(), m.ID))
	names(t, w, "m1", "m2")
	if all, healthy := report(t, w).Voters(); all != 2 || healthy != 2 {
		t.Errorf("want 2 of 2 voters healthy, got %d of %d", healthy, all)
	}
	_, err = w.Cluster.AddLearner(t.Context(), w.Peer("m3"))
	wantErr(t, "AddLearner right after", etcd.ErrNotConnected, err)
	w.Settle()
	_, err = w.Cluster.AddLearner(t.Context(), w.Peer("m3"))
	must(t, err)
}

func promoteNone(t *testing.T, w World) {
	wantErr(t, "Promote", etcd.ErrNotFound, w.Cluster.Promote(t.Context(), 42))
}

func remove(t *testing.T, w World) {
	m, err := w.Cluster.AddLearner(t.Context(), w.Peer("m2"))
	must(t, err)
	must(t, w.Cluster.Remove(t.Context(), m.ID))
	must(t, w.Cluster.Remove(t.Context(), m.ID))
	names(t, w, "m1")
	again, err := w.Cluster.AddLearner(t.Context(), w.Peer("m2"))
	for errors.Is(err, etcd.ErrTooManyLearners) { // for the rest of the second
		again, err = w.Cluster.AddLearner(t.Context(), w.Peer("m2"))
	}
	must(t, err)
	if again.ID == m.ID {
		t.Errorf("a member that is added again has a new id, got %x twice", m.ID)
	}
}

func lastVoter(t *testing.T, w World) {
	_, err := w.Cluster.AddLearner(t.Context(), w.Peer("m2"))
	must(t, err)
	wantErr(t, "Remove", etcd.ErrLastVoter, w.Cluster.Remove(t.Context(), named(t, w, "m1").ID))
}

func oneOfTwo(t *testing.T, w World) {
	w.Kill("m2")
	for _, m := range report(t, w).Members {
		if err := w.Cluster.Remove(t.Context(), m.ID); !errors.Is(err, etcd.ErrNoQuorum) {
			t.Errorf("Remove %s: want ErrNoQuorum, got %v", m.Name, err)
		}
	}
}

func removeLeader(t *testing.T, w World) {
	w.Settle()
	for _, m := range report(t, w).Members {
		if m.Leader {
			must(t, w.Cluster.Remove(t.Context(), m.ID))
			if _, ok := report(t, w).Find(m.ID); ok {
				t.Errorf("%s is still there", m.Name)
			}
		}
	}
	if got := len(list(t, w)); got != 2 {
		t.Errorf("want 2 members, got %d", got)
	}
}

func dead(t *testing.T, w World) {
	w.Kill("m2")
	r := report(t, w)
	if got := r.Dead(); len(got) != 1 || got[0].Name != "m2" {
		t.Errorf("want m2 dead, got %+v", got)
	}
	if all, healthy := r.Voters(); all != 3 || healthy != 2 {
		t.Errorf("want 2 of 3 voters healthy, got %d of %d", healthy, all)
	}
	wantErr(t, "Serves", etcd.ErrUnreachable, w.Cluster.Serves(t.Context(), named(t, w, "m2").ClientURLs[0]))
	_, err := w.Cluster.AddLearner(t.Context(), w.Peer("m4"))
	wantErr(t, "AddLearner", etcd.ErrNotConnected, err)
	for _, name := range []string{"m1", "m3"} {
		wantErr(t, "Remove "+name, etcd.ErrQuorum, w.Cluster.Remove(t.Context(), named(t, w, name).ID))
	}
	names(t, w, "m1", "m2", "m3")
	must(t, w.Cluster.Remove(t.Context(), named(t, w, "m2").ID))
	names(t, w, "m1", "m3")
}

func back(t *testing.T, w World) {
	w.Kill("m3")
	if named(t, w, "m3").Err == nil {
		t.Error("m3 answers while it is dead")
	}
	w.Start("m3")
	w.Sync("m3")
	if err := named(t, w, "m3").Err; err != nil {
		t.Error(err)
	}
}

func noQuorum(t *testing.T, w World) {
	before := list(t, w)
	w.Kill("m1")
	w.Kill("m3")
	r := report(t, w)
	if all, healthy := r.Voters(); all != 3 || healthy != 1 || r.HasQuorum() {
		t.Errorf("want 1 of 3 voters healthy, got %d of %d", healthy, all)
	}
	every(t, t.Context(), w, before[0].ID, etcd.ErrNoQuorum)
}

func unreachable(t *testing.T, w World) {
	id := list(t, w)[0].ID
	w.Kill("m1")
	_, err := w.Cluster.Health(t.Context())
	wantErr(t, "Health", etcd.ErrUnreachable, err)
	every(t, t.Context(), w, id, etcd.ErrUnreachable)
}

func ended(t *testing.T, w World) {
	id, cause := list(t, w)[0].ID, errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	_, err := w.Cluster.Health(ctx)
	wantErr(t, "Health", cause, err)
	every(t, ctx, w, id, cause)
}

// every calls all methods but Health at the same time and wants the error.
func every(t *testing.T, ctx context.Context, w World, id uint64, want error) {
	t.Helper()
	calls := map[string]func() error{
		"Members":    func() error { _, err := w.Cluster.Members(ctx); return err },
		"AddLearner": func() error { _, err := w.Cluster.AddLearner(ctx, w.Peer("m9")); return err },
		"Promote":    func() error { return w.Cluster.Promote(ctx, id) },
		"Remove":     func() error { return w.Cluster.Remove(ctx, id) },
	}
	var all sync.WaitGroup
	for name, call := range calls {
		all.Go(func() { wantErr(t, name, want, call()) })
	}
	all.Wait()
}
