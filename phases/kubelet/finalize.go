package kubelet

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"

	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/templates/staticpod"
)

// FinalizePhase is phase kubelet-finalize: kubelet.conf is made to point at
// the certificate that the kubelet renews, instead of holding the first one.
//
// The kubelet is not restarted: it copied the first certificate to its own
// directory when it started and renews it there. The file matters from its
// next start on.
func FinalizePhase() phases.Phase[Task] {
	return phases.Phase[Task]{
		Name:  "kubelet-finalize",
		Title: "let the kubelet renew its certificate",
		Phases: []phases.Phase[Task]{{
			Name:    "enable-client-cert-rotation",
			Title:   "kubelet.conf uses the renewed certificate",
			Reads:   []string{path.Join(config.KubeletDir, "pki/kubelet-client-current.pem")},
			Writes:  []string{path.Join(config.KubernetesDir, "kubelet.conf")},
			Observe: observeFinalize,
			Apply:   applyFinalize,
		}},
	}
}

func observeFinalize(ctx context.Context, t *Task) (phases.State, error) {
	if _, err := t.Host.Stat(ctx, t.current()); errors.Is(err, fs.ErrNotExist) {
		phases.Warn(ctx, "the kubelet keeps no renewable certificate at "+t.current()+": kubelet.conf stays as it is")
		return phases.Done, nil
	} else if err != nil {
		return phases.Missing, err
	}
	_, user, err := t.kubeconfig(ctx)
	if err != nil {
		return phases.Missing, err
	}
	if user.ClientCertificate == t.current() && user.ClientKey == t.current() {
		return phases.Done, nil
	}
	return phases.Missing, nil
}

func applyFinalize(ctx context.Context, t *Task) error {
	kubeconfig, user, err := t.kubeconfig(ctx)
	if err != nil {
		return err
	}
	user.ClientCertificateData, user.ClientKeyData = nil, nil
	user.ClientCertificate, user.ClientKey = t.current(), t.current()
	data, err := clientcmd.Write(*kubeconfig)
	if err != nil {
		return fmt.Errorf("encode kubelet.conf: %w", err)
	}
	return t.Host.WriteFile(ctx, t.conf(), data, 0o600)
}

func (t *Task) conf() string { return path.Join(t.ConfDir, "kubelet.conf") }

// current is where the kubelet links its newest certificate and key.
func (t *Task) current() string {
	dir := path.Join(t.Dir, "pki")
	if given, ok := staticpod.Extra(t.Node.KubeletArgs, "cert-dir"); ok {
		dir = given
	}
	return path.Join(dir, "kubelet-client-current.pem")
}

// kubeconfig reads kubelet.conf and returns it with the user of its current
// context.
func (t *Task) kubeconfig(ctx context.Context) (*api.Config, *api.AuthInfo, error) {
	data, err := t.Host.ReadFile(ctx, t.conf())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, &phases.Fault{
			What:  t.conf() + " is missing",
			Fixes: []string{"make it with: hactl init phase kubeconfig kubelet"},
		}
	}
	if err != nil {
		return nil, nil, err
	}
	kubeconfig, err := clientcmd.Load(data)
	if err != nil {
		return nil, nil, fmt.Errorf("read %s: %w", t.conf(), err)
	}
	current, ok := kubeconfig.Contexts[kubeconfig.CurrentContext]
	if !ok || kubeconfig.AuthInfos[current.AuthInfo] == nil {
		return nil, nil, &phases.Fault{
			What:  t.conf() + " has no user in its current context",
			Fixes: []string{"move it away and make it anew with: hactl init phase kubeconfig kubelet"},
		}
	}
	return kubeconfig, kubeconfig.AuthInfos[current.AuthInfo], nil
}
