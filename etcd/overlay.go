package etcd

import (
	"context"
	"slices"
	"sync"
)

// Change is one change of membership that a dry run would have made.
type Change struct {
	Verb   string // "add learner", "promote", "remove"
	Member string // the name, or the peer URL of one that has none
}

// Overlay is a Cluster for dry runs: reads fall through to the real one,
// changes stay in memory and are listed. A member that is added starts at
// once, under the given name, and is in sync.
type Overlay struct {
	base Cluster
	name string

	mu      sync.Mutex
	added   *Member
	removed map[uint64]bool
	changes []Change
}

// NewOverlay returns an Overlay over base, on the node of that name.
func NewOverlay(base Cluster, name string) *Overlay {
	return &Overlay{base: base, name: name, removed: map[uint64]bool{}}
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
	o.mu.Lock()
	defer o.mu.Unlock()
	list = slices.DeleteFunc(list, func(m Member) bool { return o.removed[m.ID] })
	if o.added != nil {
		list = append(list, *o.added)
	}
	return list, nil
}

// Health is that of Cluster.
func (o *Overlay) Health(ctx context.Context) (Report, error) {
	r, err := o.base.Health(ctx)
	if err != nil {
		return r, err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	r.Members = slices.DeleteFunc(slices.Clone(r.Members), func(m MemberHealth) bool { return o.removed[m.ID] })
	if o.added != nil {
		r.Members = append(r.Members, MemberHealth{Member: *o.added})
	}
	return r, nil
}

// Serves is that of Cluster: the member that is added does.
func (o *Overlay) Serves(ctx context.Context, clientURL string) error {
	o.mu.Lock()
	added := o.added != nil
	o.mu.Unlock()
	if err := o.base.Serves(ctx, clientURL); err != nil && (!added || ctx.Err() != nil) {
		return err
	}
	return nil
}

// AddLearner is that of Cluster.
func (o *Overlay) AddLearner(ctx context.Context, peerURL string) (Member, error) {
	list, err := o.Members(ctx)
	if err != nil {
		return Member{}, err
	}
	for _, m := range list {
		if m.HasPeer(peerURL) {
			return m, nil
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.added = &Member{ID: ^uint64(0), Name: o.name, PeerURLs: []string{peerURL}, Learner: true}
	o.changes = append(o.changes, Change{"add learner", peerURL})
	return *o.added, nil
}

// Promote is that of Cluster.
func (o *Overlay) Promote(ctx context.Context, id uint64) error {
	m, err := o.find(ctx, id)
	if err != nil || !m.Learner {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.added != nil && o.added.ID == id {
		o.added.Learner = false
	}
	o.changes = append(o.changes, Change{"promote", m.label()})
	return nil
}

// Remove is that of Cluster.
func (o *Overlay) Remove(ctx context.Context, id uint64) error {
	r, err := o.Health(ctx)
	if err != nil {
		return err
	}
	if err := r.MayRemove(id); err != nil {
		return err
	}
	m, err := o.find(ctx, id)
	if err != nil {
		return nil // it is not there
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.removed[id] = true
	if o.added != nil && o.added.ID == id {
		o.added = nil
	}
	o.changes = append(o.changes, Change{"remove", m.label()})
	return nil
}

func (o *Overlay) find(ctx context.Context, id uint64) (Member, error) {
	list, err := o.Members(ctx)
	if err != nil {
		return Member{}, err
	}
	for _, m := range list {
		if m.ID == id {
			return m, nil
		}
	}
	return Member{}, ErrNotFound
}

// label is what a person knows the member by.
func (m Member) label() string {
	if m.Started() || len(m.PeerURLs) == 0 {
		return m.Name
	}
	return m.PeerURLs[0]
}
