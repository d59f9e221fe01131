package kubelet

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"path"
	"strconv"
	"time"

	"k8s.io/client-go/tools/clientcmd"

	"github.com/hactl/hactl/certs"
	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/wait"
)

// BootstrapPhase is phase kubelet-wait-bootstrap: the kubelet has got a client
// certificate of its own and is healthy; then the way that let it in until
// then is closed. Task.Join must be set.
func BootstrapPhase() phases.Phase[Task] {
	return phases.Phase[Task]{
		Name:   "kubelet-wait-bootstrap",
		Title:  "the kubelet is part of the cluster",
		Reads:  []string{path.Join(config.KubernetesDir, "kubelet.conf"), "health of the kubelet"},
		Writes: []string{path.Join(config.KubernetesDir, bootstrapFile) + " is removed"},
		Skip: func(t *Task) string {
			if t.Join.Bootstrap == nil {
				return "the kubelet's certificate was signed on this node"
			}
			if t.Join.Imagined {
				return "in a dry run no kubelet gets in"
			}
			return ""
		},
		Observe: observeBootstrap,
		Apply:   applyBootstrap,
	}
}

func observeBootstrap(ctx context.Context, t *Task) (phases.State, error) {
	if _, err := t.Host.Stat(ctx, t.bootstrapConf()); !errors.Is(err, fs.ErrNotExist) {
		return phases.Missing, err
	}
	in, err := t.gotIn(ctx)
	if err != nil || in.reason != "" {
		return phases.Missing, err
	}
	url, err := t.healthURL(ctx)
	if err != nil || url != "" && t.Join.Healthy(ctx, url) != nil {
		return phases.Missing, err
	}
	return phases.Done, nil
}

func applyBootstrap(ctx context.Context, t *Task) error {
	w := &watched{Task: t, began: time.Now()}
	if s, err := t.Host.Services().Status(ctx, config.KubeletUnit); err == nil {
		w.restarts = s.Restarts
	}
	if err := wait.For(ctx, t.Join.Limit, w.certificate()); err != nil {
		return w.notApproved(ctx, err)
	}
	if err := w.hurry(ctx); err != nil {
		return err
	}
	url, err := t.healthURL(ctx)
	if err != nil {
		return err
	}
	if url != "" {
		if err := wait.For(ctx, t.Join.HealthLimit, w.healthy(url)); err != nil {
			return err
		}
	}
	if err := t.Host.Remove(ctx, t.bootstrapConf()); err != nil {
		return fmt.Errorf("remove the kubelet's first credentials: %w", err)
	}
	return nil
}

// hurry has the kubelet register its node now if its certificate came so late
// that its tries have become rare. One that an earlier run has started is taken
// to be as old as the wait.
func (w *watched) hurry(ctx context.Context) error {
	started := w.started
	if started.IsZero() {
		started = w.began
	}
	did, err := w.registerNow(ctx, started)
	if did {
		phases.Report(ctx, "the certificate came late: the kubelet is started anew, so that it registers its node now")
	}
	return err
}

// watched is the kubelet during one wait.
type watched struct {
	*Task
	began    time.Time
	restarts int // before
	asked    time.Time
	request  string // what became of the signing request
}

func (w *watched) certificate() wait.Condition {
	return wait.Condition{
		What:      "the kubelet has its certificate",
		LimitName: "timeouts.tlsBootstrap",
		Check: func(ctx context.Context) (bool, string, error) {
			in, err := w.gotIn(ctx)
			if err != nil || in.reason == "" {
				return err == nil, "", err
			}
			if err := w.crashed(ctx); err != nil {
				return false, "", err
			}
			if request := w.signing(ctx); request != "" {
				return false, request, nil
			}
			return false, in.reason, nil
		},
	}
}

func (w *watched) healthy(url string) wait.Condition {
	return wait.Condition{
		What:      "the kubelet is healthy",
		LimitName: "timeouts.kubeletHealthCheck",
		Check: func(ctx context.Context) (bool, string, error) {
			err := w.Join.Healthy(ctx, url)
			if err == nil {
				return true, "", nil
			}
			return false, err.Error(), w.crashed(ctx)
		},
	}
}

// healthURL is where the kubelet tells its health, as it is configured and
// patched; "" if it does not.
func (t *Task) healthURL(ctx context.Context) (string, error) {
	k, err := t.settled(ctx)
	if err != nil || k.HealthzPort == nil || *k.HealthzPort == 0 {
		return "", err
	}
	return fmt.Sprintf("http://%s/healthz", net.JoinHostPort(k.HealthzBindAddress, strconv.Itoa(int(*k.HealthzPort)))), nil
}

// entry is what kubelet.conf says.
type entry struct {
	reason string // why the kubelet cannot log in with it, "" if it can
	ca     []byte // whom it trusts
}

// gotIn looks whether the kubelet can log in with kubelet.conf. The kubelet
// writes that file before it has the certificate that the file points to
// (k8s.io/kubernetes v1.37, pkg/kubelet/certificate/bootstrap), so the file
// alone says nothing.
func (t *Task) gotIn(ctx context.Context) (entry, error) {
	data, err := t.Host.ReadFile(ctx, t.conf())
	if errors.Is(err, fs.ErrNotExist) {
		return entry{reason: "no kubelet.conf yet"}, nil
	}
	if err != nil {
		return entry{}, err
	}
	conf, err := clientcmd.Load(data)
	if err != nil {
		return entry{reason: "kubelet.conf cannot be read"}, nil
	}
	current := conf.Contexts[conf.CurrentContext]
	if current == nil || conf.Clusters[current.Cluster] == nil || conf.AuthInfos[current.AuthInfo] == nil {
		return entry{reason: "kubelet.conf has no user"}, nil
	}
	var e entry
	cluster, user := conf.Clusters[current.Cluster], conf.AuthInfos[current.AuthInfo]
	if e.ca, err = t.material(ctx, cluster.CertificateAuthorityData, cluster.CertificateAuthority); err != nil {
		return e, err
	}
	cert, err := t.material(ctx, user.ClientCertificateData, user.ClientCertificate)
	if err != nil {
		return e, err
	}
	key, err := t.material(ctx, user.ClientKeyData, user.ClientKey)
	if err != nil {
		return e, err
	}
	e.reason = t.unusable(cert, key)
	return e, nil
}

// unusable says why a certificate and key let nobody in, "" if they do.
func (t *Task) unusable(cert, key []byte) string {
	now := time.Now
	if t.Join != nil && t.Join.Now != nil {
		now = t.Join.Now
	}
	if len(cert) == 0 || len(key) == 0 {
		return "no certificate yet"
	}
	chain, err := certs.ParseCerts(cert)
	if err != nil {
		return "its certificate cannot be read"
	}
	private, err := certs.ParseKey(key)
	switch {
	case err != nil:
		return "its key cannot be read"
	case !certs.SamePublicKey(private.Public(), chain[0].PublicKey):
		return "its key does not belong to its certificate"
	case now().After(chain[0].NotAfter):
		return "its certificate has expired"
	}
	return ""
}

// material returns the embedded data or else the content of the file, nothing
// if that is not there.
func (t *Task) material(ctx context.Context, data []byte, name string) ([]byte, error) {
	if len(data) > 0 || name == "" {
		return data, nil
	}
	if !path.IsAbs(name) {
		name = path.Join(t.ConfDir, name) // as client-go resolves it
	}
	data, err := t.Host.ReadFile(ctx, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return data, err
}
