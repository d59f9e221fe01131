package etcd

import (
	"context"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// Store is an etcd cluster as somebody sees it who is about to use it. All
// methods may be called at the same time; none retries or changes anything.
type Store interface {
	// Probe asks one endpoint, and only that one, what it is. It takes two
	// seconds at most. The error is ErrUnreachable if it does not answer,
	// which includes that it does not accept the certificate, or that its own
	// is not trusted.
	Probe(ctx context.Context, endpoint string) (Probed, error)
	// Count returns how many keys begin with prefix. It is a linearizable
	// read: without quorum the error is ErrNoQuorum.
	Count(ctx context.Context, prefix string) (int64, error)
	// Read returns the value of a key, and whether there is one. It is a
	// linearizable read.
	Read(ctx context.Context, key string) (value []byte, found bool, err error)
}

// Probed is what an endpoint says of itself.
type Probed struct {
	ClusterID, MemberID uint64
	Version             string // "3.7.0"
	Learner             bool
	// HasLeader is false while the member knows of no leader.
	HasLeader bool
	Alarms    []string // "NOSPACE", "CORRUPT"
	// Latency is how long an answer takes over a connection that is there.
	Latency time.Duration
}

var _ Store = (*Client)(nil)

// Probe is that of Store.
func (c *Client) Probe(ctx context.Context, endpoint string) (Probed, error) {
	if ctx.Err() != nil {
		return Probed{}, context.Cause(ctx)
	}
	ctx, cancel := c.bounded(ctx, min(patience, c.limit))
	defer cancel()
	a := c.ask(ctx, endpoint)
	if a.err != nil {
		return Probed{}, a.err
	}
	began := time.Now()
	s, err := a.member.maintenance.Status(ctx, endpoint)
	if err != nil {
		return Probed{}, translate(ctx, a.member, err)
	}
	return Probed{
		ClusterID: s.Header.ClusterId, MemberID: s.Header.MemberId, Version: s.Version, Learner: s.IsLearner,
		HasLeader: s.Leader != 0, Alarms: alarms(s.Header.MemberId, s.Errors), Latency: time.Since(began),
	}, nil
}

// Count is that of Store.
func (c *Client) Count(ctx context.Context, prefix string) (int64, error) {
	r, err := c.get(ctx, prefix, clientv3.WithPrefix(), clientv3.WithCountOnly())
	if err != nil {
		return 0, err
	}
	return r.Count, nil
}

// Read is that of Store.
func (c *Client) Read(ctx context.Context, key string) ([]byte, bool, error) {
	r, err := c.get(ctx, key)
	if err != nil || len(r.Kvs) == 0 {
		return nil, false, err
	}
	return r.Kvs[0].Value, true, nil
}

// get asks a member that has just shown that it has a quorum.
func (c *Client) get(ctx context.Context, key string, options ...clientv3.OpOption) (*clientv3.GetResponse, error) {
	ctx, cancel := c.bounded(ctx, c.limit)
	defer cancel()
	at, _, err := c.list(ctx)
	if err != nil {
		return nil, err
	}
	r, err := clientv3.NewKVFromKVClient(pb.NewKVClient(at.conn), nil).Get(ctx, key, options...)
	if err != nil {
		return nil, translate(ctx, at, err)
	}
	return r, nil
}
