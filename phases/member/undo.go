package member

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
)

// undoJoin takes back this node's member as long as it has no vote. A voting
// member stays: to remove it is a decision about the cluster.
func undoJoin(ctx context.Context, t *JoinTask) (err error) {
	if len(t.made.endpoints) == 0 {
		return nil
	}
	cluster, hangUp, err := t.Etcd(ctx, t.made.endpoints)
	if err != nil {
		return t.left(err)
	}
	defer func() { err = errors.Join(err, hangUp()) }()
	members, err := cluster.Members(ctx)
	if err != nil {
		return t.left(err)
	}
	i := slices.IndexFunc(members, t.isOwn)
	if i < 0 {
		return nil
	}
	own := members[i]
	if !own.Learner {
		return fmt.Errorf("etcd member %s has its vote and stays; run the same join again to go on, or hactl reset to take it out", t.NodeName)
	}
	data, err := t.owner(ctx)
	if err != nil {
		return err
	}
	if own.Started() && (data == nil || data.Member != own.ID) {
		return nil // another machine's
	}
	if err := t.clear(ctx); err != nil {
		return err
	}
	if err := cluster.Remove(ctx, own.ID); err != nil {
		return t.left(err)
	}
	return t.sweep(ctx)
}

// clear removes the manifest and then the log, before the member is removed:
// whenever it is interrupted, what is left is a member to go on with, and
// never data that belongs to no member.
func (t *JoinTask) clear(ctx context.Context) error {
	if err := t.vacate(ctx); err != nil {
		return err
	}
	return t.Files.RemoveAll(ctx, t.walDir())
}

// sweep removes what else etcd wrote, and the data directory if this run
// made it.
func (t *JoinTask) sweep(ctx context.Context) error {
	dir := t.Cluster.Etcd.Local.DataDir
	if !t.made.dir {
		dir = path.Join(dir, "member")
	}
	return t.Files.RemoveAll(ctx, dir)
}

func (t *JoinTask) left(err error) error {
	return fmt.Errorf("etcd still lists the learner %s, which the same join goes on with and hactl reset removes: %w", t.peerURL(), err)
}
