package cmd

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/hactl/hactl/app"
	"github.com/hactl/hactl/cmd/render"
	"github.com/hactl/hactl/config"
)

func newEtcdCredentials(streams Streams) *cobra.Command {
	return group("credentials", "What others need to use the etcd cluster, or to join it", newEtcdExport(streams), newEtcdImport(streams))
}

const exportedCredentials = "hactl-etcd.age"

func newEtcdExport(streams Streams) *cobra.Command {
	f := &etcdHostFlags{}
	seal := &sealFlags{}
	var member string
	c := &cobra.Command{
		Use:   "export",
		Short: "Write the certificates that a control plane, or a further etcd host, needs",
		Long: text(`
			Write the certificates that the API servers need of this etcd cluster: CA,
			client certificate and its key; and print what stands in ClusterConfiguration.
			With --for-member, write those that a further etcd host needs to join. The key
			of the CA is never among them.

			The archive is encrypted as age does it (https://age-encryption.org/v1): with
			a passphrase, which a terminal is asked for, or for the recipients' public
			keys. hactl etcd credentials import installs it on the other machine. A
			directory has the shape of /etc/kubernetes/pki and is not encrypted.
		`),
		Example: examples(`
			# for the first control plane; the others get them from the cluster
			hactl etcd credentials export

			# for a further etcd host
			hactl etcd credentials export --for-member etcd-2=10.0.0.32 --file etcd-2.age

			# in the clear, to be brought over ssh and removed
			hactl etcd credentials export --directory etcd-client
		`),
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			r, err := renderer(c, streams)
			if err != nil {
				return err
			}
			if err := seal.consistent(c); err != nil {
				return err
			}
			host, err := f.input()
			if err != nil {
				return err
			}
			in := app.EtcdExportInput{EtcdHostInput: host, Directory: absolute(seal.directory), Member: member}
			if seal.directory == "" {
				in.File = absolute(seal.file)
				if in.Passphrase, in.Recipients, err = seal.lock(c.Context(), streams); err != nil {
					return err
				}
			}
			return show(c.Context(), r, func(ctx context.Context) (render.Result, error) { return app.EtcdExport(ctx, in, r.Event) })
		},
	}
	s := c.Flags()
	f.registerHost(s)
	seal.register(s, exportedCredentials)
	s.StringSliceVar(&f.sans, "cert-extra-sans", nil, "further names and addresses in the certificates of --for-member")
	s.StringVar(&member, "for-member", "", "host that is to join, as NAME=ADDRESS")
	onlyTyped(c, append([]string{"for-member"}, sealNames...)...)
	return c
}

func newEtcdImport(streams Streams) *cobra.Command {
	open := &openFlags{}
	in := app.EtcdImportInput{}
	var certDir string
	var pins []string
	c := &cobra.Command{
		Use:   "import FILE|DIRECTORY",
		Short: "Verify the certificates that an etcd host exported and install them",
		Long: text(`
			Install what hactl etcd credentials export wrote, on the first control plane
			or on an etcd host that is to join.

			Everything is verified first: nothing may be missing, each key fits its
			certificate, and all are of one CA. Then all files are installed or none. What
			is there already and is the same stays; what differs is refused and never
			overwritten.

			A passphrase says that an archive is the one that somebody wrote for this
			machine. Recipients do not: with --ca-cert-hash, which export prints, it is
			that etcd's, too.
		`),
		Example: examples(`
			hactl etcd credentials import hactl-etcd.age

			# what would it do?
			hactl etcd credentials import hactl-etcd.age --dry-run
		`),
		Args: oneArgument("archive or directory"),
		RunE: func(c *cobra.Command, args []string) error {
			r, err := renderer(c, streams)
			if err != nil {
				return err
			}
			if err := oneInput(open.files()...); err != nil {
				return err
			}
			if in.Pins, err = parsePins(pins, "copy it from what hactl etcd credentials export prints"); err != nil {
				return err
			}
			if in.Passphrase, in.Identities, err = open.key(c.Context(), streams); err != nil {
				return err
			}
			in.From, in.CertDir = absolute(args[0]), absolute(certDir)
			return show(c.Context(), r, func(ctx context.Context) (render.Result, error) { return app.EtcdImport(ctx, in, r.Event) })
		},
	}
	s := c.Flags()
	open.register(s)
	s.StringSliceVar(&pins, "ca-cert-hash", nil, "hash that etcd's CA must have, as export prints it: sha256:…")
	s.StringVar(&certDir, "cert-dir", config.DefaultCertsDir, "directory of the certificates")
	s.BoolVar(&in.DryRun, "dry-run", false, "show what would be done and change nothing")
	onlyTyped(c, "ca-cert-hash", "passphrase-file", "identity")
	return c
}
