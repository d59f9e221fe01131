package loadbalancer

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hactl/hactl/certs"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/wait"
)

const (
	// glanceLimit is how long Before and After take at most. A balancer of
	// hactl has seen a new API server by then: after two checks, a second
	// apart.
	glanceLimit = 3 * time.Second
	// virtualLimit is that of Before for an address of this host's own
	// network, which nobody should have yet: whoever has it answers at once.
	virtualLimit = 500 * time.Millisecond
)

// Before judges the address of a cluster that is not there yet, with one
// connection to each host that it leads to. That nobody answers yet is as it
// should be. Resumed says whether an earlier init of this node goes on, whose
// API server may answer. The results are those of a preflight check: what
// may be in order later is a warning, and the error is a *phases.Fault: a
// cluster has the address already.
//
// A name that does not resolve is left to the check that looks for that.
func Before(ctx context.Context, i Inspection, resumed func(context.Context) (bool, error)) (warnings []string, err error) {
	limit := glanceLimit
	if i.Virtual {
		limit = virtualLimit
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	i.begin()
	if !i.resolve(ctx) {
		return nil, nil
	}
	for _, m := range i.meetAll(ctx) {
		switch {
		case m.contact == nil:
			if f := i.failed(m.address, m.err); !i.early(f.Answer) {
				f.Fix = append(f.Fix, "init goes on without it, but nothing else does: before another node joins, see it with: hactl lb check "+i.Address.String())
				warnings = append(warnings, f.String())
			}
		case !slices.ContainsFunc(m.contact.leaf.DNSNames, servingName):
			warnings = append(warnings, i.noAPIServer(m).String())
		default:
			if err := i.taken(ctx, m.contact, resumed); err != nil {
				return nil, err
			}
		}
	}
	return warnings, nil
}

// early says whether an answer is as it should be before init.
func (i *Inspection) early(a Answer) bool {
	return a == Refused || a == NothingBehind || i.Virtual && (a == Timeout || a == Unreachable)
}

// taken refuses an address that leads to a cluster, unless this node's own
// init, which goes on, has made it.
func (i *Inspection) taken(ctx context.Context, c *contact, resumed func(context.Context) (bool, error)) error {
	who := i.nameOf(c.leaf)
	if len(i.CAs) > 0 && i.authority(c, who) == nil {
		if same, err := resumed(ctx); same || err != nil {
			return err
		}
		return &phases.Fault{
			What: "the cluster that has this machine's CA is up already, at " + i.Address.String(),
			Why:  fmt.Errorf("%s answers there, with a certificate of %s", who, certs.Pin(i.CAs[0])),
			Fixes: []string{
				"to make this machine a further control plane of it, run on one that it has: hactl token create --control-plane",
				"to make another cluster, take its files away from here, and use another --control-plane-endpoint",
			},
			Exit: phases.CodePreflight,
		}
	}
	return &phases.Fault{
		What: "another cluster has the control-plane endpoint already, " + i.Address.String(),
		Why:  fmt.Errorf("%s answers there, with a certificate of another CA than this cluster's", who),
		Fixes: []string{
			"use an address that no other cluster has: --control-plane-endpoint",
			"or, on the load balancer, take the servers of the other cluster out of its list",
			"or, to make this machine a further control plane of that cluster, run on one that it has: hactl token create --control-plane",
		},
		Exit: phases.CodePreflight,
	}
}

// noAPIServer is for a certificate that no API server has.
func (i *Inspection) noAPIServer(m meeting) Finding {
	return Finding{
		Answer: NoAPIServer, What: "what answers at " + m.address + " is no API server",
		Why: "its certificate is for " + strings.Join(append(slices.Clone(m.contact.leaf.DNSNames), m.contact.leaf.Subject.CommonName), " "),
		Fix: []string{"see who listens there: ss -ltnp", "a balancer must pass TCP on as it is: no HTTP mode, no TLS of its own"},
	}
}

// After waits until the address leads to the cluster that is there now, and
// no longer than a few seconds: a balancer needs a moment to see that an API
// server is up. It returns nil when a connection ended at a server of the
// cluster whose certificate is valid for the address, or when ctx ended, and
// else what is wrong.
func After(ctx context.Context, i Inspection) *Finding {
	var last *Finding
	err := wait.For(ctx, glanceLimit, wait.Condition{
		What: i.Address.String() + " leads to the cluster",
		Check: func(limited context.Context) (bool, string, error) {
			f := i.glance(limited)
			if last == nil || limited.Err() == nil {
				last = f
			}
			// Time changes neither whose certificate it is nor its names.
			return f == nil || slices.Contains([]Answer{OtherCA, Expired, NameMissing}, f.Answer), "", nil
		},
	})
	if err != nil && ctx.Err() != nil || last == nil {
		return nil
	}
	last.What = i.Address.String() + " does not lead to the cluster: " + last.What
	// Init is over, and nobody gave a CA.
	last.Fix = slices.DeleteFunc(last.Fix, func(fix string) bool { return strings.HasPrefix(fix, "before ") || strings.HasSuffix(fix, "--ca-file") })
	last.Fix = append(last.Fix, "then see it with: hactl lb check "+i.Address.String())
	return last
}

// glance makes one connection to each host at the same time. Hosts that do
// not answer count only if none does.
func (i Inspection) glance(ctx context.Context) *Finding {
	i.begin()
	if i.resolve(ctx) {
		var silent []Finding
		answered := false
		for _, m := range i.meetAll(ctx) {
			if m.contact == nil {
				silent = append(silent, i.failed(m.address, m.err))
				continue
			}
			answered = true
			i.judge(m)
		}
		for _, f := range silent {
			if !answered {
				i.report.add(f)
			}
		}
	}
	i.report.close()
	if len(i.report.Problems) == 0 {
		return nil
	}
	return &i.report.Problems[0]
}

// meeting is what came of one connection: a contact, an error, or both.
type meeting struct {
	address string
	contact *contact
	err     error
}

// meetAll makes one connection to each address, all at the same time.
func (i *Inspection) meetAll(ctx context.Context) []meeting {
	all := make([]meeting, len(i.report.Addresses))
	var running sync.WaitGroup
	for n, a := range i.report.Addresses {
		all[n].address = net.JoinHostPort(a, strconv.Itoa(int(i.Address.Port)))
		running.Go(func() { all[n] = i.meet(ctx, all[n].address) })
	}
	running.Wait()
	return all
}

func (i *Inspection) meet(ctx context.Context, address string) meeting {
	c, err := reach(ctx, i.Dial, address, i.Address.Host)
	return meeting{address, c, err}
}

// String is the finding in a few lines: what, why and how to mend it.
func (f Finding) String() string {
	lines := []string{f.What}
	if f.Why != "" {
		lines = append(lines, "why  "+f.Why)
	}
	for _, fix := range f.Fix {
		lines = append(lines, "fix  "+fix)
	}
	return strings.Join(lines, "\n")
}
