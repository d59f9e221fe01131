package cmd

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/hactl/hactl/app"
	"github.com/hactl/hactl/cmd/render"
	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases"
)

func newLB(streams Streams) *cobra.Command {
	c := group("lb", "Set up and check load balancers in front of the control planes",
		newLBRender(streams), newLBInstall(streams), newLBSync(streams), newLBCheck(streams))
	c.Aliases = []string{"load-balancer"}
	return c
}

// lbFlags say what a load balancer is to be.
type lbFlags struct {
	endpoint, config, kubeconfig string
	bindPort                     uint16
	check                        string
	servers, balancers           []string
	virtualIP, device, state     string
	routerID, priority           int
	unicast                      bool
	ownServer                    string
}

func (f *lbFlags) register(c *cobra.Command) {
	s := c.Flags()
	s.StringSliceVar(&f.balancers, "balancer", nil, "addresses of all hosts that may hold the virtual address, in the same order on each: the first has it first")
	f.registerBind(s)
	s.StringVar(&f.config, "config", "", "kubeadm configuration file to take the endpoint and the first control plane from, or - for standard input")
	s.StringVar(&f.endpoint, "endpoint", "", "what clients connect to, as host or host:port (default: the control-plane endpoint of --config or of the cluster)")
	f.registerAddress(s)
	s.IntVar(&f.priority, "priority", 0, "this host's priority for the virtual address, of each host another (default: by its place in --balancer, or by --state)")
	s.StringSliceVar(&f.servers, "server", nil, "an API server, as name=address:port; may be given several times")
	s.StringVar(&f.state, "state", "", "MASTER on one host and BACKUP on the others (default: by the place in --balancer, or by --priority)")
	onlyTyped(c, "priority", "server", "state")
}

// registerAddress adds the flags of the virtual address that all hosts share.
func (f *lbFlags) registerAddress(s *pflag.FlagSet) {
	s.StringVar(&f.device, "interface", "", "network interface of the virtual address (default: the one whose network has it)")
	s.IntVar(&f.routerID, "router-id", config.DefaultRouterID, "number of the hosts' group, 1 to 255: the same on all of them, of no other group in the network")
	s.BoolVar(&f.unicast, "unicast", false, "the hosts talk to each other only: for networks without multicast")
	s.StringVar(&f.virtualIP, "virtual-ip", "", "virtual address with its network, such as 10.0.0.100/24 (default: the endpoint, if it is an address)")
}

// registerBind adds the flags that make up a file beside the servers.
func (f *lbFlags) registerBind(s *pflag.FlagSet) {
	s.Uint16Var(&f.bindPort, "bind-port", 0, "port to listen at (default: that of the endpoint, or 6443)")
	s.StringVar(&f.check, "check", "readyz", "how HAProxy tells which API servers may get connections: readyz, or tcp for a cluster that refuses requests without credentials")
	s.StringVar(&f.kubeconfig, "kubeconfig", "", "kubeconfig file to ask a running cluster with, which API servers it has; it needs to read one EndpointSlice only")
}

// input makes the use case's input.
func (f *lbFlags) input(program string, r render.Renderer, streams Streams) (app.LBInput, error) {
	p := &parser{}
	in := app.LBInput{
		Program: program, Endpoint: p.hostPort("--endpoint", f.endpoint), BindPort: f.bindPort, Servers: f.servers, Check: f.check,
		VirtualIP: f.virtualIP, Interface: f.device, RouterID: f.routerID, Priority: f.priority, State: f.state,
		Balancers: f.balancers, Unicast: f.unicast, OwnServer: f.ownServer, Kubeconfig: absolute(f.kubeconfig),
	}
	if len(p.problems) > 0 {
		return in, &config.InvalidError{Problems: p.problems}
	}
	if f.config == "" {
		return in, nil
	}
	docs, err := initFile(f.config, streams)
	if err != nil {
		return in, err
	}
	warn(r, docs.Warnings)
	in.Config = docs.Init
	return in, nil
}

// oneOf wants exactly one argument, which is in the list.
func oneOf(list []string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) == 1 && slices.Contains(list, args[0]) {
			return nil
		}
		what := "no program is named"
		if len(args) > 0 {
			what = "not one program of those there are: " + strings.Join(args, " ")
		}
		return &phases.Fault{What: what, Fixes: []string{"use one of: " + strings.Join(list, " "), "see: " + c.CommandPath() + " --help"}, Exit: phases.CodeUsage}
	}
}

func newLBRender(streams Streams) *cobra.Command {
	f := &lbFlags{}
	c := &cobra.Command{
		Use:   "render haproxy|keepalived|nginx",
		Short: "Print the configuration file of a load balancer",
		Long: text(`
			Print the configuration file of a load balancer and change nothing.

			The API servers come from --server, from the cluster behind --kubeconfig, or
			from the file that hactl wrote on this host. With HAProxy an API server gets
			connections while its /readyz says that it is ready; nginx only sees whether a
			connection comes about. Keepalived moves a virtual address between hosts that
			each run HAProxy.
		`),
		Example: examples(`
			hactl lb render haproxy --server cp-1=10.0.0.11:6443 --server cp-2=10.0.0.12:6443

			# on both of two hosts: the first holds the address as long as it can
			hactl lb render keepalived --virtual-ip 10.0.0.100/24 --balancer 10.0.0.98,10.0.0.99
		`),
		ValidArgs: app.LBPrograms(),
		Args:      oneOf(app.LBPrograms()),
		RunE: func(c *cobra.Command, args []string) error {
			r, err := renderer(c, streams)
			if err != nil {
				return err
			}
			in, err := f.input(args[0], r, streams)
			if err != nil {
				return err
			}
			return show(c.Context(), r, func(ctx context.Context) (render.Result, error) { return app.LBRender(ctx, in, r.Event) })
		},
	}
	f.register(c)
	return c
}
