package cmd

import (
	"context"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hactl/hactl/app"
	"github.com/hactl/hactl/cmd/render"
	"github.com/hactl/hactl/phases"
)

func newKubeconfig(streams Streams) *cobra.Command {
	return group("kubeconfig", "Work with kubeconfig files", newKubeconfigUser(streams))
}

// userFlags are the flags of kubeconfig user, by kubeadm's names.
type userFlags struct {
	client, config, kubeconfig, token string
	organizations                     []string
	validity                          time.Duration
}

const year = 365 * 24 * time.Hour

func newKubeconfigUser(streams Streams) *cobra.Command {
	f := &userFlags{}
	c := &cobra.Command{
		Use:   "user",
		Short: "Print a kubeconfig file for a further user",
		Long: text(`
			Print a kubeconfig file for a further user: with a client certificate that
			the CA of this control-plane node signs, or with a token. What the user may
			do is up to RBAC; the organizations are the user's groups.

			Endpoint, name and certificates directory of the cluster come from --config
			or else from the cluster itself.
		`),
		Example: examples(`
			hactl kubeconfig user --client-name jane --org developers > jane.conf

			# with a token, not shown in the process list
			hactl kubeconfig user --client-name ci --token - < token > ci.conf
		`),
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return f.run(c, streams) },
	}
	required(c, &f.client, "client-name", "name of the user: the common name of the certificate")
	s := c.Flags()
	s.StringVar(&f.config, "config", "", "kubeadm configuration file, or - for standard input")
	s.StringVar(&f.kubeconfig, "kubeconfig", adminConf, "kubeconfig file to read the cluster's configuration with, where there is no --config")
	s.StringSliceVar(&f.organizations, "org", nil, "organizations in the certificate")
	s.StringVar(&f.token, "token", "", "token to log in with instead of a certificate, or - for standard input")
	s.DurationVar(&f.validity, "validity-period", year, "how long the certificate is valid")
	onlyTyped(c, "client-name", "org", "token", "validity-period")
	return c
}

func (f *userFlags) run(c *cobra.Command, streams Streams) error {
	r, err := renderer(c, streams)
	if err != nil {
		return err
	}
	in := app.UserInput{Access: (&accessFlags{kubeconfig: f.kubeconfig}).access(), Name: f.client, Organizations: f.organizations, Validity: f.validity}
	if f.config == "-" && f.token == "-" {
		return &phases.Fault{What: "standard input cannot be read twice", Fixes: []string{"put the configuration into a file"}, Exit: phases.CodeUsage}
	}
	if in.Token, err = typedSecret(f.token, streams); err != nil {
		return err
	}
	if f.token == "-" && in.Token == "" {
		return &phases.Fault{What: "there is no token on standard input", Fixes: []string{"see: " + c.CommandPath() + " --help"}, Exit: phases.CodeUsage}
	}
	var warnings []string
	if f.config != "" {
		docs, err := initFile(f.config, streams)
		if err != nil {
			return err
		}
		in.Config, warnings = docs.Init, docs.Warnings
	}
	return show(c.Context(), r, func(ctx context.Context) (render.Result, error) {
		warn(r, warnings)
		data, err := app.UserKubeconfig(ctx, in, r.Event)
		return kubeconfigFile{data.Reveal()}, err
	})
}

// kubeconfigFile is the result of kubeconfig user, which the user asked to
// see.
type kubeconfigFile struct {
	Kubeconfig string `json:"kubeconfig"`
}

// Text writes the file.
func (k kubeconfigFile) Text(w io.Writer) error {
	_, err := io.WriteString(w, strings.TrimRight(k.Kubeconfig, "\n")+"\n")
	return err
}
