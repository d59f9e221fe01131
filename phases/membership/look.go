package membership

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hactl/hactl/etcd"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/wait"
)

// View is what a join finds in etcd and on this machine.
type View struct {
	Members []etcd.Member
	Report  etcd.Report
	Own     *etcd.Member // the one with this machine's peer URL, nil if none
	Data    *etcd.Owner  // whose data this machine holds, nil if none
}

// Settled says whether this machine's member votes and runs on the data here.
// Where there is no data, it must answer: then it lies in another directory.
func (v View) Settled() bool {
	if v.Own == nil || !v.Own.Started() || v.Own.Learner {
		return false
	}
	if v.Data == nil {
		return v.Report.Answers(v.Own.ID)
	}
	return v.Data.Member == v.Own.ID
}

// Look reads the member list and the health of etcd, and this machine's data.
func (j *Join) Look(ctx context.Context) (View, error) {
	v, err := Inspect(ctx, j.cluster, j.own.Timeouts.Etcd, j.own.Words)
	if errors.Is(err, etcd.ErrUnreachable) {
		err = j.own.Words.Unreachable(j.endpoints, err)
	}
	if err != nil {
		return View{}, err
	}
	return j.compare(ctx, v)
}

// Glance is Look without the health of the members, which takes two seconds if
// one of them does not answer. Where no health is needed to go on, that would
// only keep others from their turn.
func (j *Join) Glance(ctx context.Context) (View, error) {
	members, err := j.cluster.Members(ctx)
	if err != nil {
		return j.Look(ctx) // it says why
	}
	v, err := j.compare(ctx, View{Members: members})
	if err != nil {
		return View{}, err
	}
	if v.Own != nil && v.Own.Started() || v.Data != nil {
		return j.Look(ctx)
	}
	return v, nil
}

// compare adds what concerns this machine.
func (j *Join) compare(ctx context.Context, v View) (_ View, err error) {
	if i := slices.IndexFunc(v.Members, j.own.Is); i >= 0 {
		v.Own = &v.Members[i]
	}
	v.Data, err = j.own.Owner(ctx)
	return v, err
}

// Inspect reads the member list and the health of etcd; limit is for elections
// to end. It asks for health first, because that names dead members within
// seconds where the member list only says that there is no quorum: that is a
// fault. If nobody answers, the error is etcd.ErrUnreachable.
func Inspect(ctx context.Context, c etcd.Cluster, limit time.Duration, words Words) (View, error) {
	v := View{}
	err := wait.For(ctx, limit, wait.Condition{
		What: "etcd tells its members", LimitName: limitEtcd,
		Check: func(ctx context.Context) (_ bool, _ string, err error) {
			if v.Report, err = c.Health(ctx); err != nil {
				return false, "", err
			}
			v.Members, err = c.Members(ctx)
			if errors.Is(err, etcd.ErrNoQuorum) && !v.Report.HasQuorum() {
				return false, "", words.noQuorum(v.Report)
			}
			if etcd.Transient(err) { // an election
				return false, err.Error(), nil
			}
			return err == nil, "", err
		},
	})
	return v, err
}

// Course returns how to go on, or why it would be unsafe. Where a member is to
// be added, Blocked says whether etcd takes it.
func (j *Join) Course(ctx context.Context, v View) (etcd.Course, error) {
	if _, err := j.own.Machine.OnDisk(ctx); err != nil {
		return 0, err
	}
	for _, m := range v.Members {
		if m.Name == j.own.Name && !j.own.Is(m) {
			return 0, j.own.nameTaken(m)
		}
	}
	c := v.Report.Course(v.Own, v.Data)
	switch c {
	case etcd.CourseForeign:
		return c, j.own.foreignData(v)
	case etcd.CourseTaken:
		return c, j.own.addressTaken(*v.Own)
	}
	return c, nil
}

// Blocked refuses a join that etcd would refuse. To replace a dead member
// needs no more than the quorum there is.
func (j *Join) Blocked(v View) error {
	dead := j.dead(v)
	if len(dead) == 0 || v.Report.MayAdd() {
		return nil
	}
	return j.own.Words.deadMembers(dead)
}

// dead returns the voting members that do not answer. This machine's own does
// not count: if it is dead, it is replaced.
func (j *Join) dead(v View) []etcd.MemberHealth { return v.Report.DeadVoters(j.own.PeerURL()) }

// WarnOfDead tells of the dead members that etcd can do without.
func (j *Join) WarnOfDead(ctx context.Context, v View) {
	w := j.own.Words
	for _, m := range j.dead(v) {
		phases.Warn(ctx, fmt.Sprintf("etcd member %s does not answer; etcd goes on without it; if it is gone for good, on a healthy %s: %s",
			etcd.Describe(m.Member), w.Peer, w.Removal(m.Member)))
	}
}
