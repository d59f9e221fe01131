package kubeconfig

import (
	"context"
	"crypto/x509"
	"fmt"
	"time"

	"k8s.io/client-go/tools/clientcmd/api"

	"github.com/hactl/hactl/certs"
	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases"
)

// Person is a further user of the cluster.
type Person struct {
	// Name is the certificate's common name, Organizations are the groups.
	Name          string
	Organizations []string
	// Token, if it is not empty, is what the person logs in with; then no
	// certificate is made.
	Token config.Secret
}

// ForPerson returns a kubeconfig for p. It writes nothing to the machine.
// The certificate never outlives the CA; until is when it ends, zero with a
// token. The task's Endpoint, ClusterName, CertDir, Algorithm and Validity
// count.
func ForPerson(ctx context.Context, t *Task, p Person) (data []byte, until time.Time, err error) {
	ca, err := t.loadCA(ctx)
	if err != nil {
		return nil, until, err
	}
	if ca.Cert == nil {
		return nil, until, t.noCA("is not on this machine")
	}
	auth := &api.AuthInfo{Token: p.Token.Reveal()}
	if p.Token == "" {
		if ca.Key == nil {
			return nil, until, t.noCAKey()
		}
		if auth, until, err = t.issuePerson(ctx, p, ca); err != nil {
			return nil, until, err
		}
	}
	cluster := &api.Cluster{Server: t.Endpoint, CertificateAuthorityData: certs.EncodeCert(ca.Cert)}
	data, err = document(t.ClusterName, p.Name, cluster, auth)
	return data, until, err
}

func (t *Task) issuePerson(ctx context.Context, p Person, ca certs.Pair) (*api.AuthInfo, time.Time, error) {
	key, err := t.Keys.Take(ctx, t.Algorithm)
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("make a private key: %w", err)
	}
	authority := certs.Authority{Cert: ca.Cert, Key: ca.Key}
	pair, err := authority.Issue(certs.Leaf{
		CommonName: p.Name, Organizations: p.Organizations, Validity: t.Validity,
		Usages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, key, t.now())
	if err != nil {
		return nil, time.Time{}, err
	}
	keyPEM, err := certs.EncodeKey(pair.Key)
	if err != nil {
		return nil, time.Time{}, err
	}
	return &api.AuthInfo{ClientCertificateData: certs.EncodeCert(pair.Cert), ClientKeyData: keyPEM}, pair.Cert.NotAfter, nil
}

func (t *Task) noCA(why string) error {
	return &phases.Fault{
		What:  t.caCert() + " " + why,
		Fixes: []string{"run on a control-plane node", "or name the directory in the configuration: --config FILE, certificatesDir"},
	}
}

func (t *Task) noCAKey() error {
	return &phases.Fault{
		What: t.caKey() + " is not there, so hactl cannot make a certificate",
		Why:  certs.ErrExternalCA,
		Fixes: []string{
			"let the external CA sign a client certificate for the user",
			"or give the user a token: --token",
		},
	}
}
