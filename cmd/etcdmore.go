package cmd

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/hactl/hactl/app"
	"github.com/hactl/hactl/cmd/render"
	"github.com/hactl/hactl/phases"
)

func newEtcdStatus(streams Streams) *cobra.Command {
	f := &etcdHostFlags{}
	c := &cobra.Command{
		Use:   "status",
		Short: "Tell how the etcd cluster of this host is",
		Long: text(`
			Tell how the etcd cluster of this host is: its members with their roles, lag
			and alarms, and how many may fail. It also works without quorum, takes two
			seconds at most and changes nothing.

			The exit code is 1 if something needs attention.
		`),
		Example: examples(`
			hactl etcd status
		`),
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			r, err := renderer(c, streams)
			if err != nil {
				return err
			}
			in, err := f.input()
			if err != nil {
				return err
			}
			status, err := app.EtcdStatus(c.Context(), in)
			if err != nil {
				return err
			}
			if err := r.Result(status); err != nil {
				return err
			}
			if !status.Healthy {
				return &shownError{code: phases.CodeFailed}
			}
			return nil
		},
	}
	f.registerHost(c.Flags())
	return c
}

func newEtcdRemove(streams Streams) *cobra.Command {
	f := &etcdHostFlags{}
	in := app.EtcdRemoveInput{}
	c := &cobra.Command{
		Use:   "remove NAME",
		Short: "Take a member that is gone out of the etcd cluster",
		Long: text(`
			Take a member that is gone out of the etcd cluster, from any of its hosts that
			works. NAME is the member's name or its address; a member that has never
			started has only an address.

			What would cost etcd its quorum is refused in any case, one that is alive
			without --force. Members on control planes are removed with their nodes: hactl
			node remove.
		`),
		Example: examples(`
			# the machine of etcd-2 has burnt down
			hactl etcd remove etcd-2
		`),
		Args: oneMember,
		RunE: func(c *cobra.Command, args []string) error {
			r, err := renderer(c, streams)
			if err != nil {
				return err
			}
			if in.EtcdHostInput, err = f.input(); err != nil {
				return err
			}
			in.Member = args[0]
			return show(c.Context(), r, func(ctx context.Context) (render.Result, error) { return app.EtcdRemove(ctx, in) })
		},
	}
	f.registerHost(c.Flags())
	c.Flags().BoolVar(&f.dryRun, "dry-run", false, "show what would be done and change nothing")
	c.Flags().BoolVar(&in.Force, "force", false, "remove a member that is alive: its etcd ends, and API servers lose its endpoint")
	onlyTyped(c, "force")
	return c
}

// oneMember wants exactly one name.
func oneMember(c *cobra.Command, args []string) error {
	if len(args) == 1 && args[0] != "" {
		return nil
	}
	return &phases.Fault{
		What:  "one member has to be named",
		Fixes: []string{"those there are: hactl etcd status", "see: " + c.CommandPath() + " --help"},
		Exit:  phases.CodeUsage,
	}
}
