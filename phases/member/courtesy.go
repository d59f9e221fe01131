package member

import (
	"context"
	"errors"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/hactl/hactl/etcd"
	"github.com/hactl/hactl/phases/wait"
)

const (
	// linger is how long the turn must be free before nobody is said to wait
	// for it: who does takes it within milliseconds.
	linger = 500 * time.Millisecond
	// courtesy is the longest that a member waits with its vote for others.
	// Its own clients wait longer: see DESIGN.md.
	courtesy = 6 * time.Second
)

// letOthersAdd returns when no other node is about to add a member, or none
// could, and after courtesy in any case. A vote given before that would make
// them wait until this member has been connected for 5 s.
func (j *joiner) letOthersAdd(ctx context.Context) error {
	members, err := j.cluster.Members(ctx)
	if err != nil || !delays(etcd.Voters(members)) {
		return nil // promote says what is wrong
	}
	watching, cancel := context.WithCancel(ctx)
	defer cancel()
	over := make(chan struct{}, 1)
	timer := time.AfterFunc(linger, func() {
		select {
		case over <- struct{}{}:
		default:
		}
	})
	defer timer.Stop()
	wake := []<-chan struct{}{over}
	if changes, err := j.API.Watch(watching, lease()); err == nil {
		wake = append(wake, changes)
	}
	free := time.Now() // since when, zero while somebody holds the turn
	err = wait.For(ctx, courtesy, wait.Condition{
		What: "no other node is about to add its etcd member", Wake: wake,
		Check: func(ctx context.Context) (bool, string, error) {
			l := lease()
			if err := j.API.Get(ctx, l); err != nil && !apierrors.IsNotFound(err) {
				return true, "", nil // it is only a courtesy
			}
			if holder := holderOf(l); holder != "" && holder != j.NodeName {
				free = time.Time{}
				return j.full(ctx), holder + " is adding its own", nil
			}
			if free.IsZero() {
				free = time.Now()
				timer.Reset(linger)
			}
			return time.Since(free) >= linger, "", nil
		},
	})
	var late *wait.TimeoutError
	if errors.As(err, &late) {
		return nil
	}
	return err
}

// delays says whether one voting member more, just connected, keeps etcd from
// taking the next learner: with n+1 of them, Quorum(n+2) must have been
// connected for 5 s (etcd v3.7, etcdserver/server.go, mayAddMember).
func delays(n int) bool { return etcd.Quorum(n+2) > n }

// full says whether etcd takes no further learner before one is promoted.
func (j *joiner) full(ctx context.Context) bool {
	members, err := j.cluster.Members(ctx)
	return err == nil && len(members)-etcd.Voters(members) >= j.learnersAtOnce()
}
