package cmd

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/hactl/hactl/app"
	"github.com/hactl/hactl/cmd/render"
	"github.com/hactl/hactl/config"
)

// importFlags are the flags of certs import.
type importFlags struct {
	certsFlags
	openFlags
	allow  []string
	dryRun bool
}

func newCertsImport(streams Streams) *cobra.Command {
	f := &importFlags{}
	c := &cobra.Command{
		Use:   "import FILE|DIRECTORY",
		Short: "Verify certificates from another control plane and install them",
		Long: text(`
			Install the certificates that hactl certs export wrote on another control
			plane, or that somebody copied into a directory, so that this node can join
			without a certificate key.

			Everything is verified first: nothing may be missing, each key fits its
			certificate, and nothing is there that each node makes for itself. Then all
			files are installed or none. What is there already and is the same stays;
			what differs is refused and never overwritten.

			A passphrase says that an archive is the one that somebody wrote for this
			node. Recipients do not: with --ca-cert-hash it is the cluster's, too.
		`),
		Example: examples(`
			hactl certs import hactl-certs.age --ca-cert-hash sha256:…

			# what would it do?
			hactl certs import hactl-certs.age --dry-run
		`),
		Args: oneArgument("archive or directory"),
		RunE: func(c *cobra.Command, args []string) error { return f.run(c, streams, args[0]) },
	}
	s := c.Flags()
	f.registerNode(s)
	f.openFlags.register(s)
	s.StringSliceVar(&f.allow, "allow-dir", []string{config.KubernetesDir}, "directories outside --cert-dir that files may be written to")
	s.BoolVar(&f.dryRun, "dry-run", false, "show what would be done and change nothing")
	onlyTyped(c, "passphrase-file", "identity", "allow-dir", "ca-cert-hash", "external-ca")
	return c
}

func (f *importFlags) run(c *cobra.Command, streams Streams, from string) error {
	r, err := renderer(c, streams)
	if err != nil {
		return err
	}
	if err := oneInput(append(f.files(), f.config)...); err != nil {
		return err
	}
	node, warnings, err := f.input(streams)
	if err != nil {
		return err
	}
	in := app.CertsImportInput{CertsNode: node, From: absolute(from), DryRun: f.dryRun}
	for _, dir := range f.allow {
		in.Allow = append(in.Allow, absolute(dir))
	}
	if in.Passphrase, in.Identities, err = f.key(c.Context(), streams); err != nil {
		return err
	}
	return show(c.Context(), r, func(ctx context.Context) (render.Result, error) {
		warn(r, warnings)
		return app.CertsImport(ctx, in, r.Event)
	})
}
