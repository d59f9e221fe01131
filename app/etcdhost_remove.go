package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"

	"github.com/hactl/hactl/etcd"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/membership"
)

// EtcdRemoveInput is what EtcdRemove needs from its caller.
type EtcdRemoveInput struct {
	EtcdHostInput
	// Member is the one to remove, by its name or its address.
	Member string
	// Force removes one that is alive.
	Force bool
}

// EtcdRemove takes a member out of the etcd cluster of this host. What would
// cost the quorum is refused in any case. It may run again.
func EtcdRemove(ctx context.Context, in EtcdRemoveInput) (*EtcdRemoveResult, error) {
	p, closePorts := realEtcdHostPorts()
	defer closePorts()
	return etcdRemoveOver(ctx, p, in)
}

func etcdRemoveOver(ctx context.Context, p etcdHostPorts, in EtcdRemoveInput) (_ *EtcdRemoveResult, err error) {
	h, err := newEtcdHoster(p, in.EtcdHostInput)
	if err != nil {
		return nil, err
	}
	defer h.close()
	if err := h.hold(ctx, "hactl etcd remove"); err != nil {
		return nil, err
	}
	t := h.memberTask()
	known, err := h.known(ctx, &t)
	if err != nil {
		return nil, err
	}
	cluster, hangUp, err := h.etcd(ctx, known)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, hangUp()) }()
	report, err := cluster.Health(ctx)
	if err != nil {
		return nil, err
	}
	r := &EtcdRemoveResult{Member: in.Member}
	r.Voters, _ = report.Voters()
	found := slices.IndexFunc(report.Members, func(m etcd.MemberHealth) bool { return isCalled(m.Member, in.Member) })
	if found < 0 {
		return r, nil
	}
	m := report.Members[found]
	if err := mayRemove(report, m, in); err != nil {
		return nil, err
	}
	err = membership.Remove(ctx, cluster, membership.Removal{ID: m.ID, What: "etcd takes out the member", Limit: t.Timeouts.Etcd})
	if err != nil {
		return nil, err
	}
	r.Found, r.DryRun = true, in.DryRun
	if !m.Learner {
		r.Voters--
	}
	return r, nil
}

// isCalled says whether the member has that name or that peer address.
func isCalled(m etcd.Member, name string) bool {
	return m.Name == name || slices.ContainsFunc(m.PeerURLs, func(raw string) bool {
		u, err := url.Parse(raw)
		return err == nil && (u.Hostname() == name || raw == name)
	})
}

func mayRemove(report etcd.Report, m etcd.MemberHealth, in EtcdRemoveInput) error {
	if err := report.MayRemove(m.ID); err != nil {
		return &phases.Fault{
			What: "etcd would not survive the removal of " + in.Member, Why: err,
			Fixes: []string{"bring the other members back first: hactl etcd status tells which do not answer"},
			Exit:  phases.CodeUnsafe,
		}
	}
	if m.Err != nil || in.Force {
		return nil
	}
	return &phases.Fault{
		What: fmt.Sprintf("etcd member %s is alive", in.Member),
		Why:  errors.New("API servers may use its endpoint, and its etcd ends"),
		Fixes: []string{
			"take its endpoint out of the configuration of every API server first",
			"then, to remove it all the same: hactl etcd remove --force " + in.Member,
		},
		Exit: phases.CodeUnsafe,
	}
}

// EtcdRemoveResult is what became of the cluster.
type EtcdRemoveResult struct {
	Member string `json:"member"`
	// Found is false if etcd has no such member.
	Found  bool `json:"found"`
	DryRun bool `json:"dryRun,omitempty"`
	// Voters is how many members vote after it.
	Voters int `json:"voters"`
}

// Text writes the result for people.
func (r *EtcdRemoveResult) Text(w io.Writer) error {
	p := &printer{w: w}
	switch {
	case !r.Found:
		p.line("etcd has no member %s: there is nothing to remove.", r.Member)
	case r.DryRun:
		p.line("A real run would remove %s.", r.Member)
	default:
		p.line("%s is no member any more.", r.Member)
	}
	p.line("Then etcd has %s, of which %d may fail.", voting(r.Voters), etcd.Tolerance(r.Voters))
	return p.err
}
