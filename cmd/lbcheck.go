package cmd

import (
	"github.com/spf13/cobra"

	"github.com/hactl/hactl/app"
	"github.com/hactl/hactl/phases"
)

func newLBCheck(streams Streams) *cobra.Command {
	in := app.LBCheckInput{}
	c := &cobra.Command{
		Use:   "check ADDRESS[:PORT]",
		Short: "Tell what is wrong with the address that clients use for the API",
		Long: text(`
			Ask an address as clients of the API do, several times, and tell what is wrong
			with it and what to do. Nothing is changed and nothing secret is sent.

			Answers, and the exit codes that go with them:
			  0  good             each known API server is reached through the address
			  0  single-balancer  (a warning) nothing shows that a second balancer exists
			  0  backend-down     (a warning) an API server answers neither way
			  0  unverified       (a warning) there was no CA to compare with
			  1  name-missing     the certificates are not valid for the address: add the SAN
			  1  backend-missing  an API server is up and gets no connections
			  1  not-ready        an API server that is not ready gets connections
			  1  slow-failover    clients were cut off for longer than 5 s
			  1  no-api-server, expired, unreachable
			  3  refused          nothing listens: as it should be before hactl init
			  3  nothing-behind   a balancer listens and has no API server: the same
			  4  timeout          the balancer cannot reach its nodes, or packets are dropped
			  5  other-ca         the API server of another cluster answers

			Which API servers there are is asked of the cluster, or of the load balancer
			that hactl set up on this host, unless --server names them. The cluster's CA is
			that of this node, of --kubeconfig, of --ca-file or of --ca-cert-hash.
		`),
		Example: examples(`
			hactl lb check lb.example.com:6443

			# what does a client notice? then turn a balancer off
			hactl lb check 10.0.0.100 --balancer 10.0.0.98,10.0.0.99 --failover 60s
		`),
		Args: oneAddress,
		RunE: func(c *cobra.Command, args []string) error {
			r, err := renderer(c, streams)
			if err != nil {
				return err
			}
			in.Address, in.CAFile, in.Kubeconfig = args[0], absolute(in.CAFile), absolute(in.Kubeconfig)
			report, err := app.LBCheck(c.Context(), in, r.Event)
			if err != nil {
				return err
			}
			if err := r.Result(report); err != nil {
				return err
			}
			if code := report.Code(); code != 0 {
				return &shownError{code: code}
			}
			return nil
		},
	}
	s := c.Flags()
	s.StringSliceVar(&in.Balancers, "balancer", nil, "addresses of the hosts that hold ADDRESS in turn: each is asked by itself")
	s.StringSliceVar(&in.CAHashes, "ca-cert-hash", nil, "hash of the cluster's CA, as in the join command: sha256:…")
	s.StringVar(&in.CAFile, "ca-file", "", "file with the cluster's CA (default: /etc/kubernetes/pki/ca.crt, or that of the kubeconfig)")
	s.DurationVar(&in.Failover, "failover", 0, "measure for so long how long clients are cut off, while you turn something off")
	s.StringVar(&in.Kubeconfig, "kubeconfig", "", "kubeconfig file to ask the cluster with, which API servers it has (default: "+adminConf+", where there is one)")
	s.StringSliceVar(&in.Servers, "server", nil, "an API server that must be behind ADDRESS, as name=address:port; may be given several times")
	onlyTyped(c, "server", "ca-file", "failover")
	return c
}

// oneAddress wants exactly one argument.
func oneAddress(c *cobra.Command, args []string) error {
	if len(args) == 1 && args[0] != "" {
		return nil
	}
	return &phases.Fault{What: "one address is to be named", Fixes: []string{"see: " + c.CommandPath() + " --help"}, Exit: phases.CodeUsage}
}
