package cmd

import (
	"github.com/spf13/cobra"

	"github.com/hactl/hactl/app"
	"github.com/hactl/hactl/phases"
)

func newStatus(streams Streams) *cobra.Command {
	var kubeconfig string
	c := &cobra.Command{
		Use:   "status",
		Short: "Tell how the cluster is, and what needs attention",
		Long: text(`
			Tell how the cluster is, seen from this control-plane node: nodes, etcd
			members with their roles, lag and alarms, how many may fail, each API server
			and the control-plane endpoint, this node's certificates, the clocks,
			bootstrap tokens (never their secrets) and uploaded certificates.

			Everything is asked at the same time and within three seconds. It also works
			without quorum and while this node's API server is down: what cannot be had
			says why. Nothing is changed.

			The exit code is 1 if something needs attention; each such thing comes with
			what to do about it.
		`),
		Example: examples(`
			hactl status

			# for programs
			hactl status -o json
		`),
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			r, err := renderer(c, streams)
			if err != nil {
				return err
			}
			status, err := app.Status(c.Context(), app.StatusInput{Kubeconfig: absolute(kubeconfig)})
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
	nodeKubeconfig(c, &kubeconfig)
	return c
}
