package app

import (
	"context"
	"fmt"
	"io"

	"github.com/hactl/hactl/etcd"
	"github.com/hactl/hactl/phases/etcdhost"
)

// EtcdHostResult is what EtcdInit and EtcdJoin leave behind.
type EtcdHostResult struct {
	Node    string `json:"node"`
	URL     string `json:"url"` // for clients
	Runtime string `json:"runtime,omitempty"`
	// Voters is how many members vote, Tolerance how many of them may fail;
	// both are zero if etcd was not asked.
	Voters    int `json:"voters,omitempty"`
	Tolerance int `json:"tolerance"`
	// Before is how many voted before this run, zero if it changed nothing.
	Before int           `json:"votersBefore,omitempty"`
	DryRun *DryRunReport `json:"dryRun,omitempty"`

	only, first bool
}

func (h *etcdHoster) result(ctx context.Context, s *etcdHost) *EtcdHostResult {
	t := &s.member
	r := &EtcdHostResult{
		Node: t.Name, URL: t.ClientURL(), Runtime: string(t.Runtime),
		Before: t.Before, only: len(h.in.Only) > 0, first: len(h.in.Endpoints) == 0, DryRun: h.report(),
	}
	if r.DryRun != nil {
		if h.members != nil {
			r.DryRun.Objects = append(r.DryRun.Objects, memberChanges(h.members)...)
		}
		return r
	}
	if r.only {
		return r
	}
	// The run has done its work: what is only to be shown fails nothing.
	cluster, hangUp, err := h.etcd(ctx, []string{t.ClientURL()})
	if err != nil {
		return r
	}
	defer func() { _ = hangUp() }()
	if members, err := cluster.Members(ctx); err == nil {
		r.Voters = etcd.Voters(members)
		r.Tolerance = etcd.Tolerance(r.Voters)
	}
	return r
}

// Text writes the result for people.
func (r *EtcdHostResult) Text(w io.Writer) error {
	p := &printer{w: w}
	if r.DryRun != nil {
		r.DryRun.text(p)
		return p.err
	}
	if r.only {
		return nil
	}
	p.line("")
	p.line("etcd runs on %s, at %s.", r.Node, r.URL)
	if r.Voters > 0 {
		before := ""
		if r.Before > 0 {
			before = fmt.Sprintf(" (before: %d, of which %d might)", r.Before, etcd.Tolerance(r.Before))
		}
		p.line("Its cluster has %s; %d may fail%s.", voting(r.Voters), r.Tolerance, before)
	}
	if r.Runtime == string(etcdhost.Systemd) {
		p.line("Its service: systemctl status %s", etcdhost.Unit)
	}
	if r.first {
		p.line("")
		p.line("Make it three or five. For each further host, here:")
		p.line("  hactl etcd credentials export --for-member NAME=ADDRESS --file NAME.age")
		p.line("  scp NAME.age root@ADDRESS:")
		p.line("and there:")
		p.line("  hactl etcd credentials import NAME.age")
		p.line("  hactl etcd join %s", r.URL)
		p.line("")
		p.line("Then, for the first control plane, here:")
		p.line("  hactl etcd credentials export")
	}
	return p.err
}
