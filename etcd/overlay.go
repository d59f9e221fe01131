package etcd

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/types"
)

// Change is one change of membership that a dry run would have made.
type Change struct {
	Verb   string // "add learner", "promote", "remove"
	Member string // the name, or the peer URL of one that has none
}

// OverlayConfig says what an Overlay imagines. The zero value is for a dry
// run that starts no member.
type OverlayConfig struct {
	// Name, PeerURL and ClientURL are those of the member that the dry run
	// would start; all are empty if there is none.
	Name, PeerURL, ClientURL string
	// Started says whether what starts that member is written. It is asked
	// after AddLearner, until it says yes. Nil means never.
	Started func(context.Context) bool
	// Learners is how many learners etcd takes at a time, its --max-learners;
	// zero means 1, as in etcd.
	Learners int
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Overlay is a Cluster for dry runs: reads go to the base, changes stay in
// memory and are listed. Changes are refused as etcd would refuse them, with
// one exception: for how long the members of the base have been connected is
// not known, so a real run may have to wait some seconds more.
//
// A member that is added has not started. That of the OverlayConfig starts,
// in sync, when Started says so, even if it is in the base's list already
// and has never started there.
type Overlay struct {
	base Cluster
	c    OverlayConfig

	turn sync.Mutex // held from the look to the change

	mu       sync.Mutex
	added    []Member // as they were added
	ids      uint64   // how many were ever added
	removed  map[uint64]bool
	promoted map[uint64]bool
	own      uint64    // the ID of the member to start, zero before AddLearner
	began    time.Time // when that was first seen to have started, else zero
	changes  []Change
}

var _ Cluster = (*Overlay)(nil)

// NewOverlay returns an Overlay over base.
func NewOverlay(base Cluster, c OverlayConfig) *Overlay {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Started == nil {
		c.Started = func(context.Context) bool { return false }
	}
	c.Learners = cmp.Or(c.Learners, 1)
	return &Overlay{base: base, c: c, removed: map[uint64]bool{}, promoted: map[uint64]bool{}}
}

// Changes are those that were made, in order.
func (o *Overlay) Changes() []Change {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.changes)
}

// Members is that of Cluster.
func (o *Overlay) Members(ctx context.Context) ([]Member, error) {
	list, err := o.base.Members(ctx)
	if err != nil {
		return nil, err
	}
	o.look(ctx)
	o.mu.Lock()
	defer o.mu.Unlock()
	list = slices.DeleteFunc(slices.Clone(list), func(m Member) bool { return o.removed[m.ID] })
	for _, m := range o.added {
		list = append(list, m.copied())
	}
	for i := range list {
		list[i] = o.seen(list[i])
	}
	slices.SortFunc(list, byName)
	return list, nil
}

// Health is that of Cluster.
func (o *Overlay) Health(ctx context.Context) (Report, error) {
	base, err := o.base.Health(ctx)
	if err != nil {
		return base, err
	}
	o.look(ctx)
	o.mu.Lock()
	defer o.mu.Unlock()
	r, vacant := Report{ClusterID: base.ClusterID}, false
	for _, h := range base.Members {
		if o.removed[h.ID] {
			vacant = vacant || h.Leader
			continue
		}
		r.Members = append(r.Members, h)
	}
	for _, m := range o.added {
		r.Members = append(r.Members, MemberHealth{Member: m.copied(), Err: ErrNotStarted})
	}
	for i, h := range r.Members {
		m := o.seen(h.Member)
		if m.Started() && !h.Started() {
			h = inSync(base)
		}
		h.Member = m
		r.Members[i] = h
	}
	if vacant && r.HasQuorum() {
		r.elect()
	}
	slices.SortFunc(r.Members, func(a, b MemberHealth) int { return byName(a.Member, b.Member) })
	return r, nil
}

// Serves is that of Cluster.
func (o *Overlay) Serves(ctx context.Context, clientURL string) error {
	o.look(ctx)
	o.mu.Lock()
	own := !o.began.IsZero() && clientURL == o.c.ClientURL
	o.mu.Unlock()
	if own {
		return context.Cause(ctx)
	}
	return o.base.Serves(ctx, clientURL)
}

// look asks whether the member to start has started.
func (o *Overlay) look(ctx context.Context) {
	o.mu.Lock()
	waits := o.own != 0 && o.began.IsZero()
	o.mu.Unlock()
	if !waits || !o.c.Started(ctx) {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.own != 0 && o.began.IsZero() {
		o.began = o.c.Now()
	}
}

// seen is a member after what was changed here; the caller holds mu.
func (o *Overlay) seen(m Member) Member {
	m.Learner = m.Learner && !o.promoted[m.ID]
	if m.ID == o.own && !o.began.IsZero() {
		m.Name, m.ClientURLs = o.c.Name, []string{o.c.ClientURL}
	}
	return m
}

// inSync is what a member says of itself that has all that the others have.
func inSync(base Report) MemberHealth {
	var best MemberHealth
	for _, h := range base.Members {
		if h.Err == nil && (h.Leader || h.Applied > best.Applied && !best.Leader) {
			best = h
		}
	}
	best.Leader, best.Lag, best.Alarms = false, 0, nil
	return best
}

// elect makes the first voting member that answers the leader.
func (r *Report) elect() {
	for i, h := range r.Members {
		if h.Err == nil && !h.Learner {
			r.Members[i].Leader = true
			return
		}
	}
}

// AddLearner is that of Cluster.
func (o *Overlay) AddLearner(ctx context.Context, peerURL string) (Member, error) {
	o.turn.Lock()
	defer o.turn.Unlock()
	r, err := o.consider(ctx)
	if err != nil {
		return Member{}, err
	}
	var m Member
	if i := slices.IndexFunc(r.Members, func(h MemberHealth) bool { return h.HasPeer(peerURL) }); i >= 0 {
		m = r.Members[i].Member
	} else if m, err = o.add(r, peerURL); err != nil {
		return Member{}, err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.own == 0 && peerURL == o.c.PeerURL && !m.Started() {
		o.own = m.ID
	}
	return m.copied(), nil
}

// add adds a member that is not in the report.
func (o *Overlay) add(r Report, peerURL string) (Member, error) {
	if _, err := types.NewURLs([]string{peerURL}); err != nil {
		return Member{}, err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	all, connected := o.voting(r)
	if all > 1 && connected < Quorum(all+1) {
		return Member{}, fmt.Errorf("add etcd learner %s: %w", peerURL, ErrNotConnected)
	}
	if len(r.Members)-all >= o.c.Learners {
		return Member{}, fmt.Errorf("add etcd learner %s: %w", peerURL, ErrTooManyLearners)
	}
	m := Member{ID: ^o.ids, PeerURLs: []string{peerURL}, Learner: true}
	o.ids++
	o.added = append(o.added, m)
	o.changes = append(o.changes, Change{"add learner", m.label()})
	return m, nil
}

// Promote is that of Cluster.
func (o *Overlay) Promote(ctx context.Context, id uint64) error {
	o.turn.Lock()
	defer o.turn.Unlock()
	r, err := o.consider(ctx)
	if err != nil {
		return err
	}
	m, found := r.Find(id)
	switch {
	case !found:
		return fmt.Errorf("promote etcd member %x: %w", id, ErrNotFound)
	case !m.Learner:
		return nil
	case m.Err != nil || !m.level():
		return fmt.Errorf("promote etcd member %x: %w", id, ErrNotReady)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.promoted[id] = true
	o.changes = append(o.changes, Change{"promote", m.label()})
	return nil
}

// level says whether a learner has nine tenths of the log, which is what etcd
// asks for (etcd v3.7, etcdserver/server.go, readyPercentThreshold).
func (h MemberHealth) level() bool { return h.Applied >= 9*h.Lag }

// Remove is that of Cluster.
func (o *Overlay) Remove(ctx context.Context, id uint64) error {
	o.turn.Lock()
	defer o.turn.Unlock()
	r, err := o.consider(ctx)
	if err != nil {
		return err
	}
	m, found := r.Find(id)
	if !found {
		return nil
	}
	if err := r.MayRemove(id); err != nil {
		return fmt.Errorf("remove etcd member %x: %w", id, err)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if all, connected := o.voting(r); !m.Learner && m.Err == nil && connected-1 < Quorum(all-1) {
		return fmt.Errorf("remove etcd member %x: %w", id, ErrNotConnected)
	}
	o.removed[id] = true
	o.added = slices.DeleteFunc(o.added, func(a Member) bool { return a.ID == id })
	if o.own == id {
		o.own, o.began = 0, time.Time{}
	}
	o.changes = append(o.changes, Change{"remove", m.label()})
	return nil
}

// consider returns what a change is judged by, or why etcd can make none. The
// base's own members must have a quorum, and so must those that would be.
func (o *Overlay) consider(ctx context.Context) (Report, error) {
	if _, err := o.base.Members(ctx); err != nil {
		return Report{}, err
	}
	r, err := o.Health(ctx)
	if err == nil && !r.HasQuorum() {
		err = ErrNoQuorum
	}
	return r, err
}

// voting counts the voting members, and those that are connected as far as
// is known here; the caller holds mu.
func (o *Overlay) voting(r Report) (all, connected int) {
	all, connected = r.Voters()
	own, found := r.Find(o.own)
	if found && !own.Learner && !o.began.IsZero() && o.c.Now().Sub(o.began) < healthInterval {
		connected--
	}
	return all, connected
}

// label is what a person knows the member by.
func (m Member) label() string {
	if m.Started() || len(m.PeerURLs) == 0 {
		return m.Name
	}
	return m.PeerURLs[0]
}
