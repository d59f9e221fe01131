package kubelet

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"

	"github.com/hactl/hactl/certs"
	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/kube"
)

// Join is what the kubelet of a node that joins needs beyond its
// configuration.
type Join struct {
	// Bootstrap lets the kubelet in until it has a certificate of its own,
	// with CA and credentials inside, as discovery found it. Nil says that
	// kubelet.conf was made on this node, with the cluster's CA.
	Bootstrap *api.Config
	// Server, if not empty, takes the place of the one in Bootstrap: a
	// control-plane node's own API server ("https://10.0.0.2:6443").
	Server string
	// CA is the cluster's bundle of authorities in PEM, and CACertPath the
	// file that the kubelet checks its clients with
	// ("/etc/kubernetes/pki/ca.crt"). A file that is there is kept if it
	// belongs to the cluster.
	CA         []byte
	CACertPath string
	// Worker says that the kubelet registers its node with the taints of
	// the configuration; a control-plane node's come in a later phase.
	Worker bool

	// What follows is for kubelet-wait-bootstrap only.

	// API is the cluster as the bootstrap user, to see what became of the
	// kubelet's signing request; nil means that nobody looks.
	API kube.API
	// Limit is how long the kubelet may take to get its certificate
	// (timeouts.tlsBootstrap), HealthLimit to be healthy
	// (timeouts.kubeletHealthCheck); zero means for ever.
	Limit, HealthLimit time.Duration
	// Healthy asks a health URL of this node; nil error for status 200.
	Healthy func(ctx context.Context, url string) error
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Imagined says that no kubelet is really started: a dry run.
	Imagined bool
}

// JoinStartPhase is phase kubelet-start of a node that joins: the way into the
// cluster, the kubelet's files, then the kubelet. Task.Join must be set.
//
// As long as the kubelet has not got in, bootstrap-kubelet.conf is kept as
// Bootstrap says, so that a second run with a new token works. What belongs to
// another cluster is refused.
func JoinStartPhase() phases.Phase[Task] {
	p := StartPhase()
	p.Reads = []string{"ConfigMap kube-system/kubelet-config"}
	p.Writes = append([]string{
		path.Join(config.KubernetesDir, bootstrapFile),
		path.Join(config.DefaultCertsDir, "ca.crt"),
	}, p.Writes...)
	return p
}

const bootstrapFile = "bootstrap-kubelet.conf"

func (t *Task) bootstrapConf() string { return path.Join(t.ConfDir, bootstrapFile) }

// entrance returns the files that let the kubelet into the cluster.
func (t *Task) entrance(ctx context.Context) ([]file, error) {
	j := t.Join
	trusted, err := certs.ParseCerts(j.CA)
	if err != nil {
		return nil, fmt.Errorf("the cluster's CA: %w", err)
	}
	var list []file
	there, err := t.sameCA(ctx, trusted)
	if err != nil {
		return nil, err
	}
	if !there {
		list = append(list, file{j.CACertPath, j.CA, 0o644})
	}
	in, err := t.gotIn(ctx)
	if err != nil || j.Bootstrap == nil {
		return list, err
	}
	if in.reason == "" || len(in.ca) > 0 {
		if err := t.ours(t.conf(), in.ca, trusted); err != nil {
			return nil, err
		}
	}
	if in.reason == "" {
		return list, nil
	}
	if err := t.checkBootstrap(ctx, trusted); err != nil {
		return nil, err
	}
	data, err := t.bootstrap()
	if err != nil {
		return nil, err
	}
	return append(list, file{t.bootstrapConf(), data, 0o600}), nil
}

// sameCA says whether the CA file is there; another cluster's is refused.
func (t *Task) sameCA(ctx context.Context, trusted []*x509.Certificate) (bool, error) {
	data, err := t.Host.ReadFile(ctx, t.Join.CACertPath)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, t.ours(t.Join.CACertPath, data, trusted)
}

// checkBootstrap refuses an existing file that leads to another cluster.
func (t *Task) checkBootstrap(ctx context.Context, trusted []*x509.Certificate) error {
	data, err := t.Host.ReadFile(ctx, t.bootstrapConf())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	conf, err := clientcmd.Load(data)
	if err != nil || conf.Contexts[conf.CurrentContext] == nil {
		return nil // cut short: nothing that anybody could miss
	}
	cluster := conf.Clusters[conf.Contexts[conf.CurrentContext].Cluster]
	if cluster == nil || len(cluster.CertificateAuthorityData) == 0 {
		return nil
	}
	return t.ours(t.bootstrapConf(), cluster.CertificateAuthorityData, trusted)
}

// ours refuses a CA that is not among the trusted ones.
func (t *Task) ours(name string, ca []byte, trusted []*x509.Certificate) error {
	list, err := certs.ParseCerts(ca)
	if err == nil && slices.ContainsFunc(trusted, list[0].Equal) {
		return nil
	}
	if err == nil {
		err = fmt.Errorf("its CA has the hash %s, the cluster's has %s", certs.Pin(list[0]), certs.Pin(trusted[0]))
	}
	return &phases.Fault{
		What: name + " does not belong to the cluster that this node joins",
		Why:  err,
		Fixes: []string{
			"if this node was part of another cluster: hactl reset",
			"or move the file away, and run the same command again",
		},
		Exit: phases.CodeUnsafe,
	}
}

// bootstrap is the content of bootstrap-kubelet.conf.
func (t *Task) bootstrap() ([]byte, error) {
	conf := t.Join.Bootstrap.DeepCopy()
	current := conf.Contexts[conf.CurrentContext]
	if current == nil || conf.Clusters[current.Cluster] == nil {
		return nil, errors.New("what discovery found has no current context with a cluster")
	}
	if t.Join.Server != "" {
		conf.Clusters[current.Cluster].Server = t.Join.Server
	}
	data, err := clientcmd.Write(*conf)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", bootstrapFile, err)
	}
	return data, nil
}
