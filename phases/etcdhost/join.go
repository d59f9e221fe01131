package etcdhost

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/etcd"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/wait"
	"github.com/hactl/hactl/templates/staticpod"
)

// The configuration fields of the limits.
const (
	limitEtcd  = "timeouts.etcdAPICall"
	limitStart = "timeouts.controlPlaneComponentHealthCheck"
)

// JoinPhase is phase etcd-join of etcd join: it adds this host's member to
// etcd as a learner, starts it, and gives it its vote when it is in sync.
//
// A run that ended at any moment is continued by the next one. Undo takes the
// member back as long as it has no vote.
func JoinPhase() phases.Phase[Task] {
	return phases.Phase[Task]{
		Name:  "etcd-join",
		Title: "member of etcd: added, in sync, voting",
		Reads: []string{"member list and health of etcd"},
		Writes: []string{
			"member of etcd", staticpod.Path(config.ManifestsDir, Name) + " or " + UnitFile, config.DefaultEtcdDir,
		},
		Observe: observeJoin,
		Apply:   applyJoin,
		Undo:    undoJoin,
	}
}

// observeJoin asks etcd only if this host has a member: without one there is
// work to do whatever etcd says.
func observeJoin(ctx context.Context, t *Task) (_ phases.State, err error) {
	in, err := t.onDisk(ctx)
	if err != nil || in == nil {
		return phases.Missing, err
	}
	if right, err := t.isRight(ctx, *in); err != nil || !right {
		return phases.Missing, err
	}
	if state, err := t.running(ctx); err != nil || state != phases.Done {
		return phases.Missing, err
	}
	j, hangUp, err := t.connect(ctx)
	if err != nil {
		return phases.Missing, err
	}
	defer func() { err = errors.Join(err, hangUp()) }()
	v, err := j.look(ctx)
	if err != nil || v.own == nil || !v.own.Started() || v.own.Learner {
		return phases.Missing, err
	}
	if v.data != nil && v.data.Member != v.own.ID || v.data == nil && !v.report.Answers(v.own.ID) {
		return phases.Missing, nil // it votes, but its data is not here
	}
	return phases.Done, nil
}

// applyJoin goes on from wherever an earlier run ended.
func applyJoin(ctx context.Context, t *Task) (err error) {
	j, hangUp, err := t.connect(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, hangUp()) }()
	v, err := j.look(ctx)
	if err != nil {
		return err
	}
	way, err := j.decide(ctx, v)
	if err != nil {
		return err
	}
	t.made.begun = true
	if way == etcd.CourseResume {
		if err := j.restart(ctx, v); err != nil {
			return err
		}
		return j.promote(ctx, v.own.ID)
	}
	if way == etcd.CourseReplace {
		if err := j.dropOld(ctx, v); err != nil {
			return err
		}
	}
	own, err := j.add(ctx)
	if err != nil {
		return err
	}
	if err := j.launch(ctx, own.ID); err != nil {
		return err
	}
	return j.promote(ctx, own.ID)
}

// dropOld takes out the member that this host had before its data was lost.
// It ends first: a member must not come back without the log that it has voted
// on.
func (j *joiner) dropOld(ctx context.Context, v view) error {
	phases.Report(ctx, fmt.Sprintf("etcd member %s at %s does not answer and has no data here: this host's new member takes its place",
		v.own.Name, j.PeerURL()))
	if err := j.halt(ctx); err != nil {
		return err
	}
	err := wait.For(ctx, j.Timeouts.Etcd, wait.Condition{
		What: "etcd takes out the old member of this host", LimitName: limitEtcd,
		Check: func(ctx context.Context) (bool, string, error) {
			err := j.cluster.Remove(ctx, v.own.ID)
			if etcd.Transient(err) {
				return false, err.Error(), nil
			}
			return err == nil, "", err
		},
	})
	if errors.Is(err, etcd.ErrQuorum) || errors.Is(err, etcd.ErrLastVoter) {
		return j.cannotReplace(v, err)
	}
	if err == nil && !v.own.Learner {
		n := etcd.Voters(v.members)
		phases.Report(ctx, etcd.DescribeChange(n, n-1))
	}
	return err
}

// settles is how long etcd may refuse a change although all is well: members
// must have been connected for 5 s (etcd v3.7, HealthInterval).
const settles = 10 * time.Second

// add makes etcd know this host's member as a learner. While another host's
// is a learner, it waits. It may be repeated.
func (j *joiner) add(ctx context.Context) (etcd.Member, error) {
	var own etcd.Member
	var ahead []etcd.Member
	began := j.now()
	err := wait.For(ctx, j.Timeouts.ControlPlane, wait.Condition{
		What: "etcd takes this host's member", LimitName: limitStart,
		Check: func(ctx context.Context) (_ bool, status string, err error) {
			own, err = j.cluster.AddLearner(ctx, j.PeerURL())
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
		return own, tooManyLearners(ahead, late)
	}
	return own, err
}

// refused names the dead members that are why etcd refuses a change, nil while
// it may still take it.
func (j *joiner) refused(ctx context.Context, began time.Time) error {
	v, err := j.look(ctx)
	if err != nil {
		return err
	}
	if dead := j.dead(v); len(dead) > 0 && j.now().Sub(began) >= settles {
		return deadMembers(dead)
	}
	return j.blocked(v)
}

// learners lists the learners of the other hosts.
func (j *joiner) learners(ctx context.Context) ([]etcd.Member, error) {
	members, err := j.cluster.Members(ctx)
	if etcd.Transient(err) {
		return nil, nil
	}
	return slices.DeleteFunc(slices.Clone(members), func(m etcd.Member) bool { return !m.Learner || j.isOwn(m) }), err
}

// launch starts the member and returns when it has started. It would end
// itself if it were told of other members than there are, so what it is told
// follows each change until then.
func (j *joiner) launch(ctx context.Context, id uint64) error {
	var written *etcd.Initial
	err := wait.For(ctx, j.Timeouts.ControlPlane, wait.Condition{
		What: "this host's etcd member has started", LimitName: limitStart,
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
				return false, "", lostMember(err)
			}
			now := j.joining(members)
			if written == nil || !now.Same(*written) && !own.Started() {
				if err := j.tell(ctx, now); err != nil {
					return false, "", err
				}
				written = &now
			}
			return own.Started(), "", j.crashed(ctx)
		},
	})
	var late *wait.TimeoutError
	if errors.As(err, &late) {
		return j.notStarted(late)
	}
	return err
}

// joining is what this host's member is told if it joins these.
func (j *joiner) joining(members []etcd.Member) etcd.Initial {
	return etcd.Joining(members, j.PeerURL(), j.Name)
}

// tell starts a member that has not started yet. What only a first start
// reads is not written again once there is data.
func (j *joiner) tell(ctx context.Context, want etcd.Initial) error {
	data, err := j.owner(ctx)
	if err != nil {
		return err
	}
	have, err := j.onDisk(ctx)
	if err != nil {
		return err
	}
	if have != nil && (data != nil || have.Same(want)) {
		want = *have
	}
	return j.put(ctx, want)
}

// restart starts a member that has run before.
func (j *joiner) restart(ctx context.Context, v view) error {
	in, err := j.onDisk(ctx)
	if err != nil {
		return err
	}
	if in == nil {
		return j.put(ctx, j.joining(v.members))
	}
	return j.put(ctx, *in)
}

// promote gives the member its vote as soon as it is in sync.
func (j *joiner) promote(ctx context.Context, id uint64) error {
	var before int // voting members, zero if nothing changed
	err := wait.For(ctx, j.Timeouts.Etcd, wait.Condition{
		What: "this host's etcd member is in sync and votes", LimitName: limitEtcd,
		Check: func(ctx context.Context) (bool, string, error) {
			all, err := j.tryPromote(ctx, id)
			before = max(before, all)
			if errors.Is(err, etcd.ErrNotReady) || etcd.Transient(err) {
				return false, err.Error(), j.crashed(ctx)
			}
			return err == nil, "", err
		},
	})
	var late *wait.TimeoutError
	switch {
	case errors.Is(err, etcd.ErrNotFound):
		return lostMember(err)
	case errors.As(err, &late):
		return j.notInSync(late)
	case err != nil || before == 0:
		return err
	}
	return j.announce(ctx, before)
}

// tryPromote returns how many members voted before it asked for one more, zero
// if the member votes already. A member that does not answer is not promoted:
// with the vote of one that is down a cluster of one has no quorum.
func (j *joiner) tryPromote(ctx context.Context, id uint64) (int, error) {
	report, err := j.cluster.Health(ctx)
	if err != nil {
		return 0, err
	}
	members, err := j.cluster.Members(ctx)
	if err != nil {
		return 0, err
	}
	own, err := etcd.Find(members, id)
	if err != nil || !own.Learner {
		return 0, err
	}
	if health, ok := report.Find(id); ok && health.Err != nil {
		return 0, fmt.Errorf("%w: %w", etcd.ErrNotReady, health.Err)
	}
	return etcd.Voters(members), j.cluster.Promote(ctx, id)
}

// announce tells what the new vote is worth.
func (j *joiner) announce(ctx context.Context, before int) error {
	j.Before = before
	phases.Report(ctx, etcd.DescribeChange(before, before+1))
	members, err := j.cluster.Members(ctx)
	if etcd.Transient(err) {
		return nil // only the warning needs them
	}
	n := etcd.Voters(members)
	if n%2 == 0 && n == len(members) && err == nil {
		phases.Warn(ctx, fmt.Sprintf("etcd has %d voting members: an even number tolerates no more failures than one fewer (%d); add one more host",
			n, etcd.Tolerance(n)))
	}
	return err
}
