package cmd

import (
	"context"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/hactl/hactl/app"
	"github.com/hactl/hactl/cmd/render"
)

func newJoin(streams Streams) *cobra.Command {
	f := &joinFlags{}
	c := &cobra.Command{
		Use:   "join [endpoint]",
		Short: "Make this node a worker or a further control plane of a cluster",
		Long: text(`
			Make this node a worker of a cluster or, with --control-plane, a further
			control plane.

			The endpoint is the address of the control plane, as host:port. Get the
			whole command on a control-plane node with:
			  hactl token create --print-join-command
			  hactl token create --control-plane

			The phases run in order. Each looks first at what exists, so the same
			command run again continues where it stopped. Several nodes may join at
			the same time: what etcd takes only one by one waits its turn.
		`) + "\nPhases:\n" + phaseList(app.JoinPhases()),
		Example: examples(`
			# a worker
			hactl join lb.example.com:6443 --token abcdef.0123456789abcdef \
			  --discovery-token-ca-cert-hash sha256:…

			# a control plane; the key comes from hactl init --upload-certs
			hactl join lb.example.com:6443 --token abcdef.0123456789abcdef \
			  --discovery-token-ca-cert-hash sha256:… \
			  --control-plane --certificate-key-file key

			# from a kubeadm configuration file
			hactl join --config join.yaml
		`),
		Args: endpointArg,
		RunE: func(c *cobra.Command, args []string) error {
			return runJoin(c, streams, f, args, nil)
		},
	}
	f.register(c.Flags())
	c.AddCommand(newJoinPhase(streams))
	return c
}

// newJoinPhase is `hactl join phase …`: every phase alone.
func newJoinPhase(streams Streams) *cobra.Command {
	c := group("phase", "Run one phase of join alone", newPhaseList(streams, app.JoinPhases()))
	f := &joinFlags{}
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	f.register(flags)
	addPhaseCommands(c, app.JoinPhases(), "", func(path string) *cobra.Command {
		p := &cobra.Command{RunE: func(c *cobra.Command, args []string) error {
			return runJoin(c, streams, f, args, []string{path})
		}}
		share(p, flags)
		own(p, endpointArg, strings.Fields(flagsOfJoinPhases[path]))
		return p
	})
	return c
}

// Flags of phases alone: those that kubeadm v1.37 gives the phase of that
// name (cmd/kubeadm/app/cmd/phases/join), the way to the cluster for all, and
// what keeps secrets out of the process list.
const (
	discoveryFlags = "config dry-run discovery-file discovery-token discovery-token-ca-cert-hash discovery-token-unsafe-skip-ca-verification tls-bootstrap-token token token-file"
	planeFlags     = discoveryFlags + " control-plane apiserver-advertise-address apiserver-bind-port node-name"
	keyFlags       = " certificate-key certificate-key-file"
)

var flagsOfJoinPhases = map[string]string{
	"preflight":                             planeFlags + keyFlags + " cri-socket ignore-preflight-errors",
	"control-plane-prepare":                 planeFlags + keyFlags + " patches",
	"control-plane-prepare/download-certs":  discoveryFlags + " control-plane" + keyFlags,
	"control-plane-prepare/certs":           planeFlags,
	"control-plane-prepare/kubeconfig":      planeFlags,
	"control-plane-prepare/control-plane":   planeFlags + " patches",
	"kubelet-start":                         planeFlags + " cri-socket patches",
	"etcd-join":                             planeFlags + " patches",
	"kubelet-wait-bootstrap":                planeFlags + " cri-socket",
	"control-plane-join":                    planeFlags + " patches",
	"control-plane-join/mark-control-plane": planeFlags,
	"wait-control-plane":                    planeFlags,
	"load-balancer":                         planeFlags + " " + virtualNames,
	"load-balancer/haproxy":                 planeFlags + " " + virtualNames,
	"load-balancer/keepalived":              planeFlags + " " + virtualNames,
	"load-balancer/sync":                    planeFlags + " " + virtualNames,
}

// endpointArg takes at most one argument, the endpoint.
func endpointArg(c *cobra.Command, args []string) error {
	if len(args) <= 1 {
		return nil
	}
	return noArgs(c, args[1:])
}

func runJoin(c *cobra.Command, streams Streams, f *joinFlags, args, only []string) error {
	format, _ := c.Flags().GetString("output")
	r, err := render.New(render.Format(format), streams.Out, streams.Err, streams.width)
	if err != nil {
		return err
	}
	endpoint := ""
	if len(args) > 0 {
		endpoint = args[0]
	}
	in, err := f.input(c.Flags(), endpoint, streams)
	if err != nil {
		return err
	}
	in.Only = only
	return show(c.Context(), r, func(ctx context.Context) (render.Result, error) {
		result, err := app.Join(ctx, in, r.Title, r.Event)
		return result, f.placed(err)
	})
}
