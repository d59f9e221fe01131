package etcd

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/types"
)

// Memory is a Cluster in memory, for tests. It behaves as etcd does: a test
// starts and kills its members and says when a learner is in sync.
type Memory struct {
	mu       sync.Mutex
	members  []*process
	learners int           // how many there may be
	settle   time.Duration // how long until a member counts as connected
	ids      uint64
	index    uint64 // of the raft log
	hook     func(Method) error
}

// Method names a method of Cluster.
type Method string

// The methods.
const (
	MethodMembers    Method = "Members"
	MethodHealth     Method = "Health"
	MethodServes     Method = "Serves"
	MethodAddLearner Method = "AddLearner"
	MethodPromote    Method = "Promote"
	MethodRemove     Method = "Remove"
)

// process is a member and what a test has made of it.
type process struct {
	Member
	alive, synced bool
	since         time.Time // when it last started
	edit          func(*MemberHealth)
}

// healthInterval is how long a member must run until etcd counts it as
// connected (etcd v3.7, etcdserver.HealthInterval).
const healthInterval = 5 * time.Second

var _ Cluster = (*Memory)(nil)

// NewMemory returns a cluster with one voting member, which runs.
func NewMemory(name, peerURL string) *Memory {
	m := &Memory{learners: 1, settle: healthInterval, index: 4}
	m.append(name, peerURL)
	return m
}

// Join adds a voting member that has been running and connected for long, as
// if it had been there from the start.
func (m *Memory) Join(name, peerURL string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.append(name, peerURL)
}

// append adds a voting member; the caller holds mu, or is alone.
func (m *Memory) append(name, peerURL string) {
	m.ids++
	m.members = append(m.members, &process{
		Member: Member{ID: id(m.ids), Name: name, PeerURLs: []string{peerURL}, ClientURLs: []string{clientURL(peerURL)}},
		alive:  true, synced: true,
	})
}

// id makes of a number one that looks like etcd's, in the same order.
func id(n uint64) uint64 { return 0x8e9e05c52164694c + n<<32 }

// clientURL is where a member listens for clients, if peerURL is where it
// listens for peers, as on a kubeadm node.
func clientURL(peerURL string) string {
	u, err := url.Parse(peerURL)
	if err != nil || u.Port() != "2380" {
		return peerURL + "/client"
	}
	u.Host = strings.TrimSuffix(u.Host, "2380") + "2379"
	return u.String()
}

// MaxLearners sets how many learners there may be at a time; 1 at first, as
// etcd's --max-learners.
func (m *Memory) MaxLearners(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.learners = n
}

// Settle sets how long a member must run to count as connected: 5 s at first,
// as in etcd. Use synctest or set it to zero.
func (m *Memory) Settle(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.settle = d
}

// Intercept makes f run before each call; an error of f is the call's error.
// A second Intercept replaces the first. f may call the methods that only
// Memory has.
func (m *Memory) Intercept(f func(Method) error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.hook = f
}

// Start runs the member with that peer URL, for the first time or after Kill.
// It returns ErrNotFound if it was not added or was removed.
func (m *Memory) Start(peerURL, name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range m.members {
		if p.HasPeer(peerURL) {
			p.Name, p.ClientURLs = name, []string{clientURL(peerURL)}
			p.alive, p.since = true, time.Now()
			return nil
		}
	}
	return fmt.Errorf("start etcd member %s: %w", name, ErrNotFound)
}

// Kill stops a member; it stays in the list. It returns ErrNotFound if none
// has that name.
func (m *Memory) Kill(name string) error {
	return m.change(name, func(p *process) { p.alive = false })
}

// Sync brings a started learner level with the leader, so that it may be
// promoted. It returns ErrNotFound if none has that name.
func (m *Memory) Sync(name string) error {
	return m.change(name, func(p *process) { p.synced = true })
}

// Edit makes f change what the member says of itself in each report: its
// version, size, alarms. It returns ErrNotFound if none has that name.
func (m *Memory) Edit(name string, f func(*MemberHealth)) error {
	return m.change(name, func(p *process) { p.edit = f })
}

func (m *Memory) change(name string, f func(*process)) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range m.members {
		if p.Name == name && name != "" {
			f(p)
			return nil
		}
	}
	return fmt.Errorf("etcd member %q: %w", name, ErrNotFound)
}

// begin does what comes before each call, and takes mu if it returns nil.
func (m *Memory) begin(ctx context.Context, method Method) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	m.mu.Lock()
	hook := m.hook
	m.mu.Unlock()
	if hook != nil {
		if err := hook(method); err != nil {
			return err
		}
	}
	m.mu.Lock()
	report := m.report()
	_, healthy := report.Voters()
	switch {
	case healthy == 0:
		m.mu.Unlock()
		return ErrUnreachable
	case method != MethodHealth && method != MethodServes && !report.HasQuorum():
		m.mu.Unlock()
		return ErrNoQuorum
	}
	return nil
}

// Members is that of Cluster.
func (m *Memory) Members(ctx context.Context) ([]Member, error) {
	if err := m.begin(ctx, MethodMembers); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	var list []Member
	for _, p := range m.report().Members {
		list = append(list, p.Member)
	}
	return list, nil
}

// Health is that of Cluster.
func (m *Memory) Health(ctx context.Context) (Report, error) {
	if err := m.begin(ctx, MethodHealth); err != nil {
		return Report{}, err
	}
	defer m.mu.Unlock()
	return m.report(), nil
}

// Serves is that of Cluster.
func (m *Memory) Serves(ctx context.Context, clientURL string) error {
	if err := m.begin(ctx, MethodServes); err != nil {
		return err
	}
	defer m.mu.Unlock()
	for _, h := range m.report().Members {
		if h.Err == nil && slices.Contains(h.ClientURLs, clientURL) {
			return nil
		}
	}
	return fmt.Errorf("%w: %s: connection refused", ErrUnreachable, clientURL)
}

// report is what Health returns; the caller holds mu.
func (m *Memory) report() Report {
	r := Report{ClusterID: 0xcdf818194e3a8c32}
	led := false
	for _, p := range m.members {
		h := MemberHealth{Member: p.copied()}
		switch {
		case !p.Started():
			h.Err = ErrNotStarted
		case !p.alive:
			h.Err = fmt.Errorf("%w: %s: connection refused", ErrUnreachable, p.ClientURLs[0])
		default:
			m.describe(&h, p)
			h.Leader = !led && !p.Learner
			led = led || h.Leader
		}
		r.Members = append(r.Members, h)
	}
	if !r.HasQuorum() { // then nobody leads
		for i := range r.Members {
			r.Members[i].Leader = false
		}
	}
	slices.SortFunc(r.Members, func(a, b MemberHealth) int { return byName(a.Member, b.Member) })
	return r
}

// describe fills in what a member that answers says of itself.
func (m *Memory) describe(h *MemberHealth, p *process) {
	h.Version, h.Term, h.Applied = "3.7.3", 2, m.index
	h.Size, h.InUse, h.Latency = 20480, 16384, time.Millisecond
	if !p.synced {
		h.Applied, h.Lag = 0, m.index
	}
	if p.edit != nil {
		p.edit(h)
	}
}

// copied shares no slice with the cluster.
func (m Member) copied() Member {
	m.PeerURLs, m.ClientURLs = slices.Clone(m.PeerURLs), slices.Clone(m.ClientURLs)
	return m
}

// voting counts the voting members, and those that are connected.
func (m *Memory) voting() (all, connected int) {
	for _, p := range m.members {
		if p.Learner {
			continue
		}
		all++
		if p.alive && time.Since(p.since) >= m.settle {
			connected++
		}
	}
	return all, connected
}

// AddLearner is that of Cluster.
func (m *Memory) AddLearner(ctx context.Context, peerURL string) (Member, error) {
	if err := m.begin(ctx, MethodAddLearner); err != nil {
		return Member{}, err
	}
	defer m.mu.Unlock()
	learners := 0
	for _, p := range m.members {
		if p.HasPeer(peerURL) {
			return p.copied(), nil
		}
		if p.Learner {
			learners++
		}
	}
	if _, err := types.NewURLs([]string{peerURL}); err != nil {
		return Member{}, err
	}
	if all, connected := m.voting(); all > 1 && connected < Quorum(all+1) {
		return Member{}, fmt.Errorf("add etcd learner %s: %w", peerURL, ErrNotConnected)
	}
	if learners >= m.learners {
		return Member{}, fmt.Errorf("add etcd learner %s: %w", peerURL, ErrTooManyLearners)
	}
	m.ids++
	m.index++
	p := &process{Member: Member{ID: id(m.ids), PeerURLs: []string{peerURL}, Learner: true}}
	m.members = append(m.members, p)
	return p.copied(), nil
}

// Promote is that of Cluster.
func (m *Memory) Promote(ctx context.Context, id uint64) error {
	if err := m.begin(ctx, MethodPromote); err != nil {
		return err
	}
	defer m.mu.Unlock()
	for _, p := range m.members {
		if p.ID != id {
			continue
		}
		if p.Learner && !p.synced {
			return fmt.Errorf("promote etcd member %x: %w", id, ErrNotReady)
		}
		p.Learner = false
		m.index++
		return nil
	}
	return fmt.Errorf("promote etcd member %x: %w", id, ErrNotFound)
}

// Remove is that of Cluster.
func (m *Memory) Remove(ctx context.Context, id uint64) error {
	if err := m.begin(ctx, MethodRemove); err != nil {
		return err
	}
	defer m.mu.Unlock()
	i := slices.IndexFunc(m.members, func(p *process) bool { return p.ID == id })
	if i < 0 {
		return nil
	}
	if err := m.report().MayRemove(id); err != nil {
		return fmt.Errorf("remove etcd member %x: %w", id, err)
	}
	p := m.members[i]
	if all, connected := m.voting(); !p.Learner && p.alive && connected-1 < Quorum(all-1) {
		return fmt.Errorf("remove etcd member %x: %w", id, ErrNotConnected)
	}
	m.members = slices.Delete(m.members, i, i+1)
	m.index++
	return nil
}
