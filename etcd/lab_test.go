package etcd_test

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"

	"github.com/hactl/hactl/etcd"
	"github.com/hactl/hactl/etcd/etcdtest"
)

// lab is a cluster of real members in this process. Each lab has loopback
// addresses of its own, so that a stopped member's ports stay free.
type lab struct {
	t       *testing.T
	dir     string
	prefix  string // "127.31.7."
	running map[string]*embed.Etcd
	// adjust changes a member's settings before it starts; nil for none.
	adjust func(*embed.Config)
}

var labs atomic.Int32

// newLab starts members m1, m2, … as one cluster.
func newLab(t *testing.T, members int, adjust func(*embed.Config)) *lab {
	t.Helper()
	l := &lab{
		t: t, dir: t.TempDir(), running: map[string]*embed.Etcd{}, adjust: adjust,
		prefix: fmt.Sprintf("127.%d.%d.", 16+os.Getpid()%200, labs.Add(1)),
	}
	t.Cleanup(func() {
		var all sync.WaitGroup
		for _, e := range l.running {
			all.Go(func() { stop(e) })
		}
		all.Wait()
	})
	initial := ""
	for i := range members {
		initial += fmt.Sprintf(",m%d=%s", i+1, l.peer(fmt.Sprintf("m%d", i+1)))
	}
	var started []*embed.Etcd
	for i := range members {
		started = append(started, l.launch(l.config(fmt.Sprintf("m%d", i+1), initial[1:], embed.ClusterStateFlagNew)))
	}
	for _, e := range started {
		l.ready(e)
	}
	return l
}

func (l *lab) peer(name string) string   { return "http://" + l.prefix + name[1:] + ":2380" }
func (l *lab) client(name string) string { return "http://" + l.prefix + name[1:] + ":2379" }

func (l *lab) config(name, initial, state string) *embed.Config {
	parse := func(s string) url.URL {
		u, err := url.Parse(s)
		check(l.t, err)
		return *u
	}
	c := embed.NewConfig()
	c.Name, c.Dir = name, filepath.Join(l.dir, name)
	c.ListenPeerUrls = []url.URL{parse(l.peer(name))}
	c.AdvertisePeerUrls = c.ListenPeerUrls
	c.ListenClientUrls = []url.URL{parse(l.client(name))}
	c.AdvertiseClientUrls = c.ListenClientUrls
	c.InitialCluster, c.ClusterState = initial, state
	c.TickMs, c.ElectionMs = 20, 200
	c.UnsafeNoFsync = true
	c.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.NewNop())
	if l.adjust != nil {
		l.adjust(c)
	}
	return c
}

func (l *lab) launch(c *embed.Config) *embed.Etcd {
	l.t.Helper()
	e, err := embed.StartEtcd(c)
	check(l.t, err)
	l.running[c.Name] = e
	return e
}

func (l *lab) ready(e *embed.Etcd) {
	l.t.Helper()
	select {
	case <-e.Server.ReadyNotify():
	case <-time.After(20 * time.Second):
		l.t.Fatalf("etcd member %s does not get ready", e.Config().Name)
	}
}

// start runs an added member, or one that was killed, and returns when it
// answers.
func (l *lab) start(c etcd.Cluster, name string) {
	l.t.Helper()
	l.launch(l.joining(c, name))
	l.until(name+" answers", func() bool { return l.health(c, name).Err == nil })
}

// joining is how an added member is started.
func (l *lab) joining(c etcd.Cluster, name string) *embed.Config {
	l.t.Helper()
	report, err := c.Health(l.t.Context())
	check(l.t, err)
	initial := name + "=" + l.peer(name)
	for _, m := range report.Members {
		if !m.HasPeer(l.peer(name)) {
			// All must be named, those that have not started by any name.
			initial += fmt.Sprintf(",%x=%s", m.ID, m.PeerURLs[0])
		}
	}
	return l.config(name, initial, embed.ClusterStateFlagExisting)
}

func (l *lab) kill(name string) {
	stop(l.running[name])
	delete(l.running, name)
}

// stop ends a member as a crash would: it hands no leadership over.
func stop(e *embed.Etcd) {
	e.Server.HardStop()
	e.Close()
}

// health is what the member says of itself.
func (l *lab) health(c etcd.Cluster, name string) etcd.MemberHealth {
	l.t.Helper()
	r, err := c.Health(l.t.Context())
	check(l.t, err)
	for _, m := range r.Members {
		if m.Name == name {
			return m
		}
	}
	return etcd.MemberHealth{Err: etcd.ErrNotStarted}
}

// until returns when done says so; it asks every 20 ms.
func (l *lab) until(what string, done func() bool) {
	l.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(15 * time.Second)
	for !done() {
		select {
		case <-tick.C:
		case <-limit:
			l.t.Fatalf("not in 15 s: %s", what)
		}
	}
}

// dial returns a Client that knows the endpoints only.
func (l *lab) dial(endpoints ...string) *etcd.Client {
	l.t.Helper()
	c, err := etcd.Dial(etcd.Config{Endpoints: endpoints, Limit: 2 * time.Second})
	check(l.t, err)
	l.t.Cleanup(func() { check(l.t, c.Close()) })
	return c
}

// world is the lab as the conformance suite wants it.
func (l *lab) world() etcdtest.World {
	c := l.dial(l.client("m1"))
	started := time.Now()
	return etcdtest.World{
		Cluster: c,
		Peer:    l.peer,
		Start:   func(name string) { l.start(c, name); started = time.Now() },
		Sync: func(name string) {
			l.until(name+" is in sync", func() bool { m := l.health(c, name); return m.Err == nil && m.Lag == 0 })
		},
		Kill: func(name string) { l.kill(name); l.leader(c) },
		Settle: func() {
			l.until("all are connected", func() bool { return time.Since(started) > 5500*time.Millisecond })
		},
	}
}

// leader returns when somebody leads or nobody can.
func (l *lab) leader(c etcd.Cluster) {
	l.until("a leader", func() bool {
		r, err := c.Health(l.t.Context())
		if err != nil || !r.HasQuorum() {
			return true
		}
		for _, m := range r.Members {
			if m.Leader && m.Err == nil {
				return true
			}
		}
		return false
	})
}

func TestClient(t *testing.T) {
	etcdtest.Run(t, func(t *testing.T, members int) etcdtest.World {
		l := newLab(t, members, nil)
		w := l.world()
		_, err := w.Cluster.Members(t.Context()) // it learns of the others
		check(t, err)
		return w
	})
}
