package app

import (
	"context"
	"fmt"
	"net/netip"
	"path"
	"slices"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/kube"
	"github.com/hactl/hactl/phases/loadbalancer"
	lbfiles "github.com/hactl/hactl/templates/loadbalancer"
)

// balancing is the load balancer that a control plane has itself.
type balancing struct {
	*machine
	lb *config.LoadBalancer // nil where others balance
	// endpoint is what clients use; HAProxy listens at its port.
	endpoint config.HostPort
	own      lbfiles.Server // this node's API server
	// ask returns the API that knows the other control planes.
	ask func() kube.API

	// What the phases work from, once the first of them has asked for it.
	tasks map[loadbalancer.Program]*loadbalancer.Task
	unit  *loadbalancer.Unit
}

// balancing makes the data of phase load-balancer; c is settled.
func (m *machine) balancing(c *config.Init, ask func() kube.API) balancing {
	return balancing{
		machine: m, lb: c.Cluster.LoadBalancer, endpoint: c.Endpoint(), ask: ask,
		own: lbfiles.Server{Name: c.Node.Name, Address: netip.AddrPortFrom(c.Local.Address, c.Local.Port)},
	}
}

// balancingPhase is phase load-balancer of init and join.
func balancingPhase() phases.Phase[balancing] {
	return phases.Phase[balancing]{
		Name:  "load-balancer",
		Title: "balance between the control planes, at a virtual address",
		Skip: func(b *balancing) string {
			if b.lb == nil {
				return "the configuration has no loadBalancer"
			}
			return ""
		},
		Phases: []phases.Phase[balancing]{
			haproxy(), keepalived(),
			settled(loadbalancer.SyncPhase(), func(b *balancing) *loadbalancer.Unit { return b.unit }),
		},
	}
}

// settled lifts a phase, and makes what it works from when it begins: only
// then does the cluster tell the other control planes.
func settled[T any](p phases.Phase[T], view func(*balancing) *T) phases.Phase[balancing] {
	p.Skip = nil // the list is followed wherever there is a load balancer
	q := phases.Lift(p, view)
	observe, apply, undo := q.Observe, q.Apply, q.Undo
	q.Observe = func(ctx context.Context, b *balancing) (phases.State, error) {
		if err := b.settle(ctx); err != nil {
			return phases.Missing, err
		}
		return observe(ctx, b)
	}
	q.Apply = func(ctx context.Context, b *balancing) error {
		if err := b.settle(ctx); err != nil {
			return err
		}
		return apply(ctx, b)
	}
	if undo != nil {
		q.Undo = func(ctx context.Context, b *balancing) error {
			if b.tasks == nil {
				return nil
			}
			return undo(ctx, b)
		}
	}
	return q
}

// settle makes the tasks, once.
func (b *balancing) settle(ctx context.Context) error {
	if b.tasks != nil {
		return nil
	}
	servers, err := b.servers(ctx)
	if err != nil {
		return err
	}
	if b.unit, err = b.follow(); err != nil {
		return err
	}
	b.tasks, err = b.programs(servers)
	return err
}

// programs makes the tasks of the two programs.
func (b *balancing) programs(servers []lbfiles.Server) (map[loadbalancer.Program]*loadbalancer.Task, error) {
	tasks := map[loadbalancer.Program]*loadbalancer.Task{}
	for _, p := range []loadbalancer.Program{loadbalancer.HAProxy, loadbalancer.Keepalived} {
		one, err := b.balancer(p, servers)
		if err != nil {
			return nil, err
		}
		t, err := one.task(servers, false)
		if err != nil {
			return nil, err
		}
		tasks[p] = &t
	}
	return tasks, nil
}

// haproxy and keepalived are the phases of the two programs.
func haproxy() phases.Phase[balancing] {
	return settled(loadbalancer.WholePhase(loadbalancer.HAProxy, "balance between the API servers"),
		func(b *balancing) *loadbalancer.Task { return b.tasks[loadbalancer.HAProxy] })
}

func keepalived() phases.Phase[balancing] {
	return settled(loadbalancer.WholePhase(loadbalancer.Keepalived, "hold the virtual address while this node can serve it"),
		func(b *balancing) *loadbalancer.Task { return b.tasks[loadbalancer.Keepalived] })
}

// servers are those that the cluster names, or else those in HAProxy's file,
// and this node's own.
func (b *balancing) servers(ctx context.Context) ([]lbfiles.Server, error) {
	list, _, err := installedServers(ctx, b.machine, loadbalancer.HAProxy)
	if err != nil {
		return nil, err
	}
	if b.ask != nil {
		ctx, cancel := context.WithTimeout(ctx, askLimit)
		defer cancel()
		api := b.ask()
		known := slices.Concat(loadbalancer.Names(ctx, api), list, []lbfiles.Server{b.own})
		// What does not answer yet cannot tell: the list is followed later.
		if asked, err := loadbalancer.Servers(ctx, api, known); err == nil {
			list = asked
		}
	}
	if !slices.ContainsFunc(list, func(s lbfiles.Server) bool { return s.Address == b.own.Address }) {
		// A server of this name is what this node was before.
		list = slices.DeleteFunc(list, func(s lbfiles.Server) bool { return s.Name == b.own.Name })
		list = append(list, b.own)
	}
	return lbfiles.Sort(list)
}

// balancer is one program of the node's.
func (b *balancing) balancer(p loadbalancer.Program, servers []lbfiles.Server) (*balancer, error) {
	addresses := []netip.Addr{b.own.Address.Addr()}
	for _, s := range servers {
		if a := s.Address.Addr(); a != b.own.Address.Addr() {
			addresses = append(addresses, a)
		}
	}
	var hosts []string
	for _, a := range addresses {
		hosts = append(hosts, a.String())
	}
	one := &balancer{
		machine: b.machine, p: b.ports, program: p, port: b.endpoint.Port, servers: servers, check: lbfiles.Check(b.lb.Check), ofNode: true,
		in: LBInput{
			Program: string(p), VirtualIP: b.lb.Address(), Interface: b.lb.Interface, RouterID: b.lb.RouterID, Unicast: b.lb.Unicast,
			Balancers: hosts, State: string(lbfiles.Backup), Priority: lbfiles.Ranks(addresses)[b.own.Address.Addr()],
		},
	}
	if p.Balances() {
		return one, nil
	}
	if err := one.settleAddress(); err != nil {
		return nil, err
	}
	one.keep.OfNode, one.keep.Penalty = true, lbfiles.Lowest
	return one, nil
}

// follow is the unit that keeps the list right.
func (b *balancing) follow() (*loadbalancer.Unit, error) {
	hactl, err := b.executable()
	if err != nil {
		return nil, fmt.Errorf("find hactl's own path: %w", err)
	}
	command := []string{
		hactl, "lb", "sync", string(loadbalancer.HAProxy), fmt.Sprintf("--bind-port=%d", b.endpoint.Port), "--check=" + b.lb.Check,
		"--kubeconfig=" + path.Join(config.KubernetesDir, "admin.conf"),
		"--virtual-ip=" + b.lb.Address(), "--interface=" + b.lb.Interface, fmt.Sprintf("--router-id=%d", b.lb.RouterID),
		"--own-server=" + b.own.String(),
	}
	if b.lb.Unicast {
		command = append(command, "--unicast")
	}
	return &loadbalancer.Unit{Host: b.host, Command: command, After: loadbalancer.HAProxy.Unit(), OfNode: true}, nil
}
