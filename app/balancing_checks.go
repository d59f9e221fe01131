package app

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/loadbalancer"
	"github.com/hactl/hactl/phases/preflight"
	"github.com/hactl/hactl/phases/publish"
)

// wanted leaves phase load-balancer out of a whole run where others balance.
func wanted[S any](list []phases.Phase[S], b balancing, only []string) []phases.Phase[S] {
	if b.lb != nil || len(only) > 0 {
		return list
	}
	return slices.DeleteFunc(list, func(p phases.Phase[S]) bool { return p.Name == balancingPhase().Name })
}

// balancingCheck finds what would stop phase load-balancer later.
func (s *Initial) balancingCheck() preflight.Check {
	return balancingCheck(func() balancing { return s.balancing })
}

func (s *Joining) balancingCheck() preflight.Check {
	return balancingCheck(func() balancing { return s.balancing })
}

func balancingCheck(of func() balancing) preflight.Check {
	return preflight.Check{Name: "VirtualAddress", Run: func(ctx context.Context) ([]string, error) {
		b := of()
		if b.lb == nil {
			return nil, nil
		}
		return nil, b.problems(ctx)
	}}
}

// problems are those of the programs with what is known of the cluster now.
func (b balancing) problems(ctx context.Context) error {
	b.ask = nil // the files are made later, from what the cluster says then
	servers, err := b.servers(ctx)
	if err != nil {
		return err
	}
	tasks, err := b.programs(servers)
	if err != nil {
		return err
	}
	var all []error
	for _, p := range []loadbalancer.Program{loadbalancer.HAProxy, loadbalancer.Keepalived} {
		all = append(all, loadbalancer.Problems(ctx, tasks[p]))
	}
	return errors.Join(append(all, b.leadsHere(ctx))...)
}

// leadsHere wants the name that clients use to lead to the virtual address.
func (b balancing) leadsHere(ctx context.Context) error {
	if _, err := netip.ParseAddr(b.endpoint.Host); err == nil {
		return nil // the configuration is valid
	}
	list, err := b.resolve(ctx, b.endpoint.Host)
	if err == nil && slices.ContainsFunc(list, func(a netip.Addr) bool { return a.Unmap() == b.lb.VirtualIP }) {
		return nil
	}
	if err == nil {
		err = fmt.Errorf("it leads to %s", joinAddresses(list))
	}
	return &phases.Fault{
		What: fmt.Sprintf("the control-plane endpoint %s does not lead to the virtual address %s", b.endpoint.Host, b.lb.VirtualIP),
		Why:  err,
		Fixes: []string{
			fmt.Sprintf("add to the DNS, or to /etc/hosts of every node: %s %s", b.lb.VirtualIP, b.endpoint.Host),
			fmt.Sprintf("or write controlPlaneEndpoint: %s", netip.AddrPortFrom(b.lb.VirtualIP, b.endpoint.Port)),
		},
		Exit: phases.CodePreflight,
	}
}

func joinAddresses(list []netip.Addr) string {
	var words []string
	for _, a := range list {
		words = append(words, a.String())
	}
	return strings.Join(words, ", ")
}

// findBalancer asks the cluster whether its control planes balance for
// themselves, and takes over what is this node's own matter.
func (j *joiner) findBalancer(ctx context.Context) error {
	c := j.in.Config
	if c.ControlPlane == nil {
		return nil
	}
	lb, err := publish.FetchLoadBalancer(ctx, j.boot, c.Timeouts.KubernetesAPI)
	if err != nil || lb == nil {
		return err
	}
	if own := c.LoadBalancer; own != nil && own.Interface != "" {
		lb.Interface = own.Interface
	}
	j.settled.Cluster.LoadBalancer = lb
	return nil
}

// sameBalancer wants what this node is told to be what the cluster has.
func (j *joiner) sameBalancer() error {
	own, cluster := j.in.Config.LoadBalancer, j.settled.Cluster.LoadBalancer
	switch {
	case own == nil:
		return nil
	case cluster == nil:
		return &phases.Fault{
			What: "this node is told of a load balancer on the control planes, and the cluster has none",
			Why:  errors.New("all control planes hold the virtual address together, so the cluster must know it"),
			Fixes: []string{
				"leave loadBalancer (--virtual-ip and the flags beside it) out",
				"or, to begin with it, on each control-plane node with the same configuration: hactl init phase upload-config hactl --config FILE && hactl init phase load-balancer all --config FILE",
			},
			Exit: phases.CodePreflight,
		}
	}
	differences := own.Differences(cluster)
	if len(differences) == 0 {
		return nil
	}
	return &phases.Fault{
		What: "the load balancer that this node is told of differs from the cluster's", Why: errors.New(strings.Join(differences, "\n")),
		Fixes: []string{"leave the document HighAvailability (--virtual-ip and the flags beside it) out: a join takes it from the cluster; only interface is a node's own"},
		Exit:  phases.CodePreflight,
	}
}
