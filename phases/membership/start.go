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

// Start goes on from where an earlier run ended, by what Course said of the
// view, and returns the ID of this machine's member when it has started. What
// TakeBack has to take back begins here.
func (j *Join) Start(ctx context.Context, v View, c etcd.Course) (uint64, error) {
	switch c {
	case etcd.CourseResume:
		return v.Own.ID, j.resume(ctx, v)
	case etcd.CourseReplace:
		if err := j.dropOld(ctx, v); err != nil {
			return 0, err
		}
	}
	own, err := j.add(ctx)
	if err != nil {
		return 0, err
	}
	return own.ID, j.launch(ctx, own.ID)
}

// dropOld takes out the member that this machine had before its data was lost.
// It ends first: a member must not come back without the log that it has voted
// on.
func (j *Join) dropOld(ctx context.Context, v View) error {
	machine := j.own.Words.Machine
	phases.Report(ctx, fmt.Sprintf("etcd member %s at %s does not answer and has no data here: this %s's new member takes its place",
		v.Own.Name, j.own.PeerURL(), machine))
	if err := j.own.Machine.Halt(ctx); err != nil {
		return err
	}
	err := Remove(ctx, j.cluster, Removal{
		ID: v.Own.ID, What: "etcd takes out the old member of this " + machine, Limit: j.own.Timeouts.Etcd,
	})
	if errors.Is(err, etcd.ErrQuorum) || errors.Is(err, etcd.ErrLastVoter) {
		return j.own.cannotReplace(v, err)
	}
	if err == nil && !v.Own.Learner {
		n := etcd.Voters(v.Members)
		phases.Report(ctx, etcd.DescribeChange(n, n-1))
	}
	return err
}

// settles is how long etcd may refuse a change although all is well: members
// must have been connected for 5 s (etcd v3.7, HealthInterval).
const settles = 10 * time.Second

// add makes etcd know this machine's member as a learner. It may be repeated.
func (j *Join) add(ctx context.Context) (etcd.Member, error) {
	limit, name := j.own.Timeouts.ControlPlane, limitStart
	if j.own.ByTurns {
		limit, name = j.own.Timeouts.Etcd, limitEtcd
	}
	var own etcd.Member
	var ahead []etcd.Member
	began := j.own.now()
	err := wait.For(ctx, limit, wait.Condition{
		What: "etcd takes this " + j.own.Words.Machine + "'s member", LimitName: name,
		Check: func(ctx context.Context) (_ bool, status string, err error) {
			own, err = j.cluster.AddLearner(ctx, j.own.PeerURL())
			if errors.Is(err, etcd.ErrTooManyLearners) {
				ahead, err = j.learners(ctx)
				return false, "ahead of it: " + etcd.Describe(ahead...), err
			}
			ahead = nil
			if etcd.Transient(err) {
				status = err.Error()
				return false, status, j.refused(ctx, began)
			}
			return err == nil, "", err
		},
	})
	var late *wait.TimeoutError
	if errors.As(err, &late) && len(ahead) > 0 {
		return own, j.own.Words.tooManyLearners(ahead, late)
	}
	return own, err
}

// refused names the dead members that are why etcd refuses a change, nil while
// it may still take it.
func (j *Join) refused(ctx context.Context, began time.Time) error {
	v, err := j.Look(ctx)
	if err != nil {
		return err
	}
	if dead := j.dead(v); len(dead) > 0 && j.own.now().Sub(began) >= settles {
		return j.own.Words.deadMembers(dead)
	}
	return j.Blocked(v)
}

// learners lists the learners of the other machines.
func (j *Join) learners(ctx context.Context) ([]etcd.Member, error) {
	members, err := j.cluster.Members(ctx)
	if etcd.Transient(err) {
		return nil, nil
	}
	return slices.DeleteFunc(slices.Clone(members), func(m etcd.Member) bool { return !m.Learner || j.own.Is(m) }), err
}

// launch starts the member and returns when it has started. It would end
// itself if it were told of other members than there are, so what it is told
// follows each change until then.
func (j *Join) launch(ctx context.Context, id uint64) error {
	var told *etcd.Initial
	asking, cancel := context.WithCancel(ctx)
	defer cancel()
	err := wait.For(ctx, j.own.Timeouts.ControlPlane, wait.Condition{
		What: "this " + j.own.Words.Machine + "'s etcd member has started", LimitName: limitStart,
		Wake: []<-chan struct{}{every(asking, pace)},
		Check: func(ctx context.Context) (bool, string, error) {
			members, err := j.cluster.Members(ctx)
			if etcd.Transient(err) {
				return false, err.Error(), nil
			}
			if err != nil {
				return false, "", err
			}
			own, err := etcd.Find(members, id)
			if err != nil {
				return false, "", j.own.Words.lostMember(err)
			}
			now := j.joining(members)
			if told == nil || !now.Same(*told) && !own.Started() {
				if err := j.tell(ctx, now); err != nil {
					return false, "", err
				}
				told = &now
			}
			return own.Started(), "", j.own.crashed(ctx)
		},
	})
	var late *wait.TimeoutError
	if errors.As(err, &late) {
		return j.own.Words.notStarted(late)
	}
	return err
}

// joining is what this machine's member is told if it joins these.
func (j *Join) joining(members []etcd.Member) etcd.Initial {
	return etcd.Joining(members, j.own.PeerURL(), j.own.Name)
}

// tell starts a member that has not started yet. What only a first start reads
// is not written again once there is data.
func (j *Join) tell(ctx context.Context, want etcd.Initial) error {
	data, err := j.own.Owner(ctx)
	if err != nil {
		return err
	}
	have, err := j.own.Machine.OnDisk(ctx)
	if err != nil {
		return err
	}
	if have != nil && (data != nil || have.Same(want)) {
		want = *have
	}
	return j.own.Machine.Put(ctx, want)
}

// resume starts a member that has run before.
func (j *Join) resume(ctx context.Context, v View) error {
	in, err := j.own.Machine.OnDisk(ctx)
	if err != nil {
		return err
	}
	if in == nil {
		return j.own.Machine.Put(ctx, j.joining(v.Members))
	}
	return j.own.Machine.Put(ctx, *in)
}
