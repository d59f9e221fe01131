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
	data    *etcd.Owner  // whose data this node holds, nil if none
}

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
			if etcd.Transient(err) { // an election
				return false, err.Error(), nil
			}
			return err == nil, "", err
		},
	})
	return v, err
}

func (t *JoinTask) isOwn(m etcd.Member) bool { return m.HasPeer(t.peerURL()) }

// decide returns how to go on, or why it would be unsafe or in vain.
func (j *joiner) decide(ctx context.Context, v view) (etcd.Course, error) {
	if _, err := j.onDisk(ctx); err != nil {
		return 0, err
	}
	for _, m := range v.members {
		if m.Name == j.NodeName && !j.isOwn(m) {
			return 0, j.nameTaken(m)
		}
	}
	c, err := j.fromData(v)
	if err != nil || c == etcd.CourseResume {
		return c, err
	}
	if err := j.sameLearners(); err != nil || c == etcd.CourseReplace {
		return c, err // to replace a dead member needs no more than the quorum there is
	}
	return c, j.blocked(v)
}

// fromData compares the member list with the data on this node.
func (j *joiner) fromData(v view) (etcd.Course, error) {
	c := v.report.Course(v.own, v.data)
	switch c {
	case etcd.CourseForeign:
		return c, j.foreignData(v)
	case etcd.CourseTaken:
		return c, j.addressTaken(*v.own)
	}
	return c, nil
}

// dead returns the voting members that do not answer. This node's own one
// does not count: if it is dead, it is replaced.
func (j *joiner) dead(v view) []etcd.MemberHealth { return v.report.DeadVoters(j.peerURL()) }

// blocked refuses a join that etcd would refuse.
func (j *joiner) blocked(v view) error {
	dead := j.dead(v)
	if len(dead) == 0 || v.report.MayAdd() {
		return nil
	}
	return deadMembers(dead)
}
