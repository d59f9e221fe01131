package app

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/loadbalancer"
	lbfiles "github.com/hactl/hactl/templates/loadbalancer"
)

// LBPrograms are the programs that hactl can set up on a load balancer host.
func LBPrograms() []string {
	return []string{string(loadbalancer.HAProxy), string(loadbalancer.Keepalived), string(loadbalancer.Nginx)}
}

// LBInput says what a load balancer is to be. What is not given is found on
// the host and in the cluster.
type LBInput struct {
	// Program is one of LBPrograms.
	Program string
	// Endpoint is what clients connect to, zero if it is not known.
	Endpoint config.HostPort
	// BindPort is where the balancer listens; 0 means the endpoint's port.
	BindPort uint16
	// Servers are the API servers, as NAME=ADDRESS:PORT or ADDRESS:PORT.
	Servers []string
	// Check is "readyz" or "tcp".
	Check string

	// VirtualIP is the address that Keepalived holds, as ADDRESS/PREFIX or
	// ADDRESS; "" means the endpoint, if that is an address.
	VirtualIP string
	// Interface is where; "" means the one whose network has VirtualIP.
	Interface string
	RouterID  int
	// Priority and State are this host's; 0 and "" mean by its place in
	// Balancers, or by each other.
	Priority int
	State    string
	// Balancers are the addresses of all hosts that may hold VirtualIP, in
	// the same order on each of them. Unicast makes them talk to each other
	// only.
	Balancers []string
	Unicast   bool

	// OwnServer is the API server of this host, as NAME=ADDRESS:PORT, where
	// the balancer is part of a control plane; else "".
	OwnServer string

	// Config is a cluster's configuration without defaults, nil for none.
	Config *config.Init
	// Kubeconfig leads to a cluster that runs, "" for none.
	Kubeconfig string
}

// lbInterface is a network interface of this host.
type lbInterface struct {
	name     string
	networks []netip.Prefix // each with the host's own address
}

func lbInterfaces() ([]lbInterface, error) {
	list, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	var all []lbInterface
	for _, i := range list {
		addresses, err := i.Addrs()
		if err != nil {
			return nil, fmt.Errorf("addresses of %s: %w", i.Name, err)
		}
		f := lbInterface{name: i.Name}
		for _, a := range addresses {
			if p, err := netip.ParsePrefix(a.String()); err == nil {
				f.networks = append(f.networks, p)
			}
		}
		all = append(all, f)
	}
	return all, nil
}

// balancer is what one run works with.
type balancer struct {
	*machine
	p       ports
	in      LBInput
	program loadbalancer.Program

	port     uint16
	servers  []lbfiles.Server
	check    lbfiles.Check
	keep     lbfiles.Keepalived // of Keepalived only
	endpoint config.HostPort
	warnings []string
	ofNode   bool // it is part of a control plane
}

// settleBalancer makes the input whole. It changes nothing.
func settleBalancer(ctx context.Context, m *machine, p ports, in LBInput) (*balancer, error) {
	b := &balancer{machine: m, p: p, in: in, program: loadbalancer.Program(in.Program), endpoint: in.Endpoint}
	if !slices.Contains(LBPrograms(), in.Program) {
		return nil, usage(fmt.Sprintf("there is no load balancer %q here", in.Program), "use one of: haproxy keepalived nginx")
	}
	if b.endpoint.IsZero() && in.Config != nil {
		b.endpoint = in.Config.Cluster.ControlPlaneEndpoint
	}
	switch b.check = lbfiles.Check(in.Check); b.check {
	case "":
		b.check = lbfiles.CheckReadyz
	case lbfiles.CheckReadyz, lbfiles.CheckTCP:
	default:
		return nil, usage(fmt.Sprintf("there is no check %q", in.Check), "use --check readyz, or tcp for a cluster that refuses requests without credentials")
	}
	if err := b.findServers(ctx); err != nil {
		return nil, err
	}
	b.port = in.BindPort
	if b.port == 0 {
		b.port = b.endpoint.Port
	}
	if b.port == 0 {
		b.port = config.DefaultBindPort
	}
	if !b.program.Balances() {
		if err := b.settleAddress(); err != nil {
			return nil, err
		}
	}
	b.warn(ctx)
	return b, nil
}

// usage is a fault of what the user gave.
func usage(what string, fixes ...string) error {
	return &phases.Fault{What: what, Fixes: fixes, Exit: phases.CodeUsage}
}

// render makes the file.
func (b *balancer) render(servers []lbfiles.Server) ([]byte, error) {
	var data []byte
	var err error
	switch b.program {
	case loadbalancer.HAProxy:
		data, err = lbfiles.HAProxy{Port: b.port, Servers: servers, Check: b.check, OfNode: b.ofNode}.Render()
	case loadbalancer.Nginx:
		data, err = lbfiles.Nginx{Port: b.port, Servers: servers}.Render()
	default:
		data, err = b.keep.Render()
	}
	if err != nil {
		return nil, usage(string(b.program)+" cannot be set up like this: "+err.Error(), "see: hactl lb render "+string(b.program)+" --help")
	}
	return data, nil
}

// addresses are those of the servers.
func addressesOf(servers []lbfiles.Server) []netip.AddrPort {
	var list []netip.AddrPort
	for _, s := range servers {
		list = append(list, s.Address)
	}
	return list
}
