package templates

import (
	"path"

	"github.com/hactl/hactl/config"
)

// The Secret in namespace kube-system that carries the certificates from
// one control-plane node to the next.
const (
	CertsSecret = "kubeadm-certs"
	// KeyFingerprintAnnotation tells a wrong certificate key from one that a
	// later upload has replaced. It is hactl's own.
	KeyFingerprintAnnotation = "hactl.io/key-fingerprint"
	// ExpiresAnnotation is when the Secret goes away, in RFC 3339. It is
	// hactl's own.
	ExpiresAnnotation = "hactl.io/expires"
)

// SharedFile is a file that all control-plane nodes have in common.
type SharedFile struct {
	Key  string // in the Secret
	Path string // on a node; empty where the cluster does without
}

// SharedFiles lists what Secret kubeadm-certs holds, for stacked or external
// etcd (kubeadm v1.37, phases/copycerts/copycerts.go).
func SharedFiles(c *config.Cluster) []SharedFile {
	var list []SharedFile
	for _, name := range []string{"ca.crt", "ca.key", "front-proxy-ca.crt", "front-proxy-ca.key", "sa.pub", "sa.key"} {
		list = append(list, SharedFile{name, path.Join(c.CertificatesDir, name)})
	}
	if e := c.Etcd.External; e != nil {
		return append(list,
			SharedFile{"external-etcd-ca.crt", e.CAFile},
			SharedFile{"external-etcd.crt", e.CertFile},
			SharedFile{"external-etcd.key", e.KeyFile})
	}
	return append(list,
		SharedFile{"etcd-ca.crt", path.Join(c.CertificatesDir, "etcd/ca.crt")},
		SharedFile{"etcd-ca.key", path.Join(c.CertificatesDir, "etcd/ca.key")})
}
