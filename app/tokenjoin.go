package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"time"

	"github.com/hactl/hactl/certs"
	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/joincommand"
	"github.com/hactl/hactl/phases/publish"
	"github.com/hactl/hactl/phases/token"
)

// prepareJoin asks the cluster for what join commands are made of, before
// anything is changed.
func (m *machine) prepareJoin(ctx context.Context, in TokenInput, s *creation, notify func(phases.Event)) error {
	if in.Join == NoJoin {
		return nil
	}
	var err error
	if s.info, err = token.Discover(ctx, m.api); err != nil {
		return err
	}
	for _, t := range in.Tokens {
		if !slices.Contains(t.Groups, config.NodeGroup) {
			notify(m.tokenWarning("the token is not of group " + config.NodeGroup + ": a node can join with it only if you gave its groups the rights"))
		}
	}
	if in.Join == WorkerJoin {
		return nil
	}
	cluster, err := publish.FetchCluster(ctx, m.api)
	if err != nil {
		return err
	}
	if cluster.ControlPlaneEndpoint.IsZero() {
		return noEndpoint()
	}
	s.publish = publish.Task{API: m.api, Host: m.host, Cluster: cluster, Key: in.CertificateKey, Upload: true, Limit: apiLimit(), Now: m.now}
	if in.Join == UploadedJoin {
		return m.ownCA(ctx, cluster.CertificatesDir, s.info)
	}
	return m.checkKey(ctx, in, notify)
}

// apiLimit is how long uploads may take: the default, as these commands have
// no timeouts of their own.
func apiLimit() time.Duration {
	var t config.Timeouts
	t.Default()
	return t.KubernetesAPI
}

// checkKey warns of a certificate key that opens nothing: the command is
// still what the user asked for.
func (m *machine) checkKey(ctx context.Context, in TokenInput, notify func(phases.Event)) error {
	err := publish.CheckKey(ctx, m.api, in.CertificateKey)
	var shape *certs.CertificateKeyError
	switch {
	case errors.As(err, &shape):
		return &phases.Fault{What: "the certificate key cannot be used", Why: err, Fixes: []string{"make one with: hactl certs certificate-key"}, Exit: phases.CodeUsage}
	case errors.Is(err, publish.ErrNotUploaded), errors.Is(err, certs.ErrWrongKey):
		notify(m.tokenWarning(err.Error() + ", so no control plane can join with this command; upload them with: hactl init phase upload-certs --upload-certs --certificate-key-file FILE, or let hactl token create --control-plane do both"))
		return nil
	}
	return err
}

func (m *machine) tokenWarning(reason string) phases.Event {
	return phases.Event{Phase: "token", Kind: phases.Warning, At: m.now(), Reason: reason}
}

func noEndpoint() error {
	return &phases.Fault{
		What:  "the cluster has no control-plane endpoint, so no further control plane can join it",
		Why:   errors.New("controlPlaneEndpoint in ConfigMap kube-system/kubeadm-config is not set"),
		Fixes: []string{"for a cluster of several control planes: hactl init --control-plane-endpoint lb.example.com:6443"},
		Exit:  phases.CodeUsage,
	}
}

// ownCA refuses to upload this node's certificates to another cluster.
func (m *machine) ownCA(ctx context.Context, dir string, info token.Info) error {
	file := path.Join(dir, "ca.crt")
	data, err := m.host.ReadFile(ctx, file)
	if errors.Is(err, fs.ErrNotExist) {
		return &phases.Fault{
			What:  "the certificates cannot be uploaded: there is no " + file + " on this machine",
			Fixes: []string{"run the same command on a control-plane node"},
		}
	}
	if err != nil {
		return err
	}
	own, err := certs.ParseCerts(data)
	if err != nil {
		return fmt.Errorf("read %s: %w", file, err)
	}
	if !slices.ContainsFunc(info.CAs, own[0].Equal) {
		return &phases.Fault{
			What: "this machine's " + file + " is not the CA of the cluster that the kubeconfig leads to",
			Why:  errors.New("its keys would be uploaded to another cluster"),
			Fixes: []string{
				"give the kubeconfig of this node's cluster: --kubeconfig " + path.Join(config.KubernetesDir, "admin.conf"),
			},
			Exit: phases.CodeUnsafe,
		}
	}
	key := path.Join(dir, "ca.key")
	if _, err := m.host.Stat(ctx, key); errors.Is(err, fs.ErrNotExist) {
		return &phases.Fault{
			What: "the certificates cannot be uploaded: " + key + " is not on this machine, so the CA is an external one",
			Why:  certs.ErrExternalCA,
			Fixes: []string{
				"make the certificates of the new node with the external CA; this makes keys and signing requests: hactl certs generate-csr",
				"then join it with --control-plane added to what this prints: hactl token create --print-join-command",
			},
			Exit: phases.CodeUsage,
		}
	}
	return nil
}

func (s *creation) command(in TokenInput, value config.Secret) config.Secret {
	if in.Join == NoJoin {
		return ""
	}
	c := joincommand.Commands{Endpoint: s.info.Endpoint.String(), Token: value, CAHash: certs.Pin(s.info.CAs[0])}
	if in.Join == WorkerJoin {
		return joincommand.ForWorkers(c).Worker
	}
	c.CertificateKey = s.publish.Key
	return joincommand.ForAll(c).ControlPlane
}
