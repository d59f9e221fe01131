package membership_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hactl/hactl/etcd"
	"github.com/hactl/hactl/etcd/etcdtest"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/host"
	"github.com/hactl/hactl/phases/membership"
)

const (
	dataDir = "/srv/etcd"
	logDir  = dataDir + "/member/wal"
	segment = logDir + "/0000000000000000-0000000000000000.wal"
)

// box is a machine of the address 10.0.0.2, beside a cluster of etcd-1. Its
// etcd comes up a second after it was put there.
type box struct {
	*host.Memory
	t    *testing.T
	etcd *etcd.Memory

	mu       sync.Mutex
	told     []etcd.Initial
	has      bool
	made     bool
	idle     bool  // nothing is started
	crashed  error // what the machine tells of its member
	restarts int
}

func newBox(t *testing.T) *box {
	return &box{Memory: host.NewMemory(), t: t, etcd: etcd.NewMemory("etcd-1", peer(1))}
}

func peer(n int) string { return fmt.Sprintf("https://10.0.0.%d:2380", n) }

func (b *box) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

// member is this machine's, as a family describes it.
func (b *box) member() *membership.Member {
	m := &membership.Member{
		Name: "etcd-2", Address: netip.MustParseAddr("10.0.0.2"),
		Files: b, DataDir: dataDir, LogDir: logDir, MadeDataDir: b.made,
		Machine: membership.Machine{OnDisk: b.onDisk, Put: b.put, Halt: b.halt, Crashed: b.fails, Restart: b.restart},
		Words: membership.Words{
			Machine: "box", Peer: "other box", Again: "AGAIN", Remove: "REMOVE", Leave: "LEAVE",
			Address: "ADDRESS", Directory: "DIRECTORY", MakeRoom: []string{"MAKE ROOM"},
			Logs: []string{"LOGS"}, PeerLogs: "PEER LOGS", Reach: []string{"REACH"}, Lost: "LOST",
		},
	}
	m.Timeouts.Default()
	return m
}

func (b *box) join() *membership.Join {
	return b.member().Join(b.etcd, []string{"https://10.0.0.1:2379"})
}

func (b *box) onDisk(context.Context) (*etcd.Initial, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.has {
		return nil, nil
	}
	last := b.told[len(b.told)-1]
	return &last, nil
}

func (b *box) put(ctx context.Context, in etcd.Initial) error {
	if _, err := b.Stat(ctx, dataDir); errors.Is(err, fs.ErrNotExist) {
		b.made = true
		b.must(b.Mkdir(ctx, dataDir, 0o700))
	}
	b.mu.Lock()
	b.told, b.has = append(b.told, in), true
	idle := b.idle
	b.mu.Unlock()
	if !idle {
		time.AfterFunc(time.Second, func() { b.boot(in) })
	}
	return nil
}

func (b *box) halt(context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.has = false
	_ = b.etcd.Kill("etcd-2") // if it runs
	return nil
}

func (b *box) fails(context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.crashed
}

func (b *box) restart(context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.restarts++
	return nil
}

// boot is etcd.
func (b *box) boot(in etcd.Initial) {
	ctx := context.Background()
	if have, _ := b.onDisk(ctx); have == nil || *have != in {
		return // it was taken away, or told something else
	}
	members, err := b.etcd.Members(ctx)
	if err != nil {
		return
	}
	if _, err := b.Stat(ctx, segment); err != nil {
		if etcdtest.FirstStart(in.Cluster, members) != nil {
			return
		}
		i := slices.IndexFunc(members, func(m etcd.Member) bool { return m.HasPeer(peer(2)) })
		b.log(members[i].ID)
	}
	b.must(errors.Join(b.etcd.Start(peer(2), "etcd-2"), b.etcd.Sync("etcd-2")))
}

// log is a member's data.
func (b *box) log(id uint64) {
	b.must(b.WriteFile(context.Background(), segment, etcdtest.LogHead(id, etcdtest.MemoryClusterID), 0o600))
}

func (b *box) learner(n int) uint64 {
	b.t.Helper()
	m, err := b.etcd.AddLearner(b.t.Context(), peer(n))
	b.must(err)
	return m.ID
}

func (b *box) roles() string {
	b.t.Helper()
	list, err := b.etcd.Members(b.t.Context())
	b.must(err)
	return etcdtest.Roles(list)
}

// outcome is how a join ended and what it told.
type outcome struct {
	err    error
	before int
	told   []string
}

func (o outcome) tells(text string) bool { return strings.Contains(strings.Join(o.told, "\n"), text) }

// run joins as a family does.
func (b *box) run(ctx context.Context) (o outcome) {
	apply := func(ctx context.Context, _ *struct{}) error {
		j := b.join()
		v, err := j.Look(ctx)
		if err != nil {
			return err
		}
		c, err := j.Course(ctx, v)
		if err != nil {
			return err
		}
		if c == etcd.CourseAdd || c == etcd.CourseBegin {
			if err := j.Blocked(v); err != nil {
				return err
			}
		}
		j.WarnOfDead(ctx, v)
		id, err := j.Start(ctx, v, c)
		if err != nil {
			return err
		}
		o.before, err = j.Promote(ctx, id)
		return err
	}
	o.err = phases.Run(ctx, []phases.Phase[struct{}]{{Name: "join", Apply: apply}}, &struct{}{}, phases.Options{Notify: func(e phases.Event) {
		if e.Kind == phases.Progress || e.Kind == phases.Warning {
			o.told = append(o.told, e.Reason)
		}
	}})
	return o
}
