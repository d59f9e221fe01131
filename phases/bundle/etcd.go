package bundle

import (
	"crypto/x509"
	"path"
	"strings"

	"github.com/hactl/hactl/certs"
)

// Purpose says what credentials of an etcd cluster are for.
type Purpose string

// What an etcd host gives to others.
const (
	ForClient Purpose = "client" // the API servers that use it
	ForMember Purpose = "member" // a further host of it
)

// etcdCA is the certificate of etcd's CA, in every bundle of an etcd host. Its
// key is in none.
const etcdCA = "etcd/ca.crt"

// EtcdLayout is what an etcd host gives to others, where dir is the
// certificates directory.
func EtcdLayout(dir string, p Purpose) Layout {
	l := Layout{Dir: path.Clean(dir), purpose: p, files: []shared{{etcdCA, etcdCA}}}
	for _, i := range p.issued() {
		l.files = append(l.files, shared{i.cert, i.cert}, shared{i.key, i.key})
	}
	return l
}

// issued is a pair that etcd's CA has signed, and what it may be used for.
type issued struct {
	pair
	usages []x509.ExtKeyUsage
}

// issued are the pairs of a purpose; none for one that is not known.
func (p Purpose) issued() []issued {
	const client, server = x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth
	of := func(base string, usages ...x509.ExtKeyUsage) issued {
		return issued{pair{cert: base + ".crt", key: base + ".key"}, usages}
	}
	switch p {
	case ForClient:
		return []issued{of("apiserver-etcd-client", client)}
	case ForMember:
		return []issued{of("etcd/server", server), of("etcd/peer", server, client), of("etcd/healthcheck-client", client)}
	}
	return nil
}

// guessPurpose is what a set of files seems to be for.
func guessPurpose(files Files) Purpose {
	if files.has("etcd/server.crt") || files.has("etcd/peer.crt") {
		return ForMember
	}
	return ForClient
}

// etcd judges the credentials of an etcd cluster.
func (q *inquest) etcd() {
	q.authority(pair{cert: etcdCA})
	for _, i := range q.Layout.purpose.issued() {
		q.issued(i, q.cas[strings.TrimSuffix(etcdCA, ".crt")])
	}
	for _, name := range q.files.names() {
		switch {
		case q.Layout.knows(name):
		case name == "etcd/ca.key":
			q.say(name, Unwanted, "the key of the CA stays on the first etcd host", q.commandf("rm %s", q.in(name)))
		default:
			q.say(name, Unknown, "it is none of the credentials of etcd", q.unknownFix(name))
		}
	}
}

// issued judges a pair that a CA has to have signed. Without a CA, nobody can
// say whether it has.
func (q *inquest) issued(i issued, ca *x509.Certificate) {
	p, ok := q.load(i.pair)
	if !q.files.has(i.key) {
		q.missing(i.key)
	}
	if !ok {
		return
	}
	nobody := ca == nil
	if nobody {
		ca = p.Cert
	}
	want := certs.Leaf{CommonName: p.Cert.Subject.CommonName, Usages: i.usages}
	for _, err := range certs.Verify(p, ca, want, q.Now) {
		if nobody && isIssuer(err) {
			continue
		}
		q.fault(i.pair, err)
	}
	q.soon(i.cert, p.Cert)
}
