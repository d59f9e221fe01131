package member

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

// The configuration fields of the limits.
const (
	limitEtcd  = "timeouts.etcdAPICall"
	limitStart = "timeouts.controlPlaneComponentHealthCheck"
)

// dropOld takes out the member that this node had before its data was lost.
// The manifest goes first: a member must not come back without the log that
// it has voted on.
func (j *joiner) dropOld(ctx context.Context, v view) error {
	phases.Report(ctx, fmt.Sprintf("etcd member %s at %s does not answer and has no data here: this node's new member takes its place",
		v.own.Name, j.peerURL()))
	if err := j.vacate(ctx); err != nil {
		return err
	}
	err := wait.For(ctx, j.Timeouts.Etcd, wait.Condition{
		What: "etcd takes out the old member of this node", LimitName: limitEtcd,
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
	if err != nil {
		return err
	}
	if !v.own.Learner {
		n := etcd.Voters(v.members)
		phases.Report(ctx, etcd.DescribeChange(n, n-1))
	}
	return nil
}

// add makes etcd know this node's member as a learner. It may be repeated.
func (j *joiner) add(ctx context.Context) (etcd.Member, error) {
	var own etcd.Member
	var ahead []etcd.Member
	began := j.now()
	err := wait.For(ctx, j.Timeouts.Etcd, wait.Condition{
		What: "etcd takes this node's member", LimitName: limitEtcd,
		Check: func(ctx context.Context) (_ bool, status string, err error) {
			own, err = j.cluster.AddLearner(ctx, j.peerURL())
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

// settles is how long etcd may refuse a change although all is well: members
// must have been connected for 5 s (etcd v3.7, HealthInterval).
const settles = 10 * time.Second

// refused names the dead members that are why etcd refuses a change, nil
// while it may still take it.
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

// learners lists the learners of the other nodes.
func (j *joiner) learners(ctx context.Context) ([]etcd.Member, error) {
	members, err := j.cluster.Members(ctx)
	if etcd.Transient(err) {
		return nil, nil
	}
	return slices.DeleteFunc(slices.Clone(members), func(m etcd.Member) bool {
		return !m.Learner || j.isOwn(m)
	}), err
}

// launch writes the manifest and returns when the member has started. The
// member would end itself if it were told of other members than there are,
// so the manifest follows each change until then.
func (j *joiner) launch(ctx context.Context, id uint64) error {
	var written *etcd.Initial
	asking, cancel := context.WithCancel(ctx)
	defer cancel()
	err := wait.For(ctx, j.Timeouts.ControlPlane, wait.Condition{
		What: "this node's etcd member has started", LimitName: limitStart,
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
				return false, "", lostMember(err)
			}
			now := j.joining(members)
			if written == nil || !now.Same(*written) && !own.Started() {
				if err := j.tell(ctx, now); err != nil {
					return false, "", err
				}
				written = &now
			}
			return own.Started(), "", nil
		},
	})
	var late *wait.TimeoutError
	if errors.As(err, &late) {
		return notStarted(late)
	}
	return err
}

// joining is what this node's member is told if it joins these.
func (j *joiner) joining(members []etcd.Member) etcd.Initial {
	return etcd.Joining(members, j.peerURL(), j.NodeName)
}

// tell writes the manifest of a member that has not started yet. What only
// a first start reads is not written again once there is data.
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

// put writes the manifest and the data directory where they are missing or
// different, and notes whether the directory is this run's.
func (j *joiner) put(ctx context.Context, in etcd.Initial) error {
	same, err := j.pod(in).OnDisk(ctx, j.Files, j.Dir)
	if err != nil {
		return err
	}
	if _, err := j.Files.Stat(ctx, j.Cluster.Etcd.Local.DataDir); err != nil {
		same, j.made.dir = false, true
	}
	if same {
		return nil
	}
	if err := j.vacate(ctx); err != nil {
		return err
	}
	return j.write(ctx, in)
}

// restart writes the manifest of a member that has started before.
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
	stuck := nudge{restart: j.Restart}
	asking, cancel := context.WithCancel(ctx)
	defer cancel()
	err := wait.For(ctx, j.Timeouts.Etcd, wait.Condition{
		What: "this node's etcd member is in sync and votes", LimitName: limitEtcd,
		Wake: []<-chan struct{}{every(asking, pace)},
		Check: func(ctx context.Context) (bool, string, error) {
			all, err := j.tryPromote(ctx, id)
			before = max(before, all)
			stuck.look(ctx, err)
			if errors.Is(err, errSilent) {
				return false, errSilent.Error(), nil
			}
			if errors.Is(err, etcd.ErrNotReady) || etcd.Transient(err) {
				return false, err.Error(), nil
			}
			return err == nil, "", err
		},
	})
	var late *wait.TimeoutError
	switch {
	case errors.Is(err, etcd.ErrNotFound):
		return lostMember(err)
	case errors.As(err, &late):
		return notInSync(late)
	case err != nil || before == 0:
		return err
	}
	return j.announce(ctx, before)
}

// tryPromote returns how many members voted before it asked for one more,
// zero if the member votes already. A member that does not answer is not
// promoted: etcd judges by what it last knew of it, and with the vote of one
// that is down a cluster of one has no quorum.
func (j *joiner) tryPromote(ctx context.Context, id uint64) (int, error) {
	members, err := j.cluster.Members(ctx)
	if err != nil {
		return 0, err
	}
	own, err := etcd.Find(members, id)
	if err != nil || !own.Learner {
		return 0, err
	}
	if err := j.cluster.Serves(ctx, j.clientURL()); errors.Is(err, etcd.ErrUnreachable) {
		return 0, fmt.Errorf("%w: %w: %w", etcd.ErrNotReady, errSilent, err)
	} else if err != nil {
		return 0, err
	}
	return etcd.Voters(members), j.cluster.Promote(ctx, id)
}

// announce tells what the new vote is worth.
func (j *joiner) announce(ctx context.Context, before int) error {
	phases.Report(ctx, etcd.DescribeChange(before, before+1))
	members, err := j.cluster.Members(ctx)
	if etcd.Transient(err) {
		return nil // only the warning needs them
	}
	n := etcd.Voters(members)
	if n%2 == 0 && n == len(members) && err == nil {
		phases.Warn(ctx, fmt.Sprintf("etcd has %d voting members: an even number tolerates no more failures than one fewer (%d); add one more control-plane node",
			n, etcd.Tolerance(n)))
	}
	return err
}
