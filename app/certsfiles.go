package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"path"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases/bundle"
	"github.com/hactl/hactl/phases/controlplane"
	"github.com/hactl/hactl/phases/pki"
	"github.com/hactl/hactl/templates/staticpod"
)

// CertsNode says which cluster and which node a set of certificates is judged
// for.
type CertsNode struct {
	// Config has no defaults set yet. Nil means what this machine tells.
	Config *config.Init
	// CertDir is the certificates directory; "" means that of the
	// configuration, or else of this node's control plane.
	CertDir string
	// Name and Address are the node's; without them, this machine's count.
	Name    string
	Address netip.Addr
	// Pins are hashes of which the cluster's CA must have one; none means
	// any.
	Pins []string
	// ExternalCA says that CAs may come without their keys.
	ExternalCA bool
}

// certsNode is a CertsNode as far as it can be known.
type certsNode struct {
	layout *bundle.Layout // nil where nothing but the files tells
	dir    string
	name   string
	addr   netip.Addr
	leaves []bundle.Leaf
}

// whose finds out what a set of certificates is judged by.
func (m *machine) whose(ctx context.Context, in CertsNode) (certsNode, error) {
	n := certsNode{dir: in.CertDir, name: in.Name, addr: in.Address}
	if in.Config != nil {
		return m.whoseConfig(ctx, in)
	}
	c, err := m.clusterHere(ctx, in.CertDir)
	if err != nil {
		return n, err
	}
	if c != nil {
		l := bundle.NewLayout(c)
		n.layout, n.dir = &l, c.CertificatesDir
	}
	n.dir = cmp.Or(n.dir, config.DefaultCertsDir)
	if n.name == "" {
		names, err := m.names(ctx)
		if err != nil {
			return n, fmt.Errorf("ask for the host name: %w", err)
		}
		if len(names) > 0 {
			n.name = names[0]
		}
	}
	if !n.addr.IsValid() {
		n.addr = m.advertised(ctx)
	}
	n.leaves = leavesOf(&pki.Task{NodeName: n.name, AdvertiseAddress: n.addr})
	return n, nil
}

// whoseConfig is whose where a configuration tells everything.
func (m *machine) whoseConfig(ctx context.Context, in CertsNode) (certsNode, error) {
	c := in.Config
	if in.Name != "" {
		c.Node.Name = in.Name
	}
	if in.Address.IsValid() {
		c.Local.Address = in.Address
	}
	if in.CertDir != "" {
		c.Cluster.CertificatesDir = in.CertDir
	}
	if err := m.settleFiles(c); err != nil {
		return certsNode{}, err
	}
	s := &Initial{}
	m.tasksOfCerts(ctx, s, c)
	s.pki.Keys.Close()
	l := bundle.NewLayout(&c.Cluster)
	return certsNode{layout: &l, dir: c.Cluster.CertificatesDir, name: c.Node.Name, addr: c.Local.Address, leaves: leavesOf(&s.pki)}, nil
}

func leavesOf(t *pki.Task) []bundle.Leaf {
	var list []bundle.Leaf
	for _, l := range pki.Leaves(t) {
		list = append(list, bundle.Leaf{Base: l.Base, Authority: l.Authority, Want: l.Want})
	}
	return list
}

// advertised is the address that this node's API server has or would have;
// invalid if nothing tells.
func (m *machine) advertised(ctx context.Context) netip.Addr {
	if pod, err := staticpod.Read(ctx, m.host, config.ManifestsDir, controlplane.APIServer); err == nil {
		text, _ := staticpod.Flag(pod, "advertise-address")
		if a, err := netip.ParseAddr(text); err == nil {
			return a
		}
	}
	a, err := m.address()
	if err != nil {
		return netip.Addr{}
	}
	return a
}

// clusterHere is what the static pods of this node tell of its cluster; nil
// if it runs no API server. CertDir, if it is not empty, takes the place of
// the directory that the API server uses. It needs no API server that
// answers.
func (m *machine) clusterHere(ctx context.Context, certDir string) (*config.Cluster, error) {
	api, err := staticpod.Read(ctx, m.host, config.ManifestsDir, controlplane.APIServer)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	flag := func(name string) string {
		value, _ := staticpod.Flag(api, name)
		return value
	}
	c := &config.Cluster{CertificatesDir: certDir, APIServer: componentOf(api)}
	if ca := flag("client-ca-file"); certDir == "" && ca != "" {
		c.CertificatesDir = path.Dir(ca)
	}
	c.CertificatesDir = cmp.Or(c.CertificatesDir, config.DefaultCertsDir)
	if _, err := m.host.Stat(ctx, staticpod.Path(config.ManifestsDir, "etcd")); errors.Is(err, fs.ErrNotExist) && flag("etcd-servers") != "" {
		c.Etcd.External = &config.ExternalEtcd{CAFile: flag("etcd-cafile"), CertFile: flag("etcd-certfile"), KeyFile: flag("etcd-keyfile")}
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for name, to := range map[string]*config.Component{"kube-controller-manager": &c.ControllerManager, "kube-scheduler": &c.Scheduler} {
		pod, err := staticpod.Read(ctx, m.host, config.ManifestsDir, name)
		if err == nil {
			*to = componentOf(pod)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	return c, nil
}

// componentOf reads a static pod as the settings that would make it.
func componentOf(pod *corev1.Pod) config.Component {
	var c config.Component
	paths := map[string]string{} // of the node, by volume
	for _, v := range pod.Spec.Volumes {
		if v.HostPath != nil {
			paths[v.Name] = v.HostPath.Path
		}
	}
	for _, container := range pod.Spec.Containers {
		for _, arg := range container.Command {
			if name, value, ok := strings.Cut(strings.TrimPrefix(arg, "--"), "="); ok {
				c.ExtraArgs = append(c.ExtraArgs, config.Arg{Name: name, Value: value})
			}
		}
		for _, v := range container.VolumeMounts {
			if p := paths[v.Name]; p != "" {
				c.ExtraVolumes = append(c.ExtraVolumes, config.HostPathMount{Name: v.Name, HostPath: p, MountPath: v.MountPath, ReadOnly: v.ReadOnly})
			}
		}
	}
	return c
}
