package publish

import (
	"crypto/x509"
	"slices"
	"strings"

	"github.com/hactl/hactl/certs"
	"github.com/hactl/hactl/templates"
)

// authorities are the pairs among the shared files, with the common name that
// kubeadm and hactl give them.
func authorities() []struct{ key, name string } {
	return []struct{ key, name string }{
		{"ca", "kubernetes"}, {"front-proxy-ca", "front-proxy-ca"}, {"etcd-ca", "etcd-ca"},
	}
}

// verify says whether the files are whole and belong together, and to the
// cluster. The fault wraps ErrTampered.
func (t *Task) verify(files map[string][]byte) error {
	for _, f := range templates.SharedFiles(t.Cluster) {
		data, there := files[f.Key]
		switch {
		case f.Path == "":
		case !there:
			return tampered("there is no %s", f.Key)
		case len(data) == 0 && !strings.HasSuffix(f.Key, "ca.key"):
			return tampered("%s is empty", f.Key)
		}
	}
	for _, a := range authorities() {
		if t.Cluster.Etcd.External != nil && a.key == "etcd-ca" {
			continue
		}
		if err := t.verifyAuthority(files, a.key, a.name); err != nil {
			return err
		}
	}
	if err := verifyAccount(files); err != nil {
		return err
	}
	return t.verifyExternal(files)
}

func (t *Task) verifyAuthority(files map[string][]byte, key, name string) error {
	pair, err := readPair(files, key)
	if err != nil {
		return err
	}
	if problems := certs.VerifyAuthority(pair, t.Now()); len(problems) > 0 {
		return tampered("%s.crt: %w", key, problems)
	}
	// All pairs are whole after two of them change places. The names tell,
	// where nobody chose others.
	cn := pair.Cert.Subject.CommonName
	for _, other := range authorities() {
		if cn == other.name && cn != name {
			return tampered("%s.crt is the CA %q", key, cn)
		}
	}
	if key != "ca" || len(t.CA) == 0 {
		return nil
	}
	trusted, err := certs.ParseCerts(t.CA)
	if err != nil {
		return tampered("the CA to compare with: %w", err)
	}
	if !slices.ContainsFunc(trusted, pair.Cert.Equal) {
		return tampered("ca.crt has the hash %s, but the cluster's CA %s", certs.Pin(pair.Cert), certs.Pin(trusted[0]))
	}
	return nil
}

// readPair reads a certificate and its key; a key that is empty is elsewhere.
func readPair(files map[string][]byte, key string) (certs.Pair, error) {
	chain, err := certs.ParseCerts(files[key+".crt"])
	if err != nil {
		return certs.Pair{}, tampered("%s.crt: %w", key, err)
	}
	pair := certs.Pair{Cert: chain[0], Chain: chain[1:]}
	if data := files[key+".key"]; len(data) > 0 {
		if pair.Key, err = certs.ParseKey(data); err != nil {
			return pair, tampered("%s.key: %w", key, err)
		}
	}
	return pair, nil
}

// verifyAccount compares the keys of service accounts.
func verifyAccount(files map[string][]byte) error {
	public, err := certs.ParsePublicKeys(files["sa.pub"])
	if err != nil {
		return tampered("sa.pub: %w", err)
	}
	private, err := certs.ParseKey(files["sa.key"])
	if err != nil {
		return tampered("sa.key: %w", err)
	}
	if !certs.SamePublicKey(public[0], private.Public()) {
		return tampered("sa.pub does not belong to sa.key")
	}
	return nil
}

// verifyExternal looks at what an external etcd wants of its clients.
func (t *Task) verifyExternal(files map[string][]byte) error {
	e := t.Cluster.Etcd.External
	if e == nil {
		return nil
	}
	var cas []*x509.Certificate
	var err error
	if e.CAFile != "" {
		if cas, err = certs.ParseCerts(files["external-etcd-ca.crt"]); err != nil {
			return tampered("external-etcd-ca.crt: %w", err)
		}
	}
	if e.CertFile == "" || e.KeyFile == "" {
		return nil
	}
	pair, err := readPair(files, "external-etcd")
	if err != nil {
		return err
	}
	want := certs.Leaf{CommonName: pair.Cert.Subject.CommonName, Usages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	if len(cas) == 0 {
		cas = []*x509.Certificate{pair.Cert}
	}
	var problems certs.Problems
	for _, ca := range cas {
		if problems = certs.Verify(pair, ca, want, t.Now()); len(problems) == 0 {
			return nil
		}
	}
	return tampered("external-etcd.crt: %w", problems)
}
