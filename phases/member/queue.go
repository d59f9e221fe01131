package member

import (
	"context"
	"fmt"
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/kube"
	"github.com/hactl/hactl/phases/wait"
)

// The Lease that control-plane nodes take in turn while they add a member.
const (
	leaseNamespace = metav1.NamespaceSystem
	leaseName      = "hactl-etcd-join"
)

const (
	leaseLasts = 15 * time.Second // without being renewed
	leaseRenew = 5 * time.Second
	// leaseOver is the age at which a Lease has ended whatever the clocks
	// of the two nodes say: preflight refuses a larger difference.
	leaseOver = time.Minute
	// lastCall bounds what is done after a join has ended or failed.
	lastCall = 5 * time.Second
)

// turn is the Lease while this node holds it. A turn that is lost, since the
// API could not be reached, does no harm but to make two nodes restart their
// members: launch follows the member list.
type turn struct {
	t       *JoinTask
	stop    context.CancelFunc
	stopped chan struct{}
	once    sync.Once
}

// takeTurn waits until no other node adds a member. It has no limit of its
// own: each holder has one, and the queue may be long.
func (t *JoinTask) takeTurn(ctx context.Context) (*turn, error) {
	watching, cancel := context.WithCancel(ctx)
	defer cancel()
	var wake []<-chan struct{}
	if changes, err := t.API.Watch(watching, lease()); err == nil { // without, the wait asks now and then
		wake = append(wake, changes)
	}
	q := &queue{t: t}
	err := wait.For(ctx, 0, wait.Condition{
		What: "this node may add its etcd member", Wake: wake, Check: q.try,
	})
	if err != nil {
		return nil, err
	}
	renewing, stop := context.WithCancel(ctx)
	held := &turn{t: t, stop: stop, stopped: make(chan struct{})}
	go held.renew(renewing)
	return held, nil
}

// queue is what a waiting node has seen of the Lease.
type queue struct {
	t        *JoinTask
	version  string    // of the Lease
	seen     time.Time // since when it has had that version
	holder   string
	holdings time.Time // since when that node holds it
}

// try takes the Lease if nobody else holds it.
func (q *queue) try(ctx context.Context) (bool, string, error) {
	l := lease()
	err := q.t.API.Get(ctx, l)
	if apierrors.IsNotFound(err) {
		// Two nodes may make it at the same time, so it is made without a
		// holder; what comes back may have one.
		l = lease()
		err = q.t.API.Put(ctx, l)
	}
	if err != nil {
		return again(err)
	}
	if holder := q.ahead(l); holder != "" {
		return false, holder + " is adding its own", q.stuck(holder)
	}
	q.t.sign(l)
	l.Spec.AcquireTime = l.Spec.RenewTime
	if err := q.t.API.Update(ctx, l); err != nil {
		return again(err)
	}
	return true, "", nil
}

// again says which errors a later try may mend: no answer, and a Lease that
// somebody else was quicker to change.
func again(err error) (bool, string, error) {
	if kube.Unreachable(err) || apierrors.IsConflict(err) || apierrors.IsInternalError(err) ||
		apierrors.IsServerTimeout(err) || apierrors.IsTooManyRequests(err) || apierrors.IsServiceUnavailable(err) {
		return false, err.Error(), nil
	}
	return false, "", fmt.Errorf("take Lease %s/%s: %w", leaseNamespace, leaseName, err)
}

// ahead returns the node that holds the Lease, "" if it is free. The clocks
// of two nodes differ, so a Lease has ended when it was seen unchanged for
// its time.
func (q *queue) ahead(l *coordinationv1.Lease) string {
	holder, now := holderOf(l), q.t.now()
	if l.ResourceVersion != q.version {
		q.version, q.seen = l.ResourceVersion, now
	}
	if holder != q.holder {
		q.holder, q.holdings = holder, now
	}
	switch {
	case holder == q.t.NodeName: // an earlier run on this node
		return ""
	case now.Sub(q.seen) >= leaseLasts:
		return ""
	case l.Spec.RenewTime == nil || now.Sub(l.Spec.RenewTime.Time) >= leaseOver:
		return ""
	}
	return holder
}

// stuck gives up on a holder that renews the Lease longer than a join takes.
func (q *queue) stuck(holder string) error {
	limit := q.t.Timeouts.ControlPlane + 2*q.t.Timeouts.Etcd
	if q.t.now().Sub(q.holdings) < limit {
		return nil
	}
	return q.t.stuckQueue(holder, limit)
}

func (b *turn) renew(ctx context.Context) {
	defer close(b.stopped)
	tick := time.NewTicker(leaseRenew)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		l := lease()
		// What fails now is tried again at the next tick.
		if err := b.t.API.Get(ctx, l); err != nil {
			continue
		}
		if holderOf(l) != b.t.NodeName {
			return
		}
		b.t.sign(l)
		_ = b.t.API.Update(ctx, l)
	}
}

// end gives the turn to the next node. It may be called twice.
func (b *turn) end(ctx context.Context) {
	b.once.Do(func() {
		b.stop()
		<-b.stopped
		b.t.release(ctx)
	})
}

// release gives back the Lease if this node holds it. Where the API does not
// answer, the Lease ends by itself.
func (t *JoinTask) release(ctx context.Context) {
	t.made.way = true
	_ = wait.For(context.WithoutCancel(ctx), lastCall, wait.Condition{
		What: "the next node may add its etcd member",
		Check: func(ctx context.Context) (bool, string, error) {
			l := lease()
			err := t.API.Get(ctx, l)
			if apierrors.IsNotFound(err) || err == nil && holderOf(l) != t.NodeName {
				return true, "", nil
			}
			if err != nil {
				return again(err)
			}
			l.Spec = coordinationv1.LeaseSpec{}
			if err := t.API.Update(ctx, l); err != nil {
				return again(err)
			}
			return true, "", nil
		},
	})
}

// holds says whether this node is known to hold the Lease.
func (t *JoinTask) holds(ctx context.Context) bool {
	l := lease()
	return t.API.Get(ctx, l) == nil && holderOf(l) == t.NodeName
}

// sign makes this node the holder from now on.
func (t *JoinTask) sign(l *coordinationv1.Lease) {
	now, lasts := metav1.NewMicroTime(t.now()), int32(leaseLasts/time.Second)
	l.Spec.HolderIdentity, l.Spec.LeaseDurationSeconds, l.Spec.RenewTime = &t.NodeName, &lasts, &now
}

func lease() *coordinationv1.Lease {
	return &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: leaseNamespace, Name: leaseName}}
}

func holderOf(l *coordinationv1.Lease) string {
	if l.Spec.HolderIdentity == nil {
		return ""
	}
	return *l.Spec.HolderIdentity
}

func (t *JoinTask) stuckQueue(holder string, limit time.Duration) error {
	return &phases.Fault{
		What: fmt.Sprintf("%s has been adding its etcd member for more than %s", holder, limit),
		Fixes: []string{
			"see how the join on " + holder + " goes, or end it, " + joinAgain,
			fmt.Sprintf("if none runs there: kubectl -n %s delete lease %s, %s", leaseNamespace, leaseName, joinAgain),
		},
		Exit: phases.CodeTimeout,
	}
}
