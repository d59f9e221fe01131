package config

import (
	"net/netip"
	"path"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// Paths that Kubernetes tools agree on.
const (
	KubernetesDir   = "/etc/kubernetes"
	ManifestsDir    = "/etc/kubernetes/manifests"
	KubeletDir      = "/var/lib/kubelet"
	DefaultCertsDir = "/etc/kubernetes/pki"
	DefaultEtcdDir  = "/var/lib/etcd"

	kubeProxyKubeconfig = "/var/lib/kube-proxy/kubeconfig.conf" // in the pod
	KubeletUnit         = "kubelet.service"
)

// Defaults that other packages name in texts.
const (
	DefaultBindPort        = 6443
	DefaultImageRepository = "registry.k8s.io"
	DefaultVersion         = "stable-1"
	DefaultClusterName     = "kubernetes"
	DefaultTokenTTL        = 24 * time.Hour
	// NodeGroup is the group of nodes that bootstrap with the default token.
	NodeGroup = "system:bootstrappers:kubeadm:default-node-token"
	// ControlPlaneRole is the label and taint key of control-plane nodes.
	ControlPlaneRole = "node-role.kubernetes.io/control-plane"
)

// Default sets every field that is not given and does not depend on this
// machine (kubeadm v1.37, apis/kubeadm/v1beta4/defaults.go).
func (c *Init) Default() {
	c.Cluster.Default()
	c.Node.Default()
	c.Timeouts.Default()
	set(&c.Local.Port, DefaultBindPort)
	if c.Node.Taints == nil {
		c.Node.Taints = []corev1.Taint{{Key: ControlPlaneRole, Effect: corev1.TaintEffectNoSchedule}}
	}
	if len(c.Tokens) == 0 {
		c.Tokens = []Token{{TTL: DefaultTokenTTL}}
	}
	for i := range c.Tokens {
		c.Tokens[i].Default()
	}
}

// Default sets what is not given.
func (t *Token) Default() {
	if len(t.Usages) == 0 {
		t.Usages = []string{"signing", "authentication"}
	}
	if len(t.Groups) == 0 {
		t.Groups = []string{NodeGroup}
	}
}

// Default sets what is not given.
func (c *Cluster) Default() {
	set(&c.Version, DefaultVersion)
	set(&c.Name, DefaultClusterName)
	set(&c.CertificatesDir, DefaultCertsDir)
	set(&c.ImageRepository, DefaultImageRepository)
	set(&c.EncryptionAlgorithm, "RSA-2048")
	set(&c.CertificateValidity, 365*24*time.Hour)
	set(&c.CAValidity, 10*365*24*time.Hour)
	set(&c.Networking.DNSDomain, "cluster.local")
	if len(c.Networking.ServiceSubnets) == 0 {
		c.Networking.ServiceSubnets = []netip.Prefix{netip.MustParsePrefix("10.96.0.0/12")}
	}
	if c.Etcd.Local == nil && c.Etcd.External == nil {
		c.Etcd.Local = &LocalEtcd{}
	}
	if c.Etcd.Local != nil {
		set(&c.Etcd.Local.DataDir, DefaultEtcdDir)
		defaultEnvs(c.Etcd.Local.ExtraEnvs)
	}
	if x := c.Etcd.External; x != nil && len(x.HTTPEndpoints) == 0 {
		x.HTTPEndpoints = slices.Clone(x.Endpoints)
	}
	for _, component := range []*Component{&c.APIServer, &c.ControllerManager, &c.Scheduler} {
		defaultEnvs(component.ExtraEnvs)
	}
	if c.LoadBalancer != nil {
		c.LoadBalancer.Default()
	}
	c.normalize()
	c.defaultKubelet()
}

// normalize writes values the way that Kubernetes wants them: "v1.37.1" for
// "1.37.1" and names in lower case.
func (c *Cluster) normalize() {
	if versionShape.MatchString("v" + c.Version) {
		c.Version = "v" + c.Version
	}
	c.Version = strings.TrimPrefix(c.Version, "release/")
	for i, san := range c.APIServerSANs {
		c.APIServerSANs[i] = strings.ToLower(san)
	}
}

func defaultEnvs(list []corev1.EnvVar) {
	for _, e := range list {
		if e.ValueFrom != nil && e.ValueFrom.FieldRef != nil {
			set(&e.ValueFrom.FieldRef.APIVersion, "v1")
		}
	}
}

// Default sets what is not given, and writes the name in lower case, as the
// kubelet does, and the socket as a URL.
func (n *Node) Default() {
	set(&n.PullPolicy, corev1.PullIfNotPresent)
	n.Name = strings.ToLower(strings.TrimSpace(n.Name))
	n.CRISocket = socketURL(n.CRISocket)
}

func socketURL(s string) string {
	if strings.HasPrefix(s, "/") {
		return "unix://" + s
	}
	return s
}

// Default sets what is not given.
func (t *Timeouts) Default() {
	set(&t.ControlPlane, 4*time.Minute)
	set(&t.Kubelet, 4*time.Minute)
	set(&t.KubernetesAPI, time.Minute)
	set(&t.Etcd, 2*time.Minute)
	set(&t.TLSBootstrap, 5*time.Minute)
	set(&t.Discovery, 5*time.Minute)
	set(&t.UpgradeManifests, 5*time.Minute)
}

// defaultKubelet sets what every node of the cluster needs of its kubelet
// (kubeadm v1.37, componentconfigs/kubelet.go).
func (c *Cluster) defaultKubelet() {
	k := &c.Kubelet
	k.APIVersion, k.Kind = "kubelet.config.k8s.io/v1beta1", "KubeletConfiguration"
	set(&k.StaticPodPath, ManifestsDir)
	if k.ClusterDNS == nil {
		k.ClusterDNS = []string{c.DNSAddress().String()}
	}
	set(&k.ClusterDomain, c.Networking.DNSDomain)
	set(&k.Authentication.X509.ClientCAFile, path.Join(c.CertificatesDir, "ca.crt"))
	point(&k.Authentication.Anonymous.Enabled, false)
	point(&k.Authentication.Webhook.Enabled, true)
	set(&k.Authorization.Mode, "Webhook")
	set(&k.HealthzBindAddress, "127.0.0.1")
	point(&k.HealthzPort, 10248)
	k.RotateCertificates = true
	set(&k.CgroupDriver, "systemd")
}

// defaultKubeProxy needs the family of the node's address.
func (c *Cluster) defaultKubeProxy(local netip.Addr) {
	p := &c.KubeProxy
	p.APIVersion, p.Kind = "kubeproxy.config.k8s.io/v1alpha1", "KubeProxyConfiguration"
	wildcard := "0.0.0.0"
	if local.Is6() {
		wildcard = "::"
	}
	set(&p.BindAddress, wildcard)
	set(&p.ClusterCIDR, Join(c.Networking.PodSubnets))
	set(&p.ClientConnection.Kubeconfig, kubeProxyKubeconfig)
	set(&p.Mode, "iptables")
}

func set[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

func point[T any](field **T, value T) {
	if *field == nil {
		*field = &value
	}
}
