package etcd

import (
	"context"
	"fmt"
	"slices"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
)

// AddLearner is that of Cluster.
func (c *Client) AddLearner(ctx context.Context, peerURL string) (Member, error) {
	ctx, cancel := c.bounded(ctx, c.limit)
	defer cancel()
	at, list, err := c.list(ctx)
	if err != nil {
		return Member{}, err
	}
	if m, ok := withPeer(list, peerURL); ok {
		return m, nil
	}
	r, err := at.cluster.MemberAddAsLearner(ctx, []string{peerURL})
	if is(err, rpctypes.ErrPeerURLExist) {
		return c.addedByAnother(ctx, peerURL)
	}
	if is(err, rpctypes.ErrMemberNotFound) {
		// etcd makes the id of the URL and the second (NewMemberAsLearner).
		return Member{}, fmt.Errorf("add etcd learner %s: %w: one with that URL was added and removed this second", peerURL, ErrTooManyLearners)
	}
	if err != nil {
		return Member{}, fmt.Errorf("add etcd learner %s: %w", peerURL, translate(ctx, at, err))
	}
	return Member{ID: r.Member.ID, PeerURLs: slices.Clone(r.Member.PeerURLs), Learner: true}, nil
}

// addedByAnother finds the member that somebody added after our look.
func (c *Client) addedByAnother(ctx context.Context, peerURL string) (Member, error) {
	_, list, err := c.list(ctx)
	if err != nil {
		return Member{}, err
	}
	if m, ok := withPeer(list, peerURL); ok {
		return m, nil
	}
	return Member{}, fmt.Errorf("add etcd learner %s: it was added and removed by another at the same time", peerURL)
}

func withPeer(list []Member, peerURL string) (Member, bool) {
	i := slices.IndexFunc(list, func(m Member) bool { return m.HasPeer(peerURL) })
	if i < 0 {
		return Member{}, false
	}
	return list[i], true
}

func withID(list []Member, id uint64) (Member, bool) {
	i := slices.IndexFunc(list, func(m Member) bool { return m.ID == id })
	if i < 0 {
		return Member{}, false
	}
	return list[i], true
}

// Promote is that of Cluster.
func (c *Client) Promote(ctx context.Context, id uint64) error {
	ctx, cancel := c.bounded(ctx, c.limit)
	defer cancel()
	at, list, err := c.list(ctx)
	if err != nil {
		return err
	}
	m, ok := withID(list, id)
	if !ok {
		return fmt.Errorf("promote etcd member %x: %w", id, ErrNotFound)
	}
	if !m.Learner {
		return nil
	}
	_, err = at.cluster.MemberPromote(ctx, id)
	if err == nil || is(err, rpctypes.ErrMemberNotLearner) {
		return nil
	}
	return fmt.Errorf("promote etcd member %x: %w", id, translate(ctx, at, err))
}

// Remove is that of Cluster. It judges by a health report of its own: etcd's
// check alone lets the last voting members go.
func (c *Client) Remove(ctx context.Context, id uint64) error {
	ctx, cancel := c.bounded(ctx, c.limit)
	defer cancel()
	s, err := c.survey(ctx)
	if err != nil {
		return err
	}
	if !s.report.HasQuorum() {
		return fmt.Errorf("remove etcd member %x: %w", id, ErrNoQuorum)
	}
	_, list, err := c.list(ctx)
	if err != nil {
		return err
	}
	if _, ok := withID(list, id); !ok {
		return nil
	}
	if _, ok := s.report.Find(id); !ok {
		return fmt.Errorf("remove etcd member %x: it was added this moment: try again", id)
	}
	if err := s.report.MayRemove(id); err != nil {
		return fmt.Errorf("remove etcd member %x: %w", id, err)
	}
	return c.remove(ctx, s, id)
}

// remove is Remove after the checks.
func (c *Client) remove(ctx context.Context, s survey, id uint64) error {
	survivors := s.voters(id)
	if len(survivors) == 0 {
		return fmt.Errorf("remove etcd member %x: %w", id, ErrQuorum)
	}
	at := survivors[0]
	if m, _ := s.report.Find(id); m.Leader {
		// Without a leader the cluster would stand still for an election. If
		// it does not want to move, it has that election: no harm.
		_, _ = s.at[id].maintenance.MoveLeader(ctx, at.id)
	}
	_, err := at.cluster.MemberRemove(ctx, id)
	if err != nil && !is(err, rpctypes.ErrMemberNotFound) {
		return fmt.Errorf("remove etcd member %x: %w", id, translate(ctx, at.member, err))
	}
	gone, _ := s.report.Find(id)
	c.forget(append(s.urls[id], gone.ClientURLs...))
	all := 0
	for _, m := range s.report.Members {
		if !m.Learner && m.ID != id {
			all++
		}
	}
	return c.confirm(ctx, survivors, id, Quorum(all))
}

// confirm asks the survivors whether the member is gone; so many must say so.
func (c *Client) confirm(ctx context.Context, survivors []voter, id uint64, need int) error {
	answers := make(chan error, len(survivors))
	for _, v := range survivors {
		go func() { answers <- c.gone(ctx, v.url, id) }()
	}
	var errs []error
	for range survivors {
		err := <-answers
		if err == nil {
			need--
			continue
		}
		errs = append(errs, err)
	}
	if need <= 0 {
		return nil
	}
	return fmt.Errorf("etcd member %x was removed, and too few of the others confirm it: %w", id, worst(errs))
}

// gone returns nil if a linearizable list of the member at the URL does not
// have the id. It asks again at once if the leader changes meanwhile: etcd
// itself waits for the new one.
func (c *Client) gone(ctx context.Context, url string, id uint64) error {
	m, err := c.at(url)
	if err != nil {
		return err
	}
	for range 3 {
		r, failed := m.cluster.MemberList(ctx)
		if failed == nil {
			if _, ok := withID(convert(r.Members), id); ok {
				return fmt.Errorf("%s still lists it", url)
			}
			return nil
		}
		err = translate(ctx, m, failed)
		if !is(failed, rpctypes.ErrLeaderChanged) {
			break
		}
	}
	return err
}
