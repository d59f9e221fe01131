package cmd

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/hactl/hactl/app"
	"github.com/hactl/hactl/cmd/render"
	"github.com/hactl/hactl/phases"
)

func newNode(streams Streams) *cobra.Command {
	return group("node", "Work with the nodes of the cluster", newNodeRemove(streams))
}

func newNodeRemove(streams Streams) *cobra.Command {
	in := app.NodeRemoveInput{}
	c := &cobra.Command{
		Use:   "remove NAME",
		Short: "Take a node that is gone out of the cluster",
		Long: text(`
			Take a node that is gone out of the cluster, from any control-plane node that
			works: its etcd member, its Node object and its leases. For a member of etcd
			that has never started, NAME may also be its peer address.

			A node that is alive cleans up best by itself, with hactl reset there; here
			it is refused, unless --force accepts what it costs. What would cost etcd its
			quorum is refused in any case. How many members may fail is told before and
			after. The command may be run again after an interrupt.
		`) + "\nPhases:\n" + phaseList(app.NodeRemovePhases()),
		Example: examples(`
			# the machine of cp-2 has burnt down
			hactl node remove cp-2

			# what would it do?
			hactl node remove cp-2 --dry-run
		`),
		Args: oneNode,
		RunE: func(c *cobra.Command, args []string) error {
			r, err := renderer(c, streams)
			if err != nil {
				return err
			}
			in.Name, in.Kubeconfig = args[0], absolute(in.Kubeconfig)
			return show(c.Context(), r, func(ctx context.Context) (render.Result, error) {
				return app.NodeRemove(ctx, in, r.Title, r.Event)
			})
		},
	}
	c.Flags().BoolVar(&in.DryRun, "dry-run", false, "show what would be done and change nothing")
	c.Flags().BoolVar(&in.Force, "force", false, "remove a node that is alive: its pods go on running, and its API server loses its etcd")
	onlyTyped(c, "force")
	nodeKubeconfig(c, &in.Kubeconfig)
	return c
}

// nodeKubeconfig adds the flag of commands that run on a control-plane node
// and are about its cluster, whatever the user's own kubeconfig says.
func nodeKubeconfig(c *cobra.Command, value *string) {
	c.Flags().StringVar(value, "kubeconfig", "", "kubeconfig file of an administrator (default: "+adminConf+", by this node's API server if that answers)")
}

// oneNode wants exactly one name.
func oneNode(c *cobra.Command, args []string) error {
	if len(args) == 1 && args[0] != "" {
		return nil
	}
	what := "no node is named"
	if len(args) > 1 {
		what = "more than one node is named: each removal is judged by what is left after it"
	}
	return &phases.Fault{What: what, Fixes: []string{"see which there are: hactl status"}, Exit: phases.CodeUsage}
}
