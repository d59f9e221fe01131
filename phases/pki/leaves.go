package pki

import "github.com/hactl/hactl/certs"

// Leaf is a certificate that each control-plane node makes for itself, so it
// is never copied from another one.
type Leaf struct {
	// Base is the files below the certificates directory, without ".crt" and
	// ".key".
	Base string
	// Authority is the file of the CA that signs it, in the same form.
	Authority string
	// Want is what the certificate of this node says.
	Want certs.Leaf
}

// Leaves lists the certificates of one control-plane node, those of etcd also
// where etcd is external.
func Leaves(t *Task) []Leaf {
	var list []Leaf
	for _, it := range items() {
		if ca, ok := lookup(it.ca); ok {
			list = append(list, Leaf{Base: it.base, Authority: ca.base, Want: it.leaf(t)})
		}
	}
	return list
}
