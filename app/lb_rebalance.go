package app

import (
	"context"
	"errors"
	"time"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/host"
	"github.com/hactl/hactl/phases/wait"
	lbfiles "github.com/hactl/hactl/templates/loadbalancer"
)

// turnLimit is how long the list of a control plane waits for another hactl on
// its node, such as the join that has started the unit.
const turnLimit = time.Minute

// holdInTurn is hold for a run that nobody waits for: it waits for its turn.
func (m *machine) holdInTurn(ctx context.Context, command string) error {
	return wait.For(ctx, turnLimit, wait.Condition{What: "no other hactl changes this node", Check: func(ctx context.Context) (bool, string, error) {
		err := m.hold(ctx, command)
		var locked *host.LockedError
		if errors.As(err, &locked) {
			return false, locked.Error(), nil
		}
		return err == nil, "", err
	}})
}

// rebalance gives the programs of a control plane the list. Keepalived comes
// first: the list in HAProxy's file is what tells the next run that all of it
// is done.
func (m *machine) rebalance(ctx context.Context, in LBInput, servers []lbfiles.Server) error {
	if err := m.holdInTurn(ctx, "hactl lb sync"); err != nil {
		return err
	}
	own, err := lbfiles.ParseServer(in.OwnServer)
	if err != nil {
		return usage("--own-server: " + err.Error())
	}
	lb := &config.LoadBalancer{Interface: in.Interface, RouterID: in.RouterID, Unicast: in.Unicast, Check: in.Check}
	if lb.VirtualIP, lb.Bits, err = config.ParseVirtualIP(in.VirtualIP); err != nil {
		return usage("--virtual-ip: " + err.Error())
	}
	b := &balancing{machine: m, lb: lb, endpoint: config.HostPort{Port: in.BindPort}, own: own}
	if b.tasks, err = b.programs(servers); err != nil {
		return err
	}
	return phases.Run(ctx, []phases.Phase[balancing]{keepalived(), haproxy()}, b, phases.Options{Now: m.now})
}
