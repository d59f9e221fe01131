package cmd

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hactl/hactl/app"
	"github.com/hactl/hactl/cmd/render"
	"github.com/hactl/hactl/phases"
)

// exportFlags are the flags of certs export.
type exportFlags struct {
	certsFlags
	file, directory, passphraseFile string
	recipients, recipientFiles      []string
	extra                           bool
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
	f.register(s)
	s.StringVar(&f.file, "file", exportedFile, "archive to write")
	s.StringVar(&f.directory, "directory", "", "directory to write the files into, not encrypted, instead of an archive")
	s.StringVar(&f.passphraseFile, "passphrase-file", "", "file with the passphrase, or - for standard input")
	s.StringSliceVar(&f.recipients, "recipient", nil, "public key of age or SSH that the archive is encrypted for")
	s.StringSliceVar(&f.recipientFiles, "recipients-file", nil, "file with such keys, one a line")
	s.BoolVar(&f.extra, "include-extra-files", false, "take the files along that the settings of the control plane name")
	onlyTyped(c, "file", "directory", "passphrase-file", "recipient", "recipients-file")
	return c
}

func (f *exportFlags) run(c *cobra.Command, streams Streams) error {
	r, err := renderer(c, streams)
	if err != nil {
		return err
	}
	if err := f.consistent(c); err != nil {
		return err
	}
	node, warnings, err := f.input(streams)
	if err != nil {
		return err
	}
	in := app.CertsExportInput{CertsNode: node, Directory: absolute(f.directory), Extra: f.extra}
	if f.directory == "" {
		in.File = absolute(f.file)
		if err := f.lock(c.Context(), &in, streams); err != nil {
			return err
		}
	}
	return show(c.Context(), r, func(ctx context.Context) (render.Result, error) {
		warn(r, warnings)
		return app.CertsExport(ctx, in, r.Event)
	})
}

// consistent refuses flags of which one would be without effect.
func (f *exportFlags) consistent(c *cobra.Command) error {
	if err := oneInput(append([]string{f.config, f.passphraseFile}, f.recipientFiles...)...); err != nil {
		return err
	}
	toRecipients := len(f.recipients)+len(f.recipientFiles) > 0
	var what string
	switch {
	case f.directory != "" && (f.passphraseFile != "" || toRecipients || c.Flags().Changed("file")):
		what = "a directory is not encrypted: --directory goes with none of --file, --passphrase-file, --recipient, --recipients-file"
	case f.passphraseFile != "" && toRecipients:
		what = "an archive has a passphrase or recipients, not both"
	default:
		return nil
	}
	return &phases.Fault{What: what, Fixes: []string{"leave one of them out"}, Exit: phases.CodeUsage}
}

// lock finds out who can open the archive.
func (f *exportFlags) lock(ctx context.Context, in *app.CertsExportInput, streams Streams) (err error) {
	in.Recipients = f.recipients
	for _, file := range f.recipientFiles {
		data, err := readInput(file, streams)
		if err != nil {
			return err
		}
		n := len(in.Recipients)
		for line := range strings.Lines(string(data)) {
			if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
				in.Recipients = append(in.Recipients, line)
			}
		}
		if len(in.Recipients) == n {
			return &phases.Fault{What: file + " has no recipient", Fixes: []string{"write public keys of age into it, one a line"}, Exit: phases.CodeUsage}
		}
	}
	switch {
	case len(in.Recipients) > 0:
	case f.passphraseFile != "":
		in.Passphrase, err = passphraseFile(f.passphraseFile, streams)
	default:
		in.Passphrase, err = newPassphrase(ctx, streams)
	}
	return err
}
