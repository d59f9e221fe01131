// Package etcd owns what hactl knows of etcd clusters: their members, their
// health, which changes of membership are safe, and what a member is told at
// its start. It makes no change by itself.
package etcd

import (
	"context"
	"errors"
	"slices"
	"time"
)

// Cluster is an etcd cluster as an administrator sees it. All methods may be
// called at the same time; none retries. If nobody answers, all return
// ErrUnreachable; without quorum, all but Health return ErrNoQuorum. A change
// that ended with ErrNoQuorum, ErrUnreachable or with the context may have
// been made all the same: read before the next try. All changes but Promote
// do so by themselves.
type Cluster interface {
	// Members lists the members, ordered by name. It is a linearizable read.
	Members(ctx context.Context) ([]Member, error)
	// Health asks all members at once. A member that does not answer within
	// two seconds has its error in the report and is no error of the call;
	// the error is ErrUnreachable if no voting member answers. It works
	// without quorum too, and never takes longer than those two seconds.
	Health(ctx context.Context) (Report, error)
	// Serves says whether the member behind a client URL serves clients: nil,
	// or, within half a second, an error that wraps ErrUnreachable.
	Serves(ctx context.Context, clientURL string) error
	// AddLearner adds a member without a vote and returns it. If a member
	// with that peer URL is there already, that one is returned unchanged.
	// It returns ErrTooManyLearners if the cluster takes no further learner
	// now, or not this one: etcd refuses a URL that was added and removed in
	// the same second. It returns ErrNotConnected if there are n > 1 voting
	// members and fewer than Quorum(n+1) of them are connected, each for 5 s.
	AddLearner(ctx context.Context, peerURL string) (Member, error)
	// Promote gives a learner its vote: one try. It returns ErrNotReady
	// while the learner lags, ErrNotFound if there is no such member. One
	// that votes already is no error.
	Promote(ctx context.Context, id uint64) error
	// Remove takes a member out and returns when those that remain know it.
	// It returns ErrLastVoter for the only voting member, ErrQuorum if those
	// that would remain and answer are too few for a quorum, and
	// ErrNotConnected if they answer but have been connected for less than
	// 5 s; a dead member may go at once. A member that is not there is no
	// error.
	Remove(ctx context.Context, id uint64) error
}

// The errors that callers may test for.
var (
	ErrUnreachable     = errors.New("no etcd member answers")
	ErrNoQuorum        = errors.New("etcd has no quorum: too few of its voting members answer")
	ErrTooManyLearners = errors.New("etcd takes no further learner now")
	ErrNotConnected    = errors.New("etcd refuses the change: too few voting members have been connected for 5 s")
	ErrNotReady        = errors.New("the learner is not in sync with the leader yet")
	ErrNotFound        = errors.New("etcd has no such member")
	// ErrNotStarted is in a Report only: it is MemberHealth.Err of a member
	// that was added and has never run.
	ErrNotStarted = errors.New("the member has not started yet")
	ErrLastVoter  = errors.New("this is the only voting member: with it all data is gone")
	ErrQuorum     = errors.New("without this member etcd would lose its quorum")
)

// Member is one entry of the member list.
type Member struct {
	ID uint64
	// Name is empty until the member has started for the first time.
	Name                 string
	PeerURLs, ClientURLs []string
	Learner              bool // it replicates, but has no vote
}

// Started says whether the member has ever run.
func (m Member) Started() bool { return m.Name != "" }

// HasPeer says whether the peer URL is one of the member's.
func (m Member) HasPeer(url string) bool { return slices.Contains(m.PeerURLs, url) }

// Report is the health of a cluster at one moment.
type Report struct {
	// ClusterID is zero if no member answers.
	ClusterID uint64
	// Members are all members of the list, ordered by name.
	Members []MemberHealth
}

// MemberHealth is what a member says of itself.
type MemberHealth struct {
	Member
	// Err is why the member does not answer, nil if it does. The fields
	// below are zero if it does not.
	Err     error
	Version string // "3.7.0"
	Leader  bool
	// Term is the raft term, Applied the index of the last applied entry,
	// Lag how many entries that is behind the leader's last (behind the
	// highest that any member knows, if the leader does not answer).
	Term, Applied, Lag uint64
	// Size is the database file's size in bytes, InUse the part that is in
	// use.
	Size, InUse int64
	Alarms      []string // "NOSPACE", "CORRUPT"
	// Latency is how long the answer took, a new connection included.
	Latency time.Duration
}

// Voters returns how many members have a vote and how many of those answer.
func (r Report) Voters() (all, healthy int) {
	for _, m := range r.Members {
		if m.Learner {
			continue
		}
		all++
		if m.Err == nil {
			healthy++
		}
	}
	return all, healthy
}

// Dead returns the started members that do not answer.
func (r Report) Dead() []MemberHealth {
	var dead []MemberHealth
	for _, m := range r.Members {
		if m.Started() && m.Err != nil {
			dead = append(dead, m)
		}
	}
	return dead
}

// DeadVoters returns the voting members that do not answer, without the one
// with that peer URL.
func (r Report) DeadVoters(peerURL string) []MemberHealth {
	return slices.DeleteFunc(r.Dead(), func(m MemberHealth) bool { return m.Learner || m.HasPeer(peerURL) })
}

// Others returns the entries of all members but the one with that ID; none
// has the ID zero.
func Others(members []MemberHealth, id uint64) []Member {
	var list []Member
	for _, m := range members {
		if m.ID != id {
			list = append(list, m.Member)
		}
	}
	return list
}

// HasQuorum says whether enough voting members answer to make changes.
func (r Report) HasQuorum() bool {
	all, healthy := r.Voters()
	return all > 0 && healthy >= Quorum(all)
}

// Find returns the member with that id, false if there is none.
func (r Report) Find(id uint64) (MemberHealth, bool) {
	for _, m := range r.Members {
		if m.ID == id {
			return m, true
		}
	}
	return MemberHealth{}, false
}

// Answers says whether there is a member with that id and it answers.
func (r Report) Answers(id uint64) bool {
	m, found := r.Find(id)
	return found && m.Err == nil
}

// MayAdd says whether etcd takes one more member: of several voting members,
// as many must be connected as make a quorum with one more (etcd v3.7,
// etcdserver/server.go, mayAddMember).
func (r Report) MayAdd() bool {
	all, healthy := r.Voters()
	return all == 1 || healthy >= Quorum(all+1)
}

// MayRemove returns nil if the cluster keeps its quorum without the member,
// else ErrLastVoter or ErrQuorum. A learner may always go.
func (r Report) MayRemove(id uint64) error {
	all, healthy := r.Voters()
	for _, m := range r.Members {
		if m.ID != id || m.Learner {
			continue
		}
		if m.Err == nil {
			healthy--
		}
		if all == 1 {
			return ErrLastVoter
		}
		if healthy < Quorum(all-1) {
			return ErrQuorum
		}
	}
	return nil
}
