package bundle

import (
	"crypto"
	"crypto/x509"
	"net/netip"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/hactl/hactl/certs"
	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases/host"
)

const dir = "/etc/kubernetes/pki"

var now = time.Date(2026, 11, 21, 4, 0, 0, 0, time.UTC)

// node is a control plane's certificates directory, as content by name.
type node map[string][]byte

func newKey(t testing.TB) crypto.Signer {
	t.Helper()
	key, err := certs.NewKey(certs.ECDSAP256)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func pem(t testing.TB, key crypto.Signer) []byte {
	t.Helper()
	data, err := certs.EncodeKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// authority adds a CA that is valid for a while.
func (n node) authority(t testing.TB, base, cn string, validity time.Duration) *certs.Authority {
	t.Helper()
	key := newKey(t)
	ca, err := certs.NewAuthority(certs.AuthoritySpec{CommonName: cn, Validity: validity}, key, now)
	if err != nil {
		t.Fatal(err)
	}
	n[base+".crt"], n[base+".key"] = certs.EncodeCert(ca.Cert), pem(t, key)
	return ca
}

// leavesOf are what a node makes for itself, as the certificates' own family
// lists them.
func leavesOf(name, address string) []Leaf {
	client := []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	server := []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	sans := func(cn string, dns ...string) certs.Leaf {
		return certs.Leaf{CommonName: cn, Usages: server, DNSNames: append(dns, name), IPs: []netip.Addr{netip.MustParseAddr(address)}}
	}
	return []Leaf{
		{"apiserver", "ca", sans("kube-apiserver", "kubernetes", "kubernetes.default")},
		{"apiserver-kubelet-client", "ca", certs.Leaf{CommonName: "kube-apiserver-kubelet-client", Usages: client}},
		{"front-proxy-client", "front-proxy-ca", certs.Leaf{CommonName: "front-proxy-client", Usages: client}},
		{"etcd/server", "etcd/ca", sans(name, "localhost")},
		{"etcd/peer", "etcd/ca", sans(name, "localhost")},
		{"etcd/healthcheck-client", "etcd/ca", certs.Leaf{CommonName: "kube-etcd-healthcheck-client", Usages: client}},
		{"apiserver-etcd-client", "etcd/ca", certs.Leaf{CommonName: "kube-apiserver-etcd-client", Usages: client}},
	}
}

// controlPlane is all that init leaves on cp-1, 10.0.0.11.
func controlPlane(t testing.TB) node {
	t.Helper()
	n := node{}
	cas := map[string]*certs.Authority{}
	for base, cn := range map[string]string{"ca": "kubernetes", "front-proxy-ca": "front-proxy-ca", "etcd/ca": "etcd-ca"} {
		cas[base] = n.authority(t, base, cn, 0)
	}
	for _, l := range leavesOf("cp-1", "10.0.0.11") {
		n.issue(t, cas[l.Authority], l)
	}
	key := newKey(t)
	public, err := certs.EncodePublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	n["sa.key"], n["sa.pub"] = pem(t, key), public
	return n
}

func (n node) issue(t testing.TB, ca *certs.Authority, l Leaf) {
	t.Helper()
	key := newKey(t)
	p, err := ca.Issue(l.Want, key, now)
	if err != nil {
		t.Fatal(err)
	}
	n[l.Base+".crt"], n[l.Base+".key"] = certs.EncodeCert(p.Cert), pem(t, key)
}

// keep leaves only some files.
func (n node) keep(names ...string) node {
	kept := node{}
	for _, name := range names {
		kept[name] = n[name]
	}
	return kept
}

// put writes the files below a directory, as init would.
func (n node) put(t testing.TB, m *host.Memory, dir string) {
	t.Helper()
	for name, data := range n {
		if err := m.WriteFile(t.Context(), path.Join(dir, name), data, modeOf(name)); err != nil {
			t.Fatal(err)
		}
	}
}

func (n node) files() Files {
	f := Files{}
	for name, data := range n {
		f[name] = Content{Data: data, Mode: modeOf(name)}
	}
	return f
}

// snapshot is every file below a directory, with its mode.
func snapshot(t testing.TB, h host.Files, dir string) map[string]string {
	t.Helper()
	files, err := Read(t.Context(), h, dir)
	if err != nil {
		return nil
	}
	out := map[string]string{}
	for name, c := range files {
		out[name] = c.Mode.Perm().String() + " " + string(c.Data)
	}
	return out
}

// secrets are lines that only private keys have.
func (n node) secrets() []string {
	var list []string
	for name, data := range n {
		if strings.HasSuffix(name, ".key") {
			list = append(list, strings.Split(string(data), "\n")[1])
		}
	}
	return list
}

// stacked is the layout of a cluster that runs its own etcd.
func stacked(dir string) Layout { return NewLayout(&config.Cluster{CertificatesDir: dir}) }

// externally is the layout of a cluster with external etcd whose files lie
// where they usually do.
func externally(dir string) Layout {
	c := &config.Cluster{CertificatesDir: dir}
	c.Etcd.External = defaultExternal(dir)
	return NewLayout(c)
}
