package cmd

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/hactl/hactl/app"
	"github.com/hactl/hactl/cmd/render"
	"github.com/hactl/hactl/phases"
)

func newLBInstall(streams Streams) *cobra.Command {
	f := &lbFlags{}
	in := app.LBInstallInput{}
	c := &cobra.Command{
		Use:   "install haproxy|keepalived|nginx",
		Short: "Set up a load balancer on this host",
		Long: text(`
			Set up a load balancer on this host, whose packages are installed already.

			The program itself tests the new file before anything is replaced. Then the
			file is replaced at once, the program is reloaded without dropping connections,
			and the API is asked through it. If it does not serve, the old file is brought
			back. The same command may run again; what is right is left alone.

			A file that hactl did not write, or that somebody changed since, is not
			replaced without --force, which keeps a copy. One that is as the package
			brought it counts as nobody's.
		`) + "\nPhases:\n" + phaseList(app.LBInstallPhases()),
		Example: examples(`
			# on both of two hosts
			hactl lb install haproxy --endpoint 10.0.0.100:6443 \
			  --server cp-1=10.0.0.11:6443 --server cp-2=10.0.0.12:6443 --server cp-3=10.0.0.13:6443
			hactl lb install keepalived --endpoint 10.0.0.100:6443 --balancer 10.0.0.98,10.0.0.99

			# from now on, follow the control planes that join and leave
			hactl lb install haproxy --endpoint 10.0.0.100:6443 --kubeconfig /etc/hactl/lb.conf --sync
		`),
		ValidArgs: app.LBPrograms(),
		Args:      oneOf(app.LBPrograms()),
		RunE: func(c *cobra.Command, args []string) error {
			r, err := renderer(c, streams)
			if err != nil {
				return err
			}
			if in.LBInput, err = f.input(args[0], r, streams); err != nil {
				return err
			}
			return show(c.Context(), r, func(ctx context.Context) (render.Result, error) {
				return app.LBInstall(ctx, in, r.Title, r.Event)
			})
		},
	}
	f.register(c)
	s := c.Flags()
	s.BoolVar(&in.DryRun, "dry-run", false, "show what would be done and change nothing")
	s.BoolVar(&in.Force, "force", false, "replace a configuration file that is not hactl's; what it did is done no more, and a copy is kept")
	s.StringSliceVar(&in.Skip, "skip-phases", nil, "phases to leave out, such as verify")
	s.BoolVar(&in.Sync, "sync", false, "also install a unit that keeps the list that of the cluster; needs --kubeconfig")
	onlyTyped(c, "force", "skip-phases", "sync")
	return c
}

// lines shows each event at once, in a line of its own: that is what a log
// is made of. Times are the log's matter.
func lines(c *cobra.Command, streams Streams, r render.Renderer) func(phases.Event) {
	if format, _ := c.Flags().GetString("output"); format == string(render.JSON) {
		return r.Event
	}
	return func(e phases.Event) {
		if e.Kind == phases.Warning {
			fmt.Fprint(streams.Err, "warning: ")
		}
		fmt.Fprintln(streams.Err, e.Reason)
	}
}

func newLBSync(streams Streams) *cobra.Command {
	f := &lbFlags{}
	in := app.LBSyncInput{}
	c := &cobra.Command{
		Use:   "sync haproxy|nginx",
		Short: "Keep the load balancer's list of API servers that of the cluster",
		Long: text(`
			Keep the list of API servers of this host's load balancer that of the cluster,
			as the endpoints of its Service default/kubernetes tell: a control plane that
			joins gets connections, one that leaves gets none, and nobody edits a list.

			The file is written and the program reloaded only when the list changes. While
			the cluster does not answer, the list stays as it is, and it is never emptied.
			The file must be one that hactl lb install wrote, with the same --bind-port
			and --check. This is what the unit runs that hactl lb install --sync makes.
		`),
		Example: examples(`
			# until it is stopped
			hactl lb sync haproxy --kubeconfig /etc/hactl/lb.conf

			# now, once
			hactl lb sync haproxy --kubeconfig /etc/hactl/lb.conf --once
		`),
		ValidArgs: []string{"haproxy", "nginx"},
		Args:      oneOf([]string{"haproxy", "nginx"}),
		RunE: func(c *cobra.Command, args []string) error {
			r, err := renderer(c, streams)
			if err != nil {
				return err
			}
			if in.LBInput, err = f.input(args[0], r, streams); err != nil {
				return err
			}
			return show(c.Context(), r, func(ctx context.Context) (render.Result, error) {
				return app.LBSync(ctx, in, lines(c, streams, r))
			})
		},
	}
	s := c.Flags()
	f.registerBind(s)
	f.registerAddress(s)
	s.BoolVar(&in.Once, "once", false, "make the list right once, then end")
	s.StringVar(&f.ownServer, "own-server", "", "this host's API server, as name=address:port: HAProxy and Keepalived, with --virtual-ip, are part of a control plane")
	onlyTyped(c, "once", "own-server")
	return c
}
