package config

import (
	"net/netip"
	"strings"
)

// Versions of what is not in the Kubernetes repository itself (kubeadm
// v1.37.1, constants/constants.go).
const (
	// Version is the Kubernetes version that this hactl is made for, used
	// where a label cannot be looked up.
	Version    = "v1.37.1"
	EtcdTag    = "3.7.0-0"
	CoreDNSTag = "v1.14.6"
	PauseTag   = "3.10.2"
)

// Facts are what Resolve needs to know of this machine.
type Facts struct {
	Hostname  string
	Address   netip.Addr     // of the interface with the default route
	Networks  []netip.Prefix // that the machine is in: they must not overlap the cluster's
	CRISocket string
	Version   string // the Kubernetes version that a label stands for
}

// Resolve sets what depends on this machine and is not given. It is pure:
// a phase gathers the facts.
func (c *Init) Resolve(f Facts) {
	c.Node.resolve(f)
	c.Local.resolve(f)
	c.Networks = f.Networks
	if f.Version != "" && c.Cluster.VersionIsLabel() {
		c.Cluster.Version = f.Version
	}
	if !c.Cluster.ControlPlaneEndpoint.IsZero() {
		set(&c.Cluster.ControlPlaneEndpoint.Port, c.Local.Port)
	}
	c.Cluster.defaultKubeProxy(c.Local.Address)
}

// VersionIsLabel says whether the version is a label, such as "stable-1",
// that must be looked up.
func (c *Cluster) VersionIsLabel() bool { return c.Version == "" || labelShape.MatchString(c.Version) }

// resolve names the node after the machine.
func (n *Node) resolve(f Facts) {
	n.Hostname = strings.ToLower(strings.TrimSpace(f.Hostname))
	set(&n.Name, n.Hostname)
	set(&n.CRISocket, f.CRISocket)
}

// resolve takes the machine's address where none is given, or the
// unspecified one.
func (e *Endpoint) resolve(f Facts) {
	if !e.Address.IsValid() || e.Address.IsUnspecified() {
		e.Address = f.Address
	}
}

// Endpoint is what clients of the cluster use: the control-plane endpoint,
// with the local port where none is given, or the local endpoint.
func (c *Init) Endpoint() HostPort {
	ep := c.Cluster.ControlPlaneEndpoint
	if ep.IsZero() {
		ep.Host = c.Local.Address.String()
	}
	set(&ep.Port, c.Local.Port)
	return ep
}

// FirstServiceAddress is the address of Service kubernetes.
func (c *Cluster) FirstServiceAddress() netip.Addr { return c.serviceAddress(1) }

// DNSAddress is the address of Service kube-dns: the tenth of the service
// subnet.
func (c *Cluster) DNSAddress() netip.Addr { return c.serviceAddress(10) }

func (c *Cluster) serviceAddress(n int) netip.Addr {
	if len(c.Networking.ServiceSubnets) == 0 {
		return netip.Addr{}
	}
	a := c.Networking.ServiceSubnets[0].Masked().Addr()
	for range n {
		a = a.Next()
	}
	return a
}

// Join writes prefixes as components take them: "10.96.0.0/12,fd00::/108".
func Join(prefixes []netip.Prefix) string {
	s := make([]string, len(prefixes))
	for i, p := range prefixes {
		s[i] = p.String()
	}
	return strings.Join(s, ",")
}

// Image returns the image of a component of the Kubernetes repository.
func (c *Cluster) Image(component string) string {
	return c.ImageRepository + "/" + component + ":" + strings.ReplaceAll(c.Version, "+", "_")
}

// PauseImage returns the image of the sandbox container.
func (c *Cluster) PauseImage() string { return c.ImageRepository + "/pause:" + PauseTag }

// DNSImage returns the image of CoreDNS. In the default repository it has a
// folder of its own.
func (c *Cluster) DNSImage() string {
	repository, tag := c.ImageRepository, CoreDNSTag
	if c.DNS.ImageRepository != "" {
		repository = c.DNS.ImageRepository
	}
	if repository == DefaultImageRepository {
		repository += "/coredns"
	}
	if c.DNS.ImageTag != "" {
		tag = c.DNS.ImageTag
	}
	return repository + "/coredns:" + tag
}

// EtcdImage returns the image of the local etcd.
func (c *Cluster) EtcdImage() string {
	repository, tag := c.ImageRepository, EtcdTag
	if l := c.Etcd.Local; l != nil {
		if l.ImageRepository != "" {
			repository = l.ImageRepository
		}
		if l.ImageTag != "" {
			tag = l.ImageTag
		}
	}
	return repository + "/etcd:" + tag
}

// Images returns all images that a control-plane node needs.
func (c *Cluster) Images() []string {
	list := []string{c.Image("kube-apiserver"), c.Image("kube-controller-manager"), c.Image("kube-scheduler")}
	if !c.ProxyDisabled {
		list = append(list, c.Image("kube-proxy"))
	}
	if !c.DNS.Disabled {
		list = append(list, c.DNSImage())
	}
	list = append(list, c.PauseImage())
	if c.Etcd.Local != nil {
		list = append(list, c.EtcdImage())
	}
	return list
}
