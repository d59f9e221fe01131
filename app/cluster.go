package app

import (
	"context"
	"crypto/tls"
	"errors"
	"path"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/kube"
)

// Access is the way to a cluster that runs.
type Access struct {
	// Kubeconfigs are an administrator's files: the first that exists counts.
	Kubeconfigs []string
	// DryRun changes nothing in the cluster.
	DryRun bool
}

// enter opens the API of a running cluster and sees that it answers.
func (m *machine) enter(ctx context.Context, a Access) error { return m.enterAt(ctx, "", a) }

// enterAt is enter by the API server at a URL; "" means that of the
// kubeconfig.
func (m *machine) enterAt(ctx context.Context, server string, a Access) error {
	m.api = m.dialAPI(m.host, server, a.Kubeconfigs)
	_, err := m.api.Raw(ctx, "/readyz")
	var status apierrors.APIStatus
	if errors.As(err, &status) && !apierrors.IsUnauthorized(err) {
		err = nil // it answers; whether it is ready shows in what is asked of it
	}
	if m.files != nil {
		m.objects = kube.NewOverlay(m.api)
		m.api = m.objects
	}
	return a.explain(err)
}

// explain says what a person can do about an error of the API.
func (a Access) explain(err error) error {
	var fault *phases.Fault
	var none *kube.KubeconfigError
	var untrusted *tls.CertificateVerificationError
	file := "the kubeconfig " + strings.Join(a.Kubeconfigs, " or ")
	admin := "give an administrator's kubeconfig: --kubeconfig " + path.Join(config.KubernetesDir, "admin.conf")
	switch {
	case err == nil, errors.As(err, &fault):
		return err
	case errors.As(err, &none):
		return &phases.Fault{What: none.Error(), Fixes: none.Fix(), Exit: phases.CodeUsage}
	case errors.As(err, &untrusted):
		return &phases.Fault{
			What: "the API server shows a certificate that " + file + " does not trust", Why: err,
			Fixes: []string{"see that the file is of this cluster", "or " + admin},
		}
	case apierrors.IsUnauthorized(err):
		return &phases.Fault{What: "the API server does not accept the credentials of " + file, Why: err, Fixes: []string{admin}}
	case apierrors.IsForbidden(err):
		return &phases.Fault{What: "the user of " + file + " may not do this", Why: err, Fixes: []string{admin}}
	case kube.Unreachable(err):
		return &phases.Fault{
			What: "the API server does not answer", Why: err,
			Fixes: []string{
				"see whether it runs, on a control-plane node: crictl ps -a --name kube-apiserver",
				"or " + admin,
			},
		}
	}
	return err
}

// settleFiles is settle for commands that need of the machine only its name
// and address. Neither the container runtime nor the network is asked; a
// version label stays one.
func (m *machine) settleFiles(c *config.Init) error {
	c.Default()
	name, err := m.hostname()
	if err != nil {
		return err
	}
	facts := config.Facts{Hostname: name}
	if !c.Local.Address.IsValid() {
		if facts.Address, err = m.address(); err != nil {
			return err
		}
	}
	c.Resolve(facts)
	if problems := c.Validate(); len(problems) > 0 {
		return &config.InvalidError{Problems: problems}
	}
	return nil
}
