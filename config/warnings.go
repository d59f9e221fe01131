package config

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/version"
)

// Warnings returns what is allowed but probably not meant. Resolved
// configurations get more of them.
func (c *Init) Warnings() []Problem {
	v := &validator{}
	v.endpointWarnings(c)
	v.clusterWarnings(&c.Cluster)
	v.nodeWarnings(&c.Node)
	for i, t := range c.Tokens {
		same := func(other Token) bool { return t.Value != "" && tokenID(other) == tokenID(t) }
		if slices.IndexFunc(c.Tokens[:i], same) >= 0 {
			v.add(fmt.Sprintf("bootstrapTokens[%d].token", i), "give each token an id of its own", "has the id of a token before it, and takes its place")
		}
	}
	return v.problems
}

func tokenID(t Token) string {
	id, _, _ := strings.Cut(t.Value.Reveal(), ".")
	return id
}

// endpointWarnings tells of a control-plane endpoint that goes away with one
// machine.
func (v *validator) endpointWarnings(c *Init) {
	host := c.Cluster.ControlPlaneEndpoint.Host
	if host == "" {
		return
	}
	addr, err := netip.ParseAddr(host)
	own := err == nil && addr == c.Local.Address
	named := host == c.Node.Name || host == c.Node.Hostname
	if own || named {
		v.add("controlPlaneEndpoint", "use the address of a load balancer, or a virtual one",
			"%s is this node's own: the cluster is not highly available, and is gone when this node is", host)
	} else if err == nil && addr.IsLoopback() {
		v.add("controlPlaneEndpoint", "use the address of a load balancer, or a virtual one", "%s is a different machine on every node", host)
	}
}

func (v *validator) clusterWarnings(c *Cluster) {
	v.validityWarnings(c)
	if x := c.Etcd.External; x != nil {
		v.externalWarnings(x)
	}
	for _, p := range append(slices.Clone(c.Networking.ServiceSubnets), c.Networking.PodSubnets...) {
		if siteLocal := netip.MustParsePrefix("fec0::/10"); p.Overlaps(siteLocal) {
			v.add("networking", "use a range of fd00::/8", "%s has site-local addresses, which RFC 3879 has deprecated", p)
		}
	}
	if n := c.NodeCapacity(); n > 0 && n < haNodes && c.ControlPlaneEndpoint.IsZero() {
		v.add(podPath, "use a larger range, such as 10.244.0.0/16", "%s has room for %d of the cluster's nodes", Join(c.Networking.PodSubnets), n)
	}
	repositories := []struct{ field, value string }{
		{"imageRepository", c.ImageRepository}, {"dns.imageRepository", c.DNS.ImageRepository},
	}
	if l := c.Etcd.Local; l != nil {
		repositories = append(repositories, struct{ field, value string }{"etcd.local.imageRepository", l.ImageRepository})
	}
	for _, r := range repositories {
		if r.value == "k8s.gcr.io" || strings.HasPrefix(r.value, "k8s.gcr.io/") {
			v.add(r.field, "use "+DefaultImageRepository, "k8s.gcr.io is frozen since April 2023 and has no images of this version")
		}
	}
	if c.FeatureGates["RootlessControlPlane"] {
		v.add("featureGates.RootlessControlPlane", "remove it; user namespaces of pods (spec.hostUsers) take its place", "is deprecated and will go away (kubeadm v1.37, features/features.go)")
	}
	own := version.MustParseSemantic(Version)
	if got, err := version.ParseSemantic(c.Version); err == nil && got.Major() == own.Major() && got.Minor() > own.Minor() {
		v.add("kubernetesVersion", "use a newer hactl", "%s is newer than the %s that this hactl is made for", c.Version, Version)
	}
	v.kubeletWarnings(c)
	v.kubeProxyWarnings(c)
}

func (v *validator) validityWarnings(c *Cluster) {
	const longest, longestCA = 365 * 24 * time.Hour, 10 * 365 * 24 * time.Hour
	if c.CertificateValidity > longest {
		v.add("certificateValidityPeriod", "", "%s is longer than the recommended %s", c.CertificateValidity, longest)
	}
	if c.CAValidity > longestCA {
		v.add("caCertificateValidityPeriod", "", "%s is longer than the recommended %s", c.CAValidity, longestCA)
	}
	if c.CertificateValidity > c.CAValidity {
		v.add("certificateValidityPeriod", "", "%s is longer than the %s of the CA; no certificate outlives its CA", c.CertificateValidity, c.CAValidity)
	}
}

// externalWarnings tells of a number of members that costs more than it
// gives: n members bear the loss of (n-1)/2.
func (v *validator) externalWarnings(x *ExternalEtcd) {
	n := len(x.Endpoints)
	if n > 0 && n%2 == 0 {
		v.add("etcd.external.endpoints", fmt.Sprintf("use %d or %d", n-1, n+1),
			"%d members bear the loss of %d, no more than %d members do", n, (n-1)/2, n-1)
	}
	for i, e := range x.Endpoints {
		if slices.Contains(x.Endpoints[:i], e) {
			v.add(fmt.Sprintf("etcd.external.endpoints[%d]", i), "", "%s is given twice", e)
		}
	}
}

func (v *validator) nodeWarnings(n *Node) {
	for i, t := range n.Taints {
		if t.Key == "node-role.kubernetes.io/master" {
			v.add(fmt.Sprintf("nodeRegistration.taints[%d].key", i), "use "+ControlPlaneRole, "%s has no meaning since Kubernetes v1.25", t.Key)
		}
	}
	if strings.HasSuffix(n.CRISocket, "dockershim.sock") {
		v.add("nodeRegistration.criSocket", "leave it out to find the runtime", "dockershim is gone since Kubernetes v1.24")
	}
}

// The paths of component configurations begin with their kinds, since they
// are documents of their own.
const (
	kubeletPath   = "KubeletConfiguration."
	kubeProxyPath = "KubeProxyConfiguration."
)

// kubeletWarnings compares what the user gave with what the cluster needs
// (kubeadm v1.37, componentconfigs/kubelet.go).
func (v *validator) kubeletWarnings(c *Cluster) {
	if !c.KubeletGiven {
		return
	}
	needs := Cluster{Networking: c.Networking, CertificatesDir: c.CertificatesDir}
	needs.defaultKubelet()
	got, want := &c.Kubelet, &needs.Kubelet
	v.recommend(kubeletPath+"staticPodPath", got.StaticPodPath, want.StaticPodPath)
	v.recommend(kubeletPath+"clusterDNS", strings.Join(got.ClusterDNS, ","), strings.Join(want.ClusterDNS, ","))
	v.recommend(kubeletPath+"clusterDomain", got.ClusterDomain, want.ClusterDomain)
	v.recommend(kubeletPath+"authentication.x509.clientCAFile", got.Authentication.X509.ClientCAFile, want.Authentication.X509.ClientCAFile)
	v.recommend(kubeletPath+"authentication.anonymous.enabled", text(got.Authentication.Anonymous.Enabled), text(want.Authentication.Anonymous.Enabled))
	v.recommend(kubeletPath+"authentication.webhook.enabled", text(got.Authentication.Webhook.Enabled), text(want.Authentication.Webhook.Enabled))
	v.recommend(kubeletPath+"authorization.mode", string(got.Authorization.Mode), string(want.Authorization.Mode))
	v.recommend(kubeletPath+"healthzBindAddress", got.HealthzBindAddress, want.HealthzBindAddress)
	v.recommend(kubeletPath+"healthzPort", text(got.HealthzPort), text(want.HealthzPort))
	v.recommend(kubeletPath+"readOnlyPort", fmt.Sprint(got.ReadOnlyPort), fmt.Sprint(want.ReadOnlyPort))
}

func (v *validator) kubeProxyWarnings(c *Cluster) {
	if !c.KubeProxyGiven {
		return
	}
	p := &c.KubeProxy
	if a, err := netip.ParseAddr(p.BindAddress); p.BindAddress != "" && err != nil {
		v.add(kubeProxyPath+"bindAddress", "use 0.0.0.0 or ::", "%q is not an IP address", p.BindAddress)
	} else if err == nil && !a.IsUnspecified() {
		v.add(kubeProxyPath+"bindAddress", "use 0.0.0.0 or ::", "%s: the recommended address is the unspecified one", a)
	}
	if pods := Join(c.Networking.PodSubnets); pods != "" && p.ClusterCIDR != "" {
		v.recommend(kubeProxyPath+"clusterCIDR", p.ClusterCIDR, pods)
	}
	v.recommend(kubeProxyPath+"clientConnection.kubeconfig", p.ClientConnection.Kubeconfig, kubeProxyKubeconfig)
	if p.Mode == "ipvs" {
		v.add(kubeProxyPath+"mode", "use nftables, or iptables for old kernels", "ipvs is deprecated since Kubernetes v1.35")
	}
}

func (v *validator) recommend(field, got, want string) {
	if got != "" && got != want {
		v.add(field, "", "is %s; the cluster is made for %s", got, want)
	}
}

func text[T any](p *T) string {
	if p == nil {
		return ""
	}
	return fmt.Sprint(*p)
}

// Warnings returns what is allowed but probably not meant.
func (j *JoinNode) Warnings() []Problem {
	v := &validator{}
	v.nodeWarnings(&j.Node)
	if t := j.Discovery.Token; t != nil && t.UnsafeSkipCAVerification && len(t.CACertHashes) == 0 {
		v.add("discovery.bootstrapToken.unsafeSkipCAVerification", "set caCertHashes", "whoever has the token and is on the network can pass for the cluster")
	}
	return v.problems
}
