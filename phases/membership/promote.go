package membership

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hactl/hactl/etcd"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/wait"
)

// pace is how often a member is asked whether it has started and whether it
// may vote: other machines wait for that, and nothing tells of it. The member
// often serves no clients for its first seconds (phases/member/DESIGN.md).
const pace = 100 * time.Millisecond

// Promote gives the member its vote as soon as it is in sync, and tells what
// that is worth. It returns how many members voted before; zero if this one
// did already.
func (j *Join) Promote(ctx context.Context, id uint64) (before int, err error) {
	asking, cancel := context.WithCancel(ctx)
	defer cancel()
	err = wait.For(ctx, j.own.Timeouts.Etcd, wait.Condition{
		What: "this " + j.own.Words.Machine + "'s etcd member is in sync and votes", LimitName: limitEtcd,
		Wake: []<-chan struct{}{every(asking, pace)},
		Check: func(ctx context.Context) (bool, string, error) {
			all, err := j.tryPromote(ctx, id)
			before = max(before, all)
			j.stuck.look(ctx, err)
			if errors.Is(err, errSilent) {
				return false, errSilent.Error(), j.own.crashed(ctx)
			}
			if errors.Is(err, etcd.ErrNotReady) || etcd.Transient(err) {
				return false, err.Error(), j.own.crashed(ctx)
			}
			return err == nil, "", err
		},
	})
	var late *wait.TimeoutError
	switch {
	case errors.Is(err, etcd.ErrNotFound):
		return 0, j.own.Words.lostMember(err)
	case errors.As(err, &late):
		return 0, j.own.Words.notInSync(late)
	case err != nil || before == 0:
		return 0, err
	}
	return before, j.announce(ctx, before)
}

// tryPromote returns how many members voted before it asked for one more, zero
// if the member votes already. A member that does not answer is not promoted:
// etcd judges by what it last knew of it, and with the vote of one that is down
// a cluster of one has no quorum.
func (j *Join) tryPromote(ctx context.Context, id uint64) (int, error) {
	members, err := j.cluster.Members(ctx)
	if err != nil {
		return 0, err
	}
	own, err := etcd.Find(members, id)
	if err != nil || !own.Learner {
		return 0, err
	}
	if err := j.cluster.Serves(ctx, j.own.ClientURL()); errors.Is(err, etcd.ErrUnreachable) {
		return 0, fmt.Errorf("%w: %w: %w", etcd.ErrNotReady, errSilent, err)
	} else if err != nil {
		return 0, err
	}
	return etcd.Voters(members), j.cluster.Promote(ctx, id)
}

// announce tells what the new vote is worth.
func (j *Join) announce(ctx context.Context, before int) error {
	phases.Report(ctx, etcd.DescribeChange(before, before+1))
	members, err := j.cluster.Members(ctx)
	if etcd.Transient(err) {
		return nil // only the warning needs them
	}
	n := etcd.Voters(members)
	if n%2 == 0 && n == len(members) && err == nil {
		phases.Warn(ctx, fmt.Sprintf("etcd has %d voting members: an even number tolerates no more failures than one fewer (%d); add one more %s",
			n, etcd.Tolerance(n), j.own.Words.Peer))
	}
	return err
}

// every sends at each interval until ctx ends.
func every(ctx context.Context, interval time.Duration) <-chan struct{} {
	out := make(chan struct{})
	go func() {
		tick := time.NewTicker(interval)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			select {
			case <-ctx.Done():
				return
			case out <- struct{}{}:
			}
		}
	}()
	return out
}
