package etcd

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/connectivity"
)

// Config says which cluster a Client talks to.
type Config struct {
	// Endpoints are client URLs of some members, https://host:2379; at least
	// one. The Client finds the others by itself.
	Endpoints []string
	// TLS is for https URLs; nil if there are none.
	TLS *tls.Config
	// Limit is the longest time that one method may take; zero means 10 s.
	// Health takes two seconds at most, whatever the limit.
	Limit time.Duration
}

const (
	defaultLimit = 10 * time.Second
	// patience is how long Health waits for a member.
	patience = 2 * time.Second
)

var errClosed = errors.New("the etcd client is closed")

// errLimit is the cause of a context that ended by the Client's own limit.
var errLimit = errors.New("limit")

// Client is a real Cluster. It keeps one connection to each member, so a dead
// one delays nothing while another answers.
type Client struct {
	etcd  *clientv3.Client
	limit time.Duration

	mu      sync.Mutex
	given   []string           // the endpoints of the Config
	members map[string]*member // by URL; nil after Close
	found   []string           // client URLs of the last member list
}

var _ Cluster = (*Client)(nil)

// member is the connection to one client URL.
type member struct {
	url  string
	conn *grpc.ClientConn
	// Those of clientv3 over one connection neither retry nor wait for a
	// member to come back: an answer, or why there is none, comes at once.
	cluster     clientv3.Cluster
	maintenance clientv3.Maintenance
}

// connected says whether the other side has completed the handshake.
func (m *member) connected() bool { return m.conn.GetState() == connectivity.Ready }

// Dial returns a Client. It contacts nobody; the caller closes the Client.
func Dial(c Config) (*Client, error) {
	if len(c.Endpoints) == 0 {
		return nil, errors.New("etcd: no endpoint")
	}
	etcd, err := clientv3.New(clientv3.Config{
		Endpoints:       c.Endpoints,
		TLS:             c.TLS,
		Logger:          zap.NewNop(),
		MaxUnaryRetries: 1, // one try
		DialOptions: []grpc.DialOption{
			grpc.WithNoProxy(),
			// A member that comes back is seen within a quarter of a second.
			grpc.WithConnectParams(grpc.ConnectParams{
				Backoff:           backoff.Config{BaseDelay: 20 * time.Millisecond, Multiplier: 2, Jitter: 0.2, MaxDelay: 250 * time.Millisecond},
				MinConnectTimeout: patience,
			}),
		},
	})
	if err != nil {
		return nil, fmt.Errorf("etcd client: %w", err)
	}
	return &Client{
		etcd: etcd, limit: cmp.Or(c.Limit, defaultLimit),
		given: slices.Clone(c.Endpoints), members: map[string]*member{},
	}, nil
}

// Close ends all connections. Calls that run end with an error, and so do
// later ones. A second Close does nothing.
func (c *Client) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.members == nil {
		return nil
	}
	errs := []error{c.etcd.Close()}
	for _, m := range c.members {
		errs = append(errs, m.conn.Close())
	}
	c.members = nil
	return errors.Join(errs...)
}

// at returns the connection to a URL.
func (c *Client) at(url string) (*member, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.members == nil {
		return nil, errClosed
	}
	if m := c.members[url]; m != nil {
		return m, nil
	}
	conn, err := c.etcd.Dial(url)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrUnreachable, url, err)
	}
	m := &member{
		url: url, conn: conn,
		cluster:     clientv3.NewClusterFromClusterClient(pb.NewClusterClient(conn), nil),
		maintenance: clientv3.NewMaintenanceFromMaintenanceClient(pb.NewMaintenanceClient(conn), nil),
	}
	c.members[url] = m
	return m, nil
}

// urls are all client URLs known now, each once.
func (c *Client) urls() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return unique(slices.Concat(c.given, c.found))
}

// learn remembers where the members of a new list are.
func (c *Client) learn(list []Member) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.found = nil
	for _, m := range list {
		c.found = append(c.found, m.ClientURLs...)
	}
}

// forget asks the URLs of a removed member no more, until a list has them.
func (c *Client) forget(urls []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	dead := func(url string) bool { return slices.Contains(urls, url) }
	c.given, c.found = slices.DeleteFunc(c.given, dead), slices.DeleteFunc(c.found, dead)
}

func (c *Client) bounded(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, limit, errLimit)
}

// Members is that of Cluster.
func (c *Client) Members(ctx context.Context) ([]Member, error) {
	ctx, cancel := c.bounded(ctx, c.limit)
	defer cancel()
	_, list, err := c.list(ctx)
	return list, err
}

// listed is what one member says the members are.
type listed struct {
	from *member
	list []Member
	err  error
}

// list asks all members at once for a linearizable list and takes the first.
// The member that gave it votes, answers and has a quorum.
func (c *Client) list(ctx context.Context) (*member, []Member, error) {
	if ctx.Err() != nil {
		return nil, nil, context.Cause(ctx)
	}
	inner, cancel := context.WithCancelCause(ctx)
	defer cancel(errLimit)
	urls := c.urls()
	answers := make(chan listed, len(urls))
	for _, url := range urls {
		go func() { answers <- c.listAt(inner, url) }()
	}
	var errs []error
	for range urls {
		a := <-answers
		if a.err == nil {
			c.learn(a.list)
			return a.from, a.list, nil
		}
		errs = append(errs, a.err)
	}
	return nil, nil, worst(errs)
}

// listAt asks one member for a linearizable list.
func (c *Client) listAt(ctx context.Context, url string) listed {
	m, err := c.at(url)
	if err != nil {
		return listed{err: err}
	}
	r, err := m.cluster.MemberList(ctx)
	if err != nil {
		return listed{err: translate(ctx, m, err)}
	}
	return listed{from: m, list: convert(r.Members)}
}

// HashKV returns a hash over all keys and values at the endpoint up to the
// revision (zero: its latest), and the revision that was hashed. Members that
// return other hashes for one revision have diverged. Only voting members
// answer; the error is ErrUnreachable if the endpoint does not.
func (c *Client) HashKV(ctx context.Context, endpoint string, revision int64) (uint32, int64, error) {
	ctx, cancel := c.bounded(ctx, c.limit)
	defer cancel()
	m, err := c.at(endpoint)
	if err != nil {
		return 0, 0, err
	}
	r, err := m.maintenance.HashKV(ctx, endpoint, revision)
	if err != nil {
		return 0, 0, translate(ctx, m, err)
	}
	return r.Hash, r.HashRevision, nil
}

// Endpoints are the client URLs of the members that vote and have started, in
// the members' order, each once. Learners answer nearly nothing, so a client
// of the cluster must not be sent there.
func Endpoints(members []Member) []string {
	var urls []string
	for _, m := range members {
		if !m.Learner {
			urls = append(urls, m.ClientURLs...)
		}
	}
	return unique(urls)
}

func unique(all []string) []string {
	var once []string
	for _, s := range all {
		if !slices.Contains(once, s) {
			once = append(once, s)
		}
	}
	return once
}

// convert returns the members ordered by name, those without by id.
func convert(list []*pb.Member) []Member {
	var members []Member
	for _, m := range list {
		members = append(members, Member{
			ID: m.ID, Name: m.Name, Learner: m.IsLearner,
			PeerURLs: slices.Clone(m.PeerURLs), ClientURLs: slices.Clone(m.ClientURLs),
		})
	}
	slices.SortFunc(members, byName)
	return members
}

func byName(a, b Member) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID)) }
