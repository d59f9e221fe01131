package cmd

import (
	"github.com/spf13/cobra"

	"github.com/hactl/hactl/app"
	"github.com/hactl/hactl/phases"
)

func newCertsVerify(streams Streams) *cobra.Command {
	f := &certsFlags{}
	c := &cobra.Command{
		Use:   "verify [DIRECTORY]",
		Short: "Judge certificates that were copied from another control plane",
		Long: text(`
			Say of each file in a directory of certificates whether it is right: what is
			missing, which key does not fit its certificate, what has ended or soon will,
			whose mode lets others in, and what must not be there, because each node
			makes its own. Files that a guide lets you copy into one folder, such as
			etcd-ca.crt, are known by these names, too. Nothing is changed.

			The directory is --cert-dir if none is named. It is judged for this machine,
			or for the node that --node-name and --apiserver-advertise-address name.

			The exit code is 1 if something is wrong; each such thing comes with what to
			do about it.
		`),
		Example: examples(`
			# before hactl join --control-plane, when the files came with scp
			hactl certs verify

			# before they are copied, for another node
			hactl certs verify certs-for-cp-2 --node-name cp-2 --apiserver-advertise-address 10.0.0.12
		`),
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			return oneArgument("directory")(c, args)
		},
		RunE: func(c *cobra.Command, args []string) error {
			r, err := renderer(c, streams)
			if err != nil {
				return err
			}
			node, warnings, err := f.input(streams)
			if err != nil {
				return err
			}
			in := app.CertsVerifyInput{CertsNode: node}
			if len(args) > 0 {
				in.Dir = absolute(args[0])
			}
			warn(r, warnings)
			result, err := app.CertsVerify(c.Context(), in)
			if err != nil {
				return err
			}
			if err := r.Result(result); err != nil {
				return err
			}
			if !result.Good {
				return &shownError{code: phases.CodeFailed}
			}
			return nil
		},
	}
	f.registerNode(c.Flags())
	onlyTyped(c, "ca-cert-hash", "external-ca")
	return c
}
