package member

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/hactl/hactl/etcd"
	"github.com/hactl/hactl/phases/wait"
)

// view is what a join finds in etcd and on this node.
type view struct {
	members []etcd.Member
	report  etcd.Report
	own     *etcd.Member // the one with this node's peer URL, nil if none
	data    *owner       // whose data this node holds, nil if none
}

// course is how a join goes on.
type course int

const (
	add     course = iota // etcd does not know this node yet
	begin                 // its member was added and has not started
	replace               // its member ran once and has lost its data
	resume                // its member has started, and its data is here
)

// look reads the member list and the health of etcd, and this node's data.
func (j *joiner) look(ctx context.Context) (view, error) {
	v, err := inspect(ctx, j.cluster, j.Timeouts.Etcd)
	if errors.Is(err, etcd.ErrUnreachable) {
		err = unreachable(j.endpoints, err)
	}
	if err != nil {
		return view{}, err
	}
	if i := slices.IndexFunc(v.members, j.isOwn); i >= 0 {
		v.own = &v.members[i]
	}
	v.data, err = j.owner(ctx)
	return v, err
}

// glance is look without the health of the members, which takes two seconds
// if one of them does not answer. Where no health is needed to go on, that
// would only keep the others from their turn.
func (j *joiner) glance(ctx context.Context) (view, error) {
	members, err := j.cluster.Members(ctx)
	if err != nil {
		return j.look(ctx) // it says why
	}
	v := view{members: members}
	if i := slices.IndexFunc(members, j.isOwn); i >= 0 {
		v.own = &v.members[i]
	}
	if v.data, err = j.owner(ctx); err != nil {
		return view{}, err
	}
	if v.own != nil && v.own.Started() || v.data != nil {
		return j.look(ctx)
	}
	return v, nil
}

// inspect asks for health first, because that names dead members within
// seconds where the member list only says that there is no quorum.
func inspect(ctx context.Context, c etcd.Cluster, limit time.Duration) (view, error) {
	v := view{}
	err := wait.For(ctx, limit, wait.Condition{
		What: "etcd tells its members", LimitName: limitEtcd,
		Check: func(ctx context.Context) (_ bool, _ string, err error) {
			if v.report, err = c.Health(ctx); err != nil {
				return false, "", err
			}
			v.members, err = c.Members(ctx)
			if errors.Is(err, etcd.ErrNoQuorum) && !v.report.HasQuorum() {
				return false, "", noQuorum(v.report)
			}
			if transient(err) { // an election
				return false, err.Error(), nil
			}
			return err == nil, "", err
		},
	})
	return v, err
}

func (t *JoinTask) isOwn(m etcd.Member) bool { return m.HasPeer(t.peerURL()) }

// peerURL is where the other members reach this node's.
func (t *JoinTask) peerURL() string { return t.url(peerPort) }

// decide returns how to go on, or why it would be unsafe or in vain.
func (j *joiner) decide(ctx context.Context, v view) (course, error) {
	if _, err := j.onDisk(ctx); err != nil {
		return add, err
	}
	for _, m := range v.members {
		if m.Name == j.NodeName && !j.isOwn(m) {
			return add, j.nameTaken(m)
		}
	}
	c, err := j.fromData(v)
	if err != nil || c == resume {
		return c, err
	}
	if err := j.sameLearners(); err != nil || c == replace {
		return c, err // to replace a dead member needs no more than the quorum there is
	}
	return c, j.blocked(v)
}

// fromData compares the member list with the data on this node.
func (j *joiner) fromData(v view) (course, error) {
	switch {
	case v.data != nil && (v.own == nil || v.data.member != v.own.ID):
		return add, j.foreignData(v)
	case v.own == nil:
		return add, nil
	case !v.own.Started():
		return begin, nil
	case v.data != nil:
		return resume, nil
	case j.answers(v):
		return replace, j.addressTaken(*v.own)
	}
	return replace, nil
}

// answers says whether the member with this node's address is alive.
func (j *joiner) answers(v view) bool {
	return slices.ContainsFunc(v.report.Members, func(m etcd.MemberHealth) bool {
		return m.ID == v.own.ID && m.Err == nil
	})
}

// dead returns the voting members that do not answer. This node's own one
// does not count: if it is dead, it is replaced.
func (j *joiner) dead(v view) []etcd.MemberHealth {
	var dead []etcd.MemberHealth
	for _, m := range v.report.Dead() {
		if !m.Learner && !j.isOwn(m.Member) {
			dead = append(dead, m)
		}
	}
	return dead
}

// blocked refuses a join that etcd would refuse: of several voting members,
// as many must be connected as make a quorum with one more (etcd v3.7,
// etcdserver/server.go, mayAddMember).
func (j *joiner) blocked(v view) error {
	all, healthy := v.report.Voters()
	dead := j.dead(v)
	if len(dead) == 0 || all == 1 || healthy >= etcd.Quorum(all+1) {
		return nil
	}
	return deadMembers(dead)
}
