package etcdhost

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
)

// undoJoin takes back this host's member as long as it has no vote. A voting
// member stays: to remove it is a decision about the cluster.
func undoJoin(ctx context.Context, t *Task) (err error) {
	if !t.made.begun {
		return nil
	}
	j, hangUp, err := t.connect(ctx)
	if err != nil {
		return t.left(err)
	}
	defer func() { err = errors.Join(err, hangUp()) }()
	members, err := j.cluster.Members(ctx)
	if err != nil {
		return t.left(err)
	}
	i := slices.IndexFunc(members, t.isOwn)
	if i < 0 {
		return nil
	}
	own := members[i]
	if !own.Learner {
		return fmt.Errorf("etcd member %s has its vote and stays; run the same join again to go on, or on another host, to take it out: %s", t.Name, removal(own))
	}
	data, err := t.owner(ctx)
	if err != nil {
		return err
	}
	if own.Started() && (data == nil || data.Member != own.ID) {
		return nil // another machine's
	}
	// The member ends and its log goes before it is removed: whenever this is
	// interrupted, what is left is a member to go on with, and never data
	// that belongs to no member.
	if err := t.halt(ctx); err != nil {
		return err
	}
	if err := t.Host.RemoveAll(ctx, t.walDir()); err != nil {
		return err
	}
	if err := j.cluster.Remove(ctx, own.ID); err != nil {
		return t.left(err)
	}
	return t.sweep(ctx)
}

// sweep removes what else etcd wrote, and the data directory if this run made
// it.
func (t *Task) sweep(ctx context.Context) error {
	dir := t.DataDir
	if !t.made.dir {
		dir = path.Join(dir, "member")
	}
	return t.Host.RemoveAll(ctx, dir)
}

func (t *Task) left(err error) error {
	return fmt.Errorf("etcd still lists the learner %s, which the same join goes on with: %w", t.PeerURL(), err)
}
