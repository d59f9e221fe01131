package app

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"k8s.io/client-go/tools/clientcmd"

	"github.com/hactl/hactl/certs"
	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/etcd"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/cri"
	"github.com/hactl/hactl/phases/discovery"
	"github.com/hactl/hactl/phases/kube"
	"github.com/hactl/hactl/phases/publish"
	"github.com/hactl/hactl/phases/symptom"
)

// joiner is the world of one join: the machine, and the cluster once it is
// found.
type joiner struct {
	*machine
	in JoinInput

	found *discovery.Found
	// boot is the API with the rights of the bootstrap token.
	boot kube.API
	// settled is what this node will run, out of the cluster's configuration
	// and this node's own.
	settled *config.Init
	// remembered says that the cluster is known from what an earlier run left,
	// not found anew.
	remembered bool
	// resumed says that an earlier run to join this cluster goes on.
	resumed bool
	// members are what a dry run would make of etcd; nil in a real run.
	members *etcd.Overlay
	// etcdWatch counts the ends of this node's etcd; nil in a dry run.
	etcdWatch *symptom.Watch
}

func (j *joiner) role() string {
	if j.in.Config.ControlPlane == nil {
		return "a worker"
	}
	return "a control plane"
}

// settle makes the configuration whole: defaults, what depends on this
// machine, validation. It changes nothing but the configuration.
func (j *joiner) settle(ctx context.Context) error {
	c := j.in.Config
	c.Default()
	name, err := j.hostname()
	if err != nil {
		return fmt.Errorf("ask for the host name: %w", err)
	}
	f := config.Facts{Hostname: name}
	if cp := c.ControlPlane; cp != nil && !cp.Local.Address.IsValid() {
		if f.Address, err = j.address(); err != nil {
			return err
		}
	}
	if c.Node.CRISocket == "" {
		if f.CRISocket, err = cri.Detect(ctx, j.host); err != nil {
			return err
		}
	}
	c.Resolve(f)
	problems := c.Validate()
	if len(j.in.Only) > 0 && c.Discovery.Token == nil && c.Discovery.File == nil {
		// A phase alone may work on a node that knows the cluster already.
		problems = nil
	}
	if len(problems) > 0 {
		return &config.InvalidError{Problems: problems}
	}
	return nil
}

// find finds the cluster, and asks it for its configuration. It is a phase
// of its own for those who watch, and in no list: every phase of join needs
// it.
func (j *joiner) find(ctx context.Context, notify func(phases.Event)) error {
	list := []phases.Phase[joiner]{{
		Name:  "discovery",
		Title: "find the cluster and make sure that it is the right one",
		Apply: func(ctx context.Context, j *joiner) error { return j.discover(ctx) },
	}}
	return phases.Run(ctx, list, j, phases.Options{Notify: notify, Now: j.now})
}

func (j *joiner) discover(ctx context.Context) error {
	c := j.in.Config
	found, err := j.seek(ctx)
	if err != nil {
		return err
	}
	j.found = found
	j.boot = j.dial(found.Connect)
	cluster, err := publish.FetchJoin(ctx, j.boot, c.Timeouts.KubernetesAPI)
	if err != nil {
		return err
	}
	j.settled = &config.Init{
		Cluster: *cluster, Node: c.Node, PatchesDir: c.PatchesDir, DryRun: c.DryRun, Timeouts: c.Timeouts,
	}
	if err := j.findBalancer(ctx); err != nil {
		return err
	}
	if j.files != nil {
		j.healthy = func(context.Context, string) error { return nil }
		j.secrets = append(j.secrets, c.Discovery.TLSBootstrapToken)
		if t := c.Discovery.Token; t != nil {
			j.secrets = append(j.secrets, t.Token)
		}
	}
	if c.ControlPlane == nil {
		return nil
	}
	j.settled.Local, j.settled.CertificateKey = c.ControlPlane.Local, c.ControlPlane.CertificateKey
	if cluster.ControlPlaneEndpoint.IsZero() {
		return &phases.Fault{
			What:  "the cluster has no control-plane endpoint, so it cannot have a second control plane",
			Why:   errors.New("its nodes would all depend on the first one's address"),
			Fixes: []string{"set controlPlaneEndpoint in ConfigMap kube-system/kubeadm-config to an address that leads to all control planes, and make the certificates and kubeconfigs anew"},
			Exit:  phases.CodePreflight,
		}
	}
	return nil
}

// seek finds the cluster by what the user says or, on a node that has joined
// already, by what an earlier run left: tokens die, and the same command run
// again must end well.
func (j *joiner) seek(ctx context.Context) (*discovery.Found, error) {
	d := j.in.Config.Discovery
	known, knownErr := j.known(ctx)
	if d.Token == nil && d.File == nil {
		j.remembered = true
		if known == nil {
			return nil, &phases.Fault{
				What:  "nothing says how to find the cluster",
				Why:   knownErr,
				Fixes: []string{"give the endpoint, --token and --discovery-token-ca-cert-hash as this prints them, on a control-plane node: hactl token create --print-join-command"},
				Exit:  phases.CodeUsage,
			}
		}
		return known, nil
	}
	found, err := j.discovery(ctx, &discovery.Task{Discovery: d, Files: j.host, Limit: j.in.Config.Timeouts.Discovery, Now: j.now})
	if err == nil || ctx.Err() != nil {
		return found, err
	}
	var unsafe *phases.Fault
	if errors.As(err, &unsafe) && unsafe.Exit == phases.CodeUnsafe || known == nil || !pinned(known.CA, d) {
		return nil, err
	}
	j.remembered = true
	phases.Warn(ctx, fmt.Sprintf("the cluster could not be found anew, so what an earlier run left on this node is used: %v", err))
	return known, nil
}

// known is the cluster that a kubeconfig on this node leads to. One whose
// certificate is not there yet leads nowhere: the kubelet writes its file
// first.
func (j *joiner) known(ctx context.Context) (*discovery.Found, error) {
	for _, name := range []string{"admin.conf", "kubelet.conf"} {
		file := path.Join(config.KubernetesDir, name)
		data, err := j.host.ReadFile(ctx, file)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		found, err := foundIn(file, data)
		if err == nil && !j.canLogIn(ctx, found) {
			continue
		}
		return found, err
	}
	return nil, errors.New("in " + config.KubernetesDir + ", neither admin.conf nor kubelet.conf leads to a cluster")
}

// canLogIn says whether the client certificate that a kubeconfig points to is
// there.
func (j *joiner) canLogIn(ctx context.Context, f *discovery.Found) bool {
	user := f.Kubeconfig.AuthInfos[f.Kubeconfig.Contexts[f.Kubeconfig.CurrentContext].AuthInfo]
	return user != nil && (user.ClientCertificate == "" || j.any(ctx, []string{user.ClientCertificate}))
}

// foundIn is the cluster that a kubeconfig leads to. Errors do not quote it.
func foundIn(file string, data []byte) (*discovery.Found, error) {
	bad := &phases.Fault{
		What:  file + " is no kubeconfig with a cluster and its CA",
		Fixes: []string{"move it away, and run the same command again"},
	}
	conf, err := clientcmd.Load(data)
	if err != nil {
		return nil, bad
	}
	current := conf.Contexts[conf.CurrentContext]
	if current == nil || conf.Clusters[current.Cluster] == nil || len(conf.Clusters[current.Cluster].CertificateAuthorityData) == 0 {
		return nil, bad
	}
	cluster := conf.Clusters[current.Cluster]
	return &discovery.Found{Server: cluster.Server, Endpoint: cluster.Server, CA: cluster.CertificateAuthorityData, Kubeconfig: conf}, nil
}

// pinned says whether a CA is one that the user named, if the user named any.
func pinned(ca []byte, d config.Discovery) bool {
	if d.Token == nil || len(d.Token.CACertHashes) == 0 {
		return true
	}
	list, err := certs.ParseCerts(ca)
	return err == nil && slices.ContainsFunc(list, func(c *x509.Certificate) bool {
		return slices.ContainsFunc(d.Token.CACertHashes, func(pin string) bool { return strings.EqualFold(pin, certs.Pin(c)) })
	})
}

// sameCA says whether two bundles have a certificate in common.
func sameCA(a, b []byte) bool {
	listA, errA := certs.ParseCerts(a)
	listB, errB := certs.ParseCerts(b)
	return errA == nil && errB == nil && slices.ContainsFunc(listA, func(c *x509.Certificate) bool {
		return slices.ContainsFunc(listB, c.Equal)
	})
}
