package cmd

import (
	"context"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hactl/hactl/app"
	"github.com/hactl/hactl/cmd/render"
	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases"
)

// createFlags are the flags of token create, by kubeadm's names.
type createFlags struct {
	*accessFlags

	config                             string
	certificateKey, certificateKeyFile string
	description                        string
	groups, usages                     []string
	ttl                                time.Duration
	printJoin, controlPlane            bool
}

func newTokenCreate(streams Streams, access *accessFlags) *cobra.Command {
	f := &createFlags{accessFlags: access}
	c := &cobra.Command{
		Use:   "create [TOKEN]",
		Short: "Make a bootstrap token and add it to the cluster",
		Long: text(`
			Make a bootstrap token, add it to the cluster and print it. A TOKEN of your
			own has the form abcdef.0123456789abcdef; - reads it from standard input,
			so that it does not show in the process list.

			With --print-join-command the command is printed that joins a worker; with
			a certificate key, the one that joins a control plane with certificates
			that are uploaded already. --control-plane uploads the certificates of this
			node, with a new key, and prints the whole command for a control plane.
		`),
		Example: examples(`
			# a token for a day, and the command for workers
			hactl token create --print-join-command

			# all that a further control plane needs, on a control-plane node
			hactl token create --control-plane

			# a token that never expires
			hactl token create --ttl 0 --description "for the image builder"
		`),
		Args: atMostOne,
		RunE: func(c *cobra.Command, args []string) error {
			r, err := renderer(c, streams)
			if err != nil {
				return err
			}
			in, warnings, err := f.input(c, streams, args)
			if err != nil {
				return err
			}
			return show(c.Context(), r, func(ctx context.Context) (render.Result, error) {
				warn(r, warnings)
				result, err := app.CreateToken(ctx, in, r.Event)
				return result, named(err, map[string]string{
					"token.token": "the token", "token.ttl": "--ttl", "token.usages": "--usages", "token.groups": "--groups",
				})
			})
		},
	}
	f.register(c)
	return c
}

func (f *createFlags) register(c *cobra.Command) {
	s := c.Flags()
	s.StringVar(&f.certificateKey, "certificate-key", "", "key of the uploaded certificates, for --print-join-command; it shows in the process list: rather use --certificate-key-file")
	s.StringVar(&f.certificateKeyFile, "certificate-key-file", "", "file that holds the certificate key, or - for standard input")
	s.StringVar(&f.config, "config", "", "kubeadm configuration file whose bootstrapTokens are made, or - for standard input")
	s.BoolVar(&f.controlPlane, "control-plane", false, "upload the certificates and print the command that joins a control plane")
	s.StringVar(&f.description, "description", "", "what the token is for")
	s.StringSliceVar(&f.groups, "groups", []string{config.NodeGroup}, "groups of whoever comes with the token")
	s.BoolVar(&f.printJoin, "print-join-command", false, "print the command that joins a node instead of the token")
	s.DurationVar(&f.ttl, "ttl", config.DefaultTokenTTL, "how long the token lives; 0 for ever")
	s.StringSliceVar(&f.usages, "usages", []string{"signing", "authentication"}, "what the token is good for")
	onlyTyped(c, "certificate-key", "certificate-key-file", "control-plane", "description", "groups", "print-join-command", "ttl", "usages")
}

func atMostOne(c *cobra.Command, args []string) error {
	if len(args) < 2 {
		return nil
	}
	// The arguments may be secrets, so they are not shown.
	return &phases.Fault{What: "more than one token is named", Fixes: []string{"see: " + c.CommandPath() + " --help"}, Exit: phases.CodeUsage}
}

func (f *createFlags) input(c *cobra.Command, streams Streams, args []string) (in app.TokenInput, warnings []string, err error) {
	in = app.TokenInput{Access: f.access(), Join: f.kind()}
	if in.CertificateKey, err = f.key(streams); err != nil {
		return in, nil, err
	}
	if err := f.together(c, args); err != nil {
		return in, nil, err
	}
	if f.config != "" {
		docs, err := initFile(f.config, streams)
		if err != nil {
			return in, nil, err
		}
		in.Tokens = docs.Init.Tokens
		if in.Join == app.UploadedJoin && in.CertificateKey == "" {
			in.CertificateKey = docs.Init.CertificateKey
		}
		return in, docs.Warnings, nil
	}
	t := config.Token{Description: f.description, TTL: f.ttl, Usages: f.usages, Groups: f.groups}
	if !c.Flags().Changed("groups") && !slices.Contains(f.usages, "authentication") {
		t.Groups = nil // groups are of use with authentication only
	}
	if len(args) > 0 {
		t.Value, err = typedSecret(args[0], streams)
	}
	in.Tokens = []config.Token{t}
	return in, nil, err
}

func (f *createFlags) kind() app.JoinKind {
	switch {
	case f.controlPlane:
		return app.UploadedJoin
	case f.printJoin && f.certificateKey+f.certificateKeyFile != "":
		return app.ControlPlaneJoin
	case f.printJoin:
		return app.WorkerJoin
	}
	return app.NoJoin
}

func (f *createFlags) key(streams Streams) (config.Secret, error) {
	if f.certificateKeyFile == "" {
		return config.Secret(f.certificateKey), nil
	}
	data, err := readInput(f.certificateKeyFile, streams)
	return config.Secret(strings.TrimSpace(string(data))), err
}

// together refuses what makes no sense at the same time.
func (f *createFlags) together(c *cobra.Command, args []string) error {
	usage := func(what, fix string) error {
		return &phases.Fault{What: what, Fixes: []string{fix}, Exit: phases.CodeUsage}
	}
	if f.config != "" {
		if err := refuseBesideConfig(c.Flags(), "control-plane"); err != nil {
			return err
		}
	}
	stdin := 0
	for _, s := range append([]string{f.config, f.certificateKeyFile}, args...) {
		if s == "-" {
			stdin++
		}
	}
	switch {
	case f.config != "" && len(args) > 0:
		return usage("a token cannot stand beside --config, which has its own", "set it in the file: bootstrapTokens, or leave --config out")
	case f.certificateKey != "" && f.certificateKeyFile != "":
		return usage("--certificate-key and --certificate-key-file cannot stand together", "leave out --certificate-key")
	case f.certificateKey+f.certificateKeyFile != "" && f.kind() == app.NoJoin:
		return usage("a certificate key is of no use without a join command", "add --print-join-command or --control-plane")
	case len(f.usages) == 0:
		return usage("--usages is empty, and a token without usages is of no use", "use signing, authentication")
	case stdin > 1:
		return usage("standard input cannot be read twice", "put one of them into a file")
	}
	return nil
}

// typedSecret is an argument, or standard input for "-".
func typedSecret(arg string, streams Streams) (config.Secret, error) {
	if arg != "-" {
		return config.Secret(arg), nil
	}
	data, err := io.ReadAll(streams.In)
	return config.Secret(strings.TrimSpace(string(data))), err
}
