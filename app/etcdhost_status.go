package app

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/hactl/hactl/etcd"
	"github.com/hactl/hactl/phases/etcdhost"
	"github.com/hactl/hactl/phases/health"
)

// EtcdStatusResult is how the etcd cluster is, seen from one of its hosts.
type EtcdStatusResult struct {
	health.Etcd
	// Healthy says that nothing needs attention.
	Healthy bool `json:"healthy"`
	// Problems are what needs attention, a line each.
	Problems []string `json:"needsAttention"`
}

// EtcdStatus tells how the etcd cluster of this host is. It changes nothing
// and takes two seconds at most. The error is of a host that has none.
func EtcdStatus(ctx context.Context, in EtcdHostInput) (*EtcdStatusResult, error) {
	p, closePorts := realEtcdHostPorts()
	defer closePorts()
	return etcdStatusOver(ctx, p, in)
}

func etcdStatusOver(ctx context.Context, p etcdHostPorts, in EtcdHostInput) (*EtcdStatusResult, error) {
	h, err := newEtcdHoster(p, in)
	if err != nil {
		return nil, err
	}
	defer h.close()
	t := h.memberTask()
	known, err := h.known(ctx, &t)
	if err != nil {
		return nil, err
	}
	r := &EtcdStatusResult{Problems: []string{}, Etcd: health.EtcdOf(ctx, func(ctx context.Context) (etcd.Cluster, func() error, error) {
		return h.etcd(ctx, known)
	})}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	r.judge()
	r.Healthy = len(r.Problems) == 0
	return r, nil
}

func (r *EtcdStatusResult) judge() {
	add := func(format string, args ...any) { r.Problems = append(r.Problems, fmt.Sprintf(format, args...)) }
	switch {
	case r.Error != "":
		add("etcd cannot be asked: %s; see: systemctl status %s kubelet", r.Error, etcdhost.Unit)
	case r.MayFail < 0:
		add("etcd has no quorum: %d of %d voting members answer, %d are needed; nothing can be written; bring back those that do not answer", r.Answering, r.Voters, r.Quorum)
	}
	for _, m := range r.Members {
		name := m.Name
		if name == "" {
			name = m.Address
		}
		switch {
		case m.Error != "":
			add("%s: %s; if it is gone for good: hactl etcd remove %s", name, m.Error, name)
		case len(m.Alarms) > 0:
			add("%s has the alarm %s; etcdctl alarm list tells more", name, strings.Join(m.Alarms, ", "))
		case m.Role == health.Learner:
			add("%s has no vote yet: a join is under way there, or was given up", name)
		}
	}
	if n := r.Voters; n > 0 && n%2 == 0 {
		add("%d voting members tolerate no more failures than %d; add one more host", n, n-1)
	}
}

// Text writes the table of members, then what needs attention.
func (r *EtcdStatusResult) Text(w io.Writer) error {
	p := &printer{w: w}
	(&StatusResult{Report: &health.Report{Etcd: r.Etcd}}).members(p)
	for _, line := range r.Problems {
		p.line("")
		p.line("%s", line)
	}
	return p.err
}
