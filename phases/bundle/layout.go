// Package bundle is the family of the certificates that travel from one
// control-plane node to another by hand, or from an etcd host to those that
// use or join its cluster: as an encrypted archive, as a directory, or as
// files that a person copied. It owns the list of what may
// travel and the judgement of what arrived. It refuses to overwrite what is
// there, and to take along what each node makes for itself.
package bundle

import (
	"path"
	"slices"
	"strings"

	"github.com/hactl/hactl/certs"
	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/templates"
)

// outside is the folder of a bundle with the files that do not lie below the
// certificates directory, each at its path from the root.
const outside = "outside"

// Layout is what the control-plane nodes of one cluster have in common, and
// where it lies. In a bundle, a file has its path below the certificates
// directory as its name.
type Layout struct {
	// External says that etcd is not the cluster's own.
	External bool
	// Dir is the certificates directory on a node.
	Dir   string
	files []shared
	// purpose is set for credentials of an etcd cluster, which control planes
	// do not share with each other.
	purpose Purpose
}

// shared is one file; key is its name in Secret kubeadm-certs, where all are
// in one folder.
type shared struct{ key, name string }

// NewLayout returns the layout of a cluster.
func NewLayout(c *config.Cluster) Layout {
	l := Layout{External: c.Etcd.External != nil, Dir: path.Clean(c.CertificatesDir)}
	for _, f := range templates.SharedFiles(c) {
		if f.Path != "" {
			l.files = append(l.files, shared{f.Key, l.Name(f.Path)})
		}
	}
	return l
}

// The files of an external etcd that a node has where nobody says otherwise.
func defaultExternal(dir string) *config.ExternalEtcd {
	return &config.ExternalEtcd{
		CAFile: path.Join(dir, "etcd/ca.crt"), CertFile: path.Join(dir, "apiserver-etcd-client.crt"), KeyFile: path.Join(dir, "apiserver-etcd-client.key"),
	}
}

// Guess returns the layout that a set of files comes from, where no
// configuration tells.
func Guess(files Files, dir string) Layout { return NewLayout(GuessCluster(files, dir)) }

// GuessCluster is what a set of files tells of its cluster: where they are to
// lie, and whether etcd is external. An etcd client pair without anything that
// only an etcd member has is that of external etcd.
func GuessCluster(files Files, dir string) *config.Cluster {
	c := &config.Cluster{CertificatesDir: dir}
	member := slices.ContainsFunc([]string{"etcd/ca.key", "etcd-ca.key", "etcd/server.crt", "etcd/peer.crt", "etcd/healthcheck-client.crt"}, files.has)
	if !member && (files.has("apiserver-etcd-client.key") || files.has("external-etcd.key")) {
		c.Etcd.External = defaultExternal(dir)
	}
	return c
}

// export is the command that writes such a bundle.
func (l Layout) export() string {
	if l.purpose != "" {
		return "hactl etcd credentials export"
	}
	return "hactl certs export"
}

// Names lists the files of the layout.
func (l Layout) Names() []string {
	var list []string
	for _, f := range l.files {
		list = append(list, f.name)
	}
	return list
}

// Name is the name in a bundle of a file of the node.
func (l Layout) Name(file string) string {
	file = path.Clean(file)
	if below, ok := strings.CutPrefix(file, l.Dir+"/"); ok {
		return below
	}
	return path.Join(outside, file)
}

// Path is the file of the node that has a name in a bundle.
func (l Layout) Path(name string) string {
	if file, ok := strings.CutPrefix(name, outside+"/"); ok {
		return "/" + file
	}
	return path.Join(l.Dir, name)
}

// at returns the name of the file that Secret kubeadm-certs has under key; ""
// if the cluster does without.
func (l Layout) at(key string) string {
	for _, f := range l.files {
		if f.key == key {
			return f.name
		}
	}
	return ""
}

// knows says whether the file belongs to the layout.
func (l Layout) knows(name string) bool { return slices.Contains(l.Names(), name) }

// pair is a certificate with its key, by the names in a bundle; key is ""
// where only the certificate may travel.
type pair struct{ cert, key, cn string }

// authorities are the CAs, with the common names that kubeadm and hactl give
// them.
func (l Layout) authorities() []pair {
	list := []pair{
		{l.at("ca.crt"), l.at("ca.key"), "kubernetes"},
		{l.at("front-proxy-ca.crt"), l.at("front-proxy-ca.key"), "front-proxy-ca"},
	}
	if !l.External {
		return append(list, pair{l.at("etcd-ca.crt"), l.at("etcd-ca.key"), "etcd-ca"})
	}
	if ca := l.at("external-etcd-ca.crt"); ca != "" {
		return append(list, pair{cert: ca})
	}
	return list
}

// Leaf is a certificate that each control-plane node makes for itself.
type Leaf struct {
	Base      string // the files, without ".crt" and ".key"
	Authority string // those of the CA that signs it
	Want      certs.Leaf
}
