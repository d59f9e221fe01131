package cmd

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/hactl/hactl/app"
	"github.com/hactl/hactl/cmd/render"
)

// exportFlags are the flags of certs export.
type exportFlags struct {
	certsFlags
	sealFlags
	extra bool
}

const exportedFile = "hactl-certs.age"

func newCertsExport(streams Streams) *cobra.Command {
	f := &exportFlags{}
	c := &cobra.Command{
		Use:   "export",
		Short: "Write the certificates that another control plane needs to join",
		Long: text(`
			Write exactly those certificates and keys that a control plane needs to join:
			the CAs of the cluster, of the front proxy and of etcd, and the keys of
			service accounts. With external etcd, these are etcd's CA certificate and the
			client's pair. What each node makes for itself stays here. All of it is
			verified before anything is written.

			The archive is encrypted as age does it (https://age-encryption.org/v1): with
			a passphrase, which a terminal is asked for, or for the recipients' public
			keys. Files that the settings of the control plane name, such as an
			EncryptionConfiguration, are told or taken along.
		`),
		Example: examples(`
			hactl certs export
			scp hactl-certs.age cp-2:

			# without a passphrase: for a key that age-keygen made on the other node
			hactl certs export --recipient age1…

			# in the clear, to be brought over ssh and removed
			hactl certs export --directory certs-for-cp-2
		`),
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return f.run(c, streams) },
	}
	s := c.Flags()
	f.certsFlags.register(s)
	f.sealFlags.register(s, exportedFile)
	s.BoolVar(&f.extra, "include-extra-files", false, "take the files along that the settings of the control plane name")
	onlyTyped(c, sealNames...)
	return c
}

func (f *exportFlags) run(c *cobra.Command, streams Streams) error {
	r, err := renderer(c, streams)
	if err != nil {
		return err
	}
	if err := f.consistent(c, f.config); err != nil {
		return err
	}
	node, warnings, err := f.input(streams)
	if err != nil {
		return err
	}
	in := app.CertsExportInput{CertsNode: node, Directory: absolute(f.directory), Extra: f.extra}
	if f.directory == "" {
		in.File = absolute(f.file)
		if in.Passphrase, in.Recipients, err = f.lock(c.Context(), streams); err != nil {
			return err
		}
	}
	return show(c.Context(), r, func(ctx context.Context) (render.Result, error) {
		warn(r, warnings)
		return app.CertsExport(ctx, in, r.Event)
	})
}
