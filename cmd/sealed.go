package cmd

import (
	"context"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases"
)

// sealFlags say where certificates are written that go to another machine,
// and who can open the archive.
type sealFlags struct {
	file, directory, passphraseFile string
	recipients, recipientFiles      []string
}

// sealNames are those flags.
var sealNames = []string{"file", "directory", "passphrase-file", "recipient", "recipients-file"}

func (f *sealFlags) register(s *pflag.FlagSet, file string) {
	s.StringVar(&f.file, "file", file, "archive to write")
	s.StringVar(&f.directory, "directory", "", "directory to write the files into, not encrypted, instead of an archive")
	s.StringVar(&f.passphraseFile, "passphrase-file", "", "file with the passphrase, or - for standard input")
	s.StringSliceVar(&f.recipients, "recipient", nil, "public key of age or SSH that the archive is encrypted for")
	s.StringSliceVar(&f.recipientFiles, "recipients-file", nil, "file with such keys, one a line")
}

// consistent refuses flags of which one would be without effect. Others are
// further files that the command reads.
func (f *sealFlags) consistent(c *cobra.Command, others ...string) error {
	if err := oneInput(append(append(others, f.passphraseFile), f.recipientFiles...)...); err != nil {
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

// lock finds out who can open the archive: whoever has the passphrase, or else
// the recipients.
func (f *sealFlags) lock(ctx context.Context, streams Streams) (passphrase config.Secret, recipients []string, err error) {
	recipients = f.recipients
	for _, file := range f.recipientFiles {
		data, err := readInput(file, streams)
		if err != nil {
			return "", nil, err
		}
		n := len(recipients)
		for line := range strings.Lines(string(data)) {
			if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
				recipients = append(recipients, line)
			}
		}
		if len(recipients) == n {
			return "", nil, &phases.Fault{What: file + " has no recipient", Fixes: []string{"write public keys of age into it, one a line"}, Exit: phases.CodeUsage}
		}
	}
	switch {
	case len(recipients) > 0:
	case f.passphraseFile != "":
		passphrase, err = passphraseFile(f.passphraseFile, streams)
	default:
		passphrase, err = newPassphrase(ctx, streams)
	}
	return passphrase, recipients, err
}

// openFlags say what opens an archive.
type openFlags struct {
	passphraseFile string
	identities     []string
}

func (f *openFlags) register(s *pflag.FlagSet) {
	s.StringVar(&f.passphraseFile, "passphrase-file", "", "file with the passphrase, or - for standard input")
	s.StringSliceVar(&f.identities, "identity", nil, "file with a private key of age, or - for standard input")
}

// files are those that the flags name.
func (f *openFlags) files() []string { return append([]string{f.passphraseFile}, f.identities...) }

// key reads what opens the archive. Ask is nil where nobody can be asked for
// a passphrase.
func (f *openFlags) key(ctx context.Context, streams Streams) (ask func() (config.Secret, error), identities []config.Secret, err error) {
	for _, file := range f.identities {
		data, err := readInput(file, streams)
		if err != nil {
			return nil, nil, err
		}
		identities = append(identities, config.Secret(data))
	}
	switch {
	case f.passphraseFile != "":
		secret, err := passphraseFile(f.passphraseFile, streams)
		if err != nil {
			return nil, nil, err
		}
		ask = func() (config.Secret, error) { return secret, nil }
	case streams.terminal() != nil:
		ask = func() (config.Secret, error) { return typePassphrase(ctx, streams, "Passphrase of the archive: ") }
	}
	return ask, identities, nil
}
