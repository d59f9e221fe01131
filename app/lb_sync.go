package app

import (
	"context"
	"io"
	"time"

	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/kube"
	"github.com/hactl/hactl/phases/loadbalancer"
	lbfiles "github.com/hactl/hactl/templates/loadbalancer"
)

// lbTick is how often the cluster is asked where no event tells of a change.
const lbTick = 30 * time.Second

// LBSyncInput is what LBSync needs from its caller.
type LBSyncInput struct {
	LBInput
	// Once ends after the list is right.
	Once bool
}

// LBSyncResult is the list as it is now.
type LBSyncResult struct {
	Changed bool     `json:"changed"`
	Servers []string `json:"servers"`
}

// Text writes the list.
func (r *LBSyncResult) Text(w io.Writer) error {
	p := &printer{w: w}
	for _, s := range r.Servers {
		p.line("%s", s)
	}
	return p.err
}

// LBSync gives the load balancer on this host the cluster's API servers: once,
// or until ctx ends. A cluster that does not answer, or that names nobody,
// changes nothing.
func LBSync(ctx context.Context, in LBSyncInput, notify func(phases.Event)) (*LBSyncResult, error) {
	p, closePorts := realPorts()
	defer closePorts()
	return lbSyncOver(ctx, p, in, notify)
}

func lbSyncOver(ctx context.Context, p ports, in LBSyncInput, notify func(phases.Event)) (*LBSyncResult, error) {
	program := loadbalancer.Program(in.Program)
	if in.Kubeconfig == "" {
		return nil, usage("lb sync needs a way to ask the cluster", "name a kubeconfig: --kubeconfig")
	}
	m := newMachine(p, false)
	defer m.close()
	access := Access{Kubeconfigs: []string{in.Kubeconfig}}
	routes := &routes{machine: m, kubeconfig: in.Kubeconfig}
	f := &loadbalancer.Follower{
		Tick: lbTick,
		APIs: func(known []lbfiles.Server) []kube.API { return routes.apis(ctx, known) },
		Current: func(ctx context.Context) ([]lbfiles.Server, error) {
			list, origin, err := installedServers(ctx, m, program)
			if err == nil && origin != lbfiles.Own {
				err = &phases.Fault{
					What:  program.File() + " is not as hactl wrote it, so its list is left alone",
					Fixes: []string{"let hactl write it: hactl lb install " + in.Program + " --force, which keeps a copy"}, Exit: phases.CodeUnsafe,
				}
			}
			return list, err
		},
		Apply: func(ctx context.Context, servers []lbfiles.Server) error {
			return lbApply(ctx, p, in.LBInput, servers)
		},
		Tell: func(kind phases.Kind, text string) {
			notify(phases.Event{Phase: "sync", Title: "follow the control planes", Kind: kind, At: p.now(), Reason: text})
		},
	}
	if !in.Once {
		return &LBSyncResult{}, f.Run(ctx)
	}
	changed, err := f.Once(ctx)
	if err != nil {
		return nil, access.explain(err)
	}
	list, err := f.Current(ctx)
	r := &LBSyncResult{Changed: changed, Servers: []string{}}
	for _, s := range list {
		r.Servers = append(r.Servers, s.String())
	}
	return r, err
}

// lbApply gives the program the list, as one run of lb install would.
func lbApply(ctx context.Context, p ports, in LBInput, servers []lbfiles.Server) error {
	m := newMachine(p, false)
	defer m.close()
	if in.OwnServer != "" {
		return m.rebalance(ctx, in, servers)
	}
	if err := m.hold(ctx, "hactl lb sync"); err != nil {
		return err
	}
	in.Kubeconfig, in.Servers = "", nil
	for _, s := range servers {
		in.Servers = append(in.Servers, s.String())
	}
	b, err := settleBalancer(ctx, m, p, in)
	if err != nil {
		return err
	}
	return b.reinstall(ctx, b.servers)
}

// routes are the ways to a cluster, kept for as long as the kubeconfig is the
// same: the certificate in it is renewed while this runs.
type routes struct {
	*machine
	kubeconfig string
	read       string // what the file held
	dialled    map[string]kube.API
}

// apis are that of the kubeconfig, and the servers themselves.
func (r *routes) apis(ctx context.Context, known []lbfiles.Server) []kube.API {
	data, err := r.host.ReadFile(ctx, r.kubeconfig)
	if r.dialled == nil || err == nil && string(data) != r.read {
		r.dialled, r.read = map[string]kube.API{}, string(data)
	}
	servers := []string{""}
	for _, s := range known {
		servers = append(servers, "https://"+s.Address.String())
	}
	var list []kube.API
	for _, server := range servers {
		if r.dialled[server] == nil {
			r.dialled[server] = r.dialAPI(r.host, server, []string{r.kubeconfig})
		}
		list = append(list, r.dialled[server])
	}
	return list
}
