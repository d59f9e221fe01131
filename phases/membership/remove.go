package membership

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/hactl/hactl/etcd"
	"github.com/hactl/hactl/phases/wait"
)

// Removal is a member that is to go.
type Removal struct {
	ID uint64
	// What names the end of the wait for people: "etcd takes out …".
	What  string
	Limit time.Duration
}

// Remove takes a member out, as often as it takes, and returns when those that
// remain say that it is gone: the removal of a leader ends its term, so it may
// take a second try. One that is not there is no error. It returns
// etcd.ErrQuorum and etcd.ErrLastVoter at once, and a *wait.TimeoutError after
// the limit.
func Remove(ctx context.Context, c etcd.Cluster, r Removal) error {
	return wait.For(ctx, r.Limit, wait.Condition{
		What: r.What, LimitName: limitEtcd,
		Check: func(ctx context.Context) (bool, string, error) {
			err := c.Remove(ctx, r.ID)
			var members []etcd.Member
			if err == nil {
				members, err = c.Members(ctx)
			}
			if etcd.Transient(err) {
				return false, err.Error(), nil
			}
			gone := !slices.ContainsFunc(members, func(m etcd.Member) bool { return m.ID == r.ID })
			return err == nil && gone, "it is still listed", err
		},
	})
}

// TakeBack removes this machine's member as long as it has no vote, and what
// it wrote. A voting member stays, since to remove it is a decision about the
// cluster: the error says so. A member that another machine has started stays
// without an error.
func (j *Join) TakeBack(ctx context.Context) error {
	members, err := j.cluster.Members(ctx)
	if err != nil {
		return j.own.Left(err)
	}
	i := slices.IndexFunc(members, j.own.Is)
	if i < 0 {
		return nil
	}
	own := members[i]
	if !own.Learner {
		return fmt.Errorf("etcd member %s has its vote and stays; run the same join again to go on, or take it out: %s",
			j.own.Name, j.own.Words.Leave)
	}
	data, err := j.own.Owner(ctx)
	if err != nil {
		return err
	}
	if own.Started() && (data == nil || data.Member != own.ID) {
		return nil // another machine's
	}
	// It ends and its log goes before it is removed: whenever this is
	// interrupted, what is left is a member to go on with, and never data that
	// belongs to no member.
	if err := j.own.Machine.Halt(ctx); err != nil {
		return err
	}
	if err := j.own.Files.RemoveAll(ctx, j.own.LogDir); err != nil {
		return err
	}
	if err := j.cluster.Remove(ctx, own.ID); err != nil {
		return j.own.Left(err)
	}
	return j.own.sweep(ctx)
}

// Left says that a learner could not be taken back, and what becomes of it.
func (m *Member) Left(err error) error {
	return fmt.Errorf("etcd still lists the learner %s, which the same join goes on with; to take it out: %s: %w",
		m.PeerURL(), m.Words.Leave, err)
}
