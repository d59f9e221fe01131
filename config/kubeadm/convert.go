package kubeadm

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	netutils "k8s.io/utils/net"

	"github.com/hactl/hactl/config"
)

// from is a place that a value was read from: a kind and a path.
type from struct {
	r          *reader
	kind, path string
}

func (f from) child(name string) from {
	if f.path != "" {
		name = f.path + "." + name
	}
	return from{f.r, f.kind, name}
}

// node is the nearest one that the file has.
func (f from) node() *yaml.Node {
	if n := f.r.places[f.kind].nearest(f.path); n != nil {
		return n
	}
	return &yaml.Node{}
}

func (f from) bad(fix, format string, args ...any) {
	f.r.problem(f.node(), f.path, fix, format, args...)
}

func (f from) warn(fix, format string, args ...any) {
	f.r.warn(f.node(), f.path, fix, format, args...)
}

func (r *reader) convertInit() *config.Init {
	in, f := r.init, from{r: r, kind: KindInit}
	if in == nil {
		in = &initConfiguration{}
	}
	c := config.NewInit()
	c.Cluster = r.convertCluster()
	c.Node = f.child("nodeRegistration").nodeRegistration(in.NodeRegistration)
	c.Local = f.child("localAPIEndpoint").endpoint(in.LocalAPIEndpoint)
	for i, t := range in.BootstrapTokens {
		at := from{r, f.kind, location{path: "bootstrapTokens"}.item(i).path}
		c.Tokens = append(c.Tokens, at.token(t))
	}
	c.CertificateKey = config.Secret(in.CertificateKey)
	c.SkipPhases = list(in.SkipPhases)
	c.PatchesDir = directory(in.Patches)
	c.DryRun = in.DryRun
	c.Timeouts = f.child("timeouts").timeouts(in.Timeouts)
	return c
}

func (r *reader) convertCluster() config.Cluster {
	in, f := r.cluster, from{r: r, kind: KindCluster}
	if in == nil {
		in = &clusterConfiguration{}
	}
	c := config.Cluster{
		Version:              in.KubernetesVersion,
		Name:                 in.ClusterName,
		ControlPlaneEndpoint: f.child("controlPlaneEndpoint").hostPort(in.ControlPlaneEndpoint),
		Networking: config.Networking{
			ServiceSubnets: f.child("networking.serviceSubnet").subnets(in.Networking.ServiceSubnet),
			PodSubnets:     f.child("networking.podSubnet").subnets(in.Networking.PodSubnet),
			DNSDomain:      in.Networking.DNSDomain,
		},
		Etcd:                f.child("etcd").etcd(in.Etcd),
		APIServer:           componentFrom(in.APIServer.component),
		APIServerSANs:       list(in.APIServer.CertSANs),
		ControllerManager:   componentFrom(in.ControllerManager),
		Scheduler:           componentFrom(in.Scheduler),
		DNS:                 config.DNS{ImageRepository: in.DNS.ImageRepository, ImageTag: in.DNS.ImageTag, Disabled: in.DNS.Disabled},
		ProxyDisabled:       in.Proxy.Disabled,
		CertificatesDir:     in.CertificatesDir,
		ImageRepository:     in.ImageRepository,
		FeatureGates:        in.FeatureGates,
		EncryptionAlgorithm: in.EncryptionAlgorithm,
		CertificateValidity: f.child("certificateValidityPeriod").duration(in.CertificateValidityPeriod),
		CAValidity:          f.child("caCertificateValidityPeriod").duration(in.CACertificateValidityPeriod),
	}
	if len(c.FeatureGates) == 0 {
		c.FeatureGates = nil
	}
	if r.kubelet != nil {
		c.Kubelet, c.KubeletGiven = *r.kubelet, true
	}
	if r.kubeProxy != nil {
		c.KubeProxy, c.KubeProxyGiven = *r.kubeProxy, true
	}
	return c
}

func (f from) etcd(in etcd) config.Etcd {
	var out config.Etcd
	if in.Local != nil && in.External != nil {
		f.child("external").bad("keep one of them", "stands beside etcd.local; etcd runs either here or elsewhere")
	}
	if l := in.Local; l != nil {
		out.Local = &config.LocalEtcd{
			ImageRepository: l.ImageRepository, ImageTag: l.ImageTag, DataDir: l.DataDir,
			ExtraArgs: argsFrom(l.ExtraArgs), ExtraEnvs: envsFrom(l.ExtraEnvs),
			ServerCertSANs: list(l.ServerCertSANs), PeerCertSANs: list(l.PeerCertSANs),
		}
	}
	if e := in.External; e != nil {
		out.External = &config.ExternalEtcd{
			Endpoints: list(e.Endpoints), HTTPEndpoints: list(e.HTTPEndpoints),
			CAFile: e.CAFile, CertFile: e.CertFile, KeyFile: e.KeyFile,
		}
	}
	return out
}

func componentFrom(in component) config.Component {
	c := config.Component{ExtraArgs: argsFrom(in.ExtraArgs), ExtraEnvs: envsFrom(in.ExtraEnvs)}
	for _, v := range in.ExtraVolumes {
		c.ExtraVolumes = append(c.ExtraVolumes, config.HostPathMount(v))
	}
	return c
}

func argsFrom(in argList) []config.Arg {
	var out []config.Arg
	for _, a := range in {
		out = append(out, config.Arg{Name: a.Name, Value: a.Value, Merge: config.ArgMerge(a.MergeMethod)})
	}
	return out
}

func envsFrom(in []corev1.EnvVar) []corev1.EnvVar {
	if len(in) == 0 {
		return nil
	}
	return slices.Clone(in)
}

func (f from) nodeRegistration(in nodeRegistration) config.Node {
	return config.Node{
		Name:            in.Name,
		CRISocket:       f.child("criSocket").socket(in.CRISocket),
		Taints:          slices.Clone(in.Taints),
		KubeletArgs:     argsFrom(in.KubeletExtraArgs),
		IgnorePreflight: list(in.IgnorePreflightErrors),
		PullPolicy:      in.ImagePullPolicy,
		PullSerial:      in.ImagePullSerial == nil || *in.ImagePullSerial,
	}
}

// socket completes a path to a URL, as kubeadm does.
func (f from) socket(s string) string {
	if !strings.HasPrefix(s, "/") {
		return s
	}
	url := "unix://" + s
	f.warn("write "+url, "a path is read as a URL")
	return url
}

func (f from) endpoint(in apiEndpoint) config.Endpoint {
	var e config.Endpoint
	if in.AdvertiseAddress != "" {
		e.Address = f.child("advertiseAddress").address(in.AdvertiseAddress)
	}
	if in.BindPort < 0 || in.BindPort > 65535 {
		f.child("bindPort").bad("", "a port is a number from 1 to 65535, got %d", in.BindPort)
		return e
	}
	e.Port = uint16(in.BindPort)
	return e
}

// address reads an address; leading zeros are decimal, as in kubeadm.
func (f from) address(s string) netip.Addr {
	a, err := netip.ParseAddr(s)
	if err == nil && a.Zone() == "" {
		return a.Unmap()
	}
	if ip := netutils.ParseIPSloppy(s); ip != nil {
		a, _ = netip.AddrFromSlice(ip)
		f.warn("write "+a.Unmap().String(), "%q has leading zeros", s)
		return a.Unmap()
	}
	f.bad("", "expected an IP address, got %q", s)
	return netip.Addr{}
}

func (f from) hostPort(s string) config.HostPort {
	if s == "" {
		return config.HostPort{}
	}
	hp, err := config.ParseHostPort(s)
	if err != nil {
		f.bad("write it as host:port, as in lb.example.com:6443", "%s", err)
	}
	return hp
}

// subnets reads "10.96.0.0/12,fd00::/108".
func (f from) subnets(s string) []netip.Prefix {
	if s == "" {
		return nil
	}
	var out []netip.Prefix
	for _, part := range strings.Split(s, ",") {
		p, err := netip.ParsePrefix(part)
		if err == nil {
			out = append(out, p)
			continue
		}
		fix := ""
		switch ip, n, sloppy := netutils.ParseCIDRSloppy(part); {
		case sloppy == nil:
			a, _ := netip.AddrFromSlice(ip)
			bits, _ := n.Mask.Size()
			p = netip.PrefixFrom(a.Unmap(), bits)
			f.warn("write "+p.String(), "%q has leading zeros", part)
			out = append(out, p)
			continue
		case strings.TrimSpace(part) != part:
			fix = "leave out the spaces"
		case !strings.Contains(part, "/"):
			fix = "add the length of the prefix, as in 10.96.0.0/12"
		}
		f.bad(fix, "expected a range of addresses such as 10.96.0.0/12, got %q", part)
	}
	return out
}

func (f from) token(in bootstrapToken) config.Token {
	t := config.Token{
		Value:       config.Secret(in.Token),
		Description: in.Description,
		Usages:      list(in.Usages),
		Groups:      list(in.Groups),
	}
	switch {
	case in.TTL != nil && in.Expires != nil:
		f.child("expires").bad("keep one of them", "stands beside ttl")
	case in.Expires != nil:
		t.Expires = in.Expires.UTC()
	case in.TTL != nil:
		t.TTL = in.TTL.Duration
	default:
		t.TTL = config.DefaultTokenTTL
	}
	return t
}

func (f from) timeouts(in *timeouts) config.Timeouts {
	if in == nil {
		return config.Timeouts{}
	}
	return config.Timeouts{
		ControlPlane:     f.child("controlPlaneComponentHealthCheck").duration(in.ControlPlaneComponentHealthCheck),
		Kubelet:          f.child("kubeletHealthCheck").duration(in.KubeletHealthCheck),
		KubernetesAPI:    f.child("kubernetesAPICall").duration(in.KubernetesAPICall),
		Etcd:             f.child("etcdAPICall").duration(in.EtcdAPICall),
		TLSBootstrap:     f.child("tlsBootstrap").duration(in.TLSBootstrap),
		Discovery:        f.child("discovery").duration(in.Discovery),
		UpgradeManifests: f.child("upgradeManifests").duration(in.UpgradeManifests),
	}
}

// duration reads one that must be longer than zero to be of use. The model
// has no zero beside "not given".
func (f from) duration(in *metav1.Duration) time.Duration {
	if in == nil {
		return 0
	}
	if in.Duration <= 0 {
		f.warn("remove it, or write a longer one", "%s is of no use; the default is taken", in.Duration)
		return 0
	}
	return in.Duration
}

func directory(p *patches) string {
	if p == nil {
		return ""
	}
	return p.Directory
}

// list is nil for an empty list: for all lists but taints, both mean the
// default.
func list(in []string) []string {
	if len(in) == 0 {
		return nil
	}
	return slices.Clone(in)
}
