package pki

import (
	"crypto/x509"
	"net/netip"

	"github.com/hactl/hactl/certs"
)

// item is one certificate that has a phase of its own. Names, files, subjects
// and usages are those of kubeadm v1.37 (phases/certs).
type item struct {
	name  string // the phase
	base  string // the files below Dir, without suffix
	ca    string // the phase of the authority; "" for an authority
	cn    string // the common name; "" means the node's name
	title string
	usage []x509.ExtKeyUsage
	sans  func(*Task) ([]string, []netip.Addr) // nil for a client
}

func (i item) authority() bool { return i.ca == "" }
func (i item) cert() string    { return i.base + ".crt" }
func (i item) key() string     { return i.base + ".key" }

// etcd says whether external etcd does without it.
func (i item) etcd() bool { return i.name == "etcd-ca" || i.ca == "etcd-ca" }

func (i item) skip(t *Task) string {
	if i.etcd() && t.ExternalEtcd {
		return "etcd is external"
	}
	return ""
}

// leaf is what the certificate must say.
func (i item) leaf(t *Task) certs.Leaf {
	l := certs.Leaf{CommonName: i.cn, Usages: i.usage, Validity: t.Validity}
	if l.CommonName == "" {
		l.CommonName = t.NodeName
	}
	if i.sans != nil {
		l.DNSNames, l.IPs = i.sans(t)
	}
	return l
}

// items lists every certificate in the order in which phases run.
func items() []item {
	client := []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	server := []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	// An etcd server is its own client when its gateway calls it
	// (https://github.com/etcd-io/etcd/issues/9785).
	both := []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	return []item{
		{name: "ca", base: "ca", cn: "kubernetes", title: "make the cluster's CA"},
		{name: "apiserver", base: "apiserver", ca: "ca", cn: "kube-apiserver", usage: server, sans: apiServerSANs,
			title: "issue the serving certificate of kube-apiserver"},
		{name: "apiserver-kubelet-client", base: "apiserver-kubelet-client", ca: "ca", cn: "kube-apiserver-kubelet-client",
			usage: client, title: "issue the certificate with which kube-apiserver calls kubelets"},
		{name: "front-proxy-ca", base: "front-proxy-ca", cn: "front-proxy-ca", title: "make the front proxy's CA"},
		{name: "front-proxy-client", base: "front-proxy-client", ca: "front-proxy-ca", cn: "front-proxy-client", usage: client,
			title: "issue the certificate of the front proxy"},
		{name: "etcd-ca", base: "etcd/ca", cn: "etcd-ca", title: "make etcd's CA"},
		{name: "etcd-server", base: "etcd/server", ca: "etcd-ca", usage: both, sans: etcdServerSANs,
			title: "issue the serving certificate of etcd"},
		{name: "etcd-peer", base: "etcd/peer", ca: "etcd-ca", usage: both, sans: etcdPeerSANs,
			title: "issue the certificate with which etcd members talk"},
		{name: "etcd-healthcheck-client", base: "etcd/healthcheck-client", ca: "etcd-ca", cn: "kube-etcd-healthcheck-client",
			usage: client, title: "issue the certificate that probes etcd's health"},
		{name: "apiserver-etcd-client", base: "apiserver-etcd-client", ca: "etcd-ca", cn: "kube-apiserver-etcd-client",
			usage: client, title: "issue the certificate with which kube-apiserver calls etcd"},
	}
}

// KeyFiles are the private keys that Phase makes where they are not there.
func KeyFiles(t *Task) []string {
	files := OwnKeyFiles(t)
	for _, it := range items() {
		if it.authority() && it.skip(t) == "" {
			files = append(files, t.path(it.key()))
		}
	}
	return append(files, t.path(accountKey))
}

// OwnKeyFiles are the private keys that JoinPhase makes where they are not
// there.
func OwnKeyFiles(t *Task) []string {
	var files []string
	for _, it := range items() {
		if !it.authority() && it.skip(t) == "" {
			files = append(files, t.path(it.key()))
		}
	}
	return files
}

// lookup returns the item of that name; ok is false if there is none.
func lookup(name string) (it item, ok bool) {
	for _, it := range items() {
		if it.name == name {
			return it, true
		}
	}
	return item{}, false
}

// issued lists what an authority signs for this node.
func issued(ca item) []item {
	var list []item
	for _, it := range items() {
		if it.ca == ca.name {
			list = append(list, it)
		}
	}
	return list
}

func apiServerSANs(t *Task) ([]string, []netip.Addr) {
	names := []string{t.NodeName, "kubernetes", "kubernetes.default", "kubernetes.default.svc"}
	if t.ServiceDomain != "" {
		names = append(names, "kubernetes.default.svc."+t.ServiceDomain)
	}
	ips := append([]netip.Addr{t.AdvertiseAddress}, t.FirstServiceIPs...)
	return classify(append([]string{t.EndpointHost}, t.APIServerSANs...), names, ips)
}

func etcdServerSANs(t *Task) ([]string, []netip.Addr) { return etcdSANs(t, t.EtcdServerSANs) }

func etcdPeerSANs(t *Task) ([]string, []netip.Addr) { return etcdSANs(t, t.EtcdPeerSANs) }

func etcdSANs(t *Task, more []string) ([]string, []netip.Addr) {
	ips := []netip.Addr{t.AdvertiseAddress, netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}
	return classify(more, []string{t.NodeName, "localhost"}, ips)
}

// classify adds each text to the addresses if it is one, to the names otherwise.
func classify(texts, names []string, ips []netip.Addr) ([]string, []netip.Addr) {
	for _, text := range texts {
		if ip, err := netip.ParseAddr(text); err == nil {
			ips = append(ips, ip)
		} else if text != "" {
			names = append(names, text)
		}
	}
	return names, ips
}
