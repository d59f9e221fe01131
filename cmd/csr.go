package cmd

import (
	"context"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/hactl/hactl/app"
	"github.com/hactl/hactl/cmd/render"
	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases"
)

// csrFlags are the flags of certs generate-csr, by kubeadm's names.
type csrFlags struct{ config, certDir, kubeconfigDir string }

func newGenerateCSR(streams Streams) *cobra.Command {
	f := &csrFlags{}
	c := &cobra.Command{
		Use:   "generate-csr",
		Short: "Make keys and certificate signing requests for an external CA",
		Long: text(`
			Make the private keys of a control-plane node and, for each, a certificate
			signing request (CSR) for an external CA: NAME.key and NAME.csr in the
			certificates directory, NAME.conf and NAME.conf.csr for each kubeconfig
			file. What is there is kept: a request that is missing is made for the key
			that exists.

			Sign the requests and save each certificate as NAME.crt; add those of the
			kubeconfig files to them, with the CA. hactl init verifies all of it.
		`),
		Example: examples(`
			hactl certs generate-csr --config cluster.yaml

			# into another directory
			hactl certs generate-csr --kubeconfig-dir /tmp/k8s --cert-dir /tmp/k8s/pki

			# the certificate of a kubeconfig file
			kubectl config --kubeconfig admin.conf set-credentials kubernetes-admin \
			    --client-certificate admin.conf.crt --embed-certs
			kubectl config --kubeconfig admin.conf set-cluster kubernetes \
			    --certificate-authority pki/ca.crt --embed-certs
		`),
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return f.run(c, streams) },
	}
	s := c.Flags()
	s.StringVar(&f.certDir, "cert-dir", config.DefaultCertsDir, "directory of the certificates; beats the one in --config")
	s.StringVar(&f.config, "config", "", "kubeadm configuration file, or - for standard input")
	s.StringVar(&f.kubeconfigDir, "kubeconfig-dir", config.KubernetesDir, "directory of the kubeconfig files")
	return c
}

func (f *csrFlags) run(c *cobra.Command, streams Streams) error {
	r, err := renderer(c, streams)
	if err != nil {
		return err
	}
	in := app.RequestsInput{Config: config.NewInit(), KubeconfigDir: absolute(f.kubeconfigDir)}
	warnings := []string{"without --config the requests are for the defaults: they know no control-plane endpoint"}
	if f.config != "" {
		docs, err := initFile(f.config, streams)
		if err != nil {
			return err
		}
		in.Config, warnings = docs.Init, docs.Warnings
	}
	if c.Flags().Changed("cert-dir") {
		in.Config.Cluster.CertificatesDir = absolute(f.certDir)
	}
	return show(c.Context(), r, func(ctx context.Context) (render.Result, error) {
		warn(r, warnings)
		return app.SigningRequests(ctx, in, r.Event)
	})
}

// warn tells of what came up while the configuration was read.
func warn(r render.Renderer, warnings []string) {
	for _, w := range warnings {
		r.Event(phases.Event{Phase: "config", Kind: phases.Warning, At: time.Now(), Reason: w})
	}
}

// absolute is the path as seen from the root; "" stays.
func absolute(p string) string {
	if p == "" {
		return p
	}
	if abs, err := filepath.Abs(p); err == nil {
		return abs
	}
	return p
}
