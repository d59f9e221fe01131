package kubeconfig

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"

	"github.com/hactl/hactl/certs"
	"github.com/hactl/hactl/phases"
)

var (
	// ErrOtherCA says that a kubeconfig trusts another CA than the cluster's.
	ErrOtherCA = errors.New("the file trusts another CA")
	// ErrNoContext says that a kubeconfig has no usable current context.
	ErrNoContext = errors.New("the current context names no cluster and user of the file")
	// ErrNoCredentials says that a kubeconfig cannot log in.
	ErrNoCredentials = errors.New("the current user has no credentials")
	// ErrNoCA says that a kubeconfig does not say whom to trust.
	ErrNoCA = errors.New("the current cluster has no certificate authority")
)

// found is the current context of an existing file.
type found struct {
	cluster *api.Cluster
	user    *api.AuthInfo
}

// load returns nil without an error if there is no file.
func (t *Task) load(ctx context.Context, u user) (*found, error) {
	data, err := t.read(ctx, t.file(u))
	if err != nil || data == nil {
		return nil, err
	}
	config, err := clientcmd.Load(data)
	if err != nil {
		return nil, t.bad(u, err)
	}
	current := config.Contexts[config.CurrentContext]
	if current == nil {
		return nil, t.bad(u, ErrNoContext)
	}
	f := &found{cluster: config.Clusters[current.Cluster], user: config.AuthInfos[current.AuthInfo]}
	if f.cluster == nil || f.user == nil {
		return nil, t.bad(u, ErrNoContext)
	}
	return f, nil
}

// loadCA reads the cluster's CA. What does not exist stays nil.
func (t *Task) loadCA(ctx context.Context) (certs.Pair, error) {
	var p certs.Pair
	data, err := t.read(ctx, t.caCert())
	if err != nil || data == nil {
		return p, err
	}
	chain, err := certs.ParseCerts(data)
	if err != nil {
		return p, t.badCA(t.caCert(), err)
	}
	p.Cert, p.Chain = chain[0], chain[1:]
	if data, err = t.read(ctx, t.caKey()); err != nil {
		return p, err
	}
	if data != nil {
		if p.Key, err = certs.ParseKey(data); err != nil {
			return p, t.badCA(t.caKey(), err)
		}
	}
	if problems := certs.VerifyAuthority(p, t.now()); len(problems) > 0 {
		return p, t.badCA(t.caCert(), problems)
	}
	return p, nil
}

// read returns nil without an error for a file that does not exist.
func (t *Task) read(ctx context.Context, name string) ([]byte, error) {
	data, err := t.Host.ReadFile(ctx, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if data == nil {
		data = []byte{}
	}
	return data, nil
}

// mend keeps hactl from offering to make a file anew that only an external CA
// can sign.
func (t *Task) mend(u user, ca certs.Pair, err error) error {
	var fault *phases.Fault
	if ca.Cert != nil && ca.Key == nil && errors.As(err, &fault) {
		return &phases.Fault{What: fault.What, Why: fault.Why, Fixes: t.bring(u)}
	}
	return err
}

// compare says what keeps an existing file from being used.
func (t *Task) compare(ctx context.Context, u user, f *found, ca certs.Pair) error {
	trusted, err := t.material(ctx, f.cluster.CertificateAuthorityData, f.cluster.CertificateAuthority)
	if err != nil {
		return t.bad(u, err)
	}
	if len(trusted) == 0 {
		return t.bad(u, ErrNoCA)
	}
	if !trusts(trusted, ca) {
		return t.foreign(u)
	}
	if want := u.server(t); f.cluster.Server != want {
		phases.Warn(ctx, fmt.Sprintf("%s uses the server %s, not %s; hactl leaves it as it is", t.file(u), f.cluster.Server, want))
	}
	// Once the kubelet rotates its certificate, the file only points to it,
	// and the kubelet looks after it.
	if u.perNode && f.user.ClientCertificate != "" && len(f.user.ClientCertificateData) == 0 {
		return nil
	}
	return t.compareUser(ctx, u, f, ca)
}

// trusts looks at the first certificate, as kubeadm v1.37 does. It must be
// one of those in the cluster's CA file.
func trusts(data []byte, ca certs.Pair) bool {
	list, err := certs.ParseCerts(data)
	return err == nil && slices.ContainsFunc(append([]*x509.Certificate{ca.Cert}, ca.Chain...), list[0].Equal)
}

func (t *Task) compareUser(ctx context.Context, u user, f *found, ca certs.Pair) error {
	cert, err := t.material(ctx, f.user.ClientCertificateData, f.user.ClientCertificate)
	if err != nil {
		return t.bad(u, err)
	}
	if len(cert) == 0 {
		if otherCredentials(f.user) {
			return nil // a person chose them; only the API server can judge
		}
		return t.bad(u, ErrNoCredentials)
	}
	chain, err := certs.ParseCerts(cert)
	if err != nil {
		return t.bad(u, fmt.Errorf("client certificate: %w", err))
	}
	data, err := t.material(ctx, f.user.ClientKeyData, f.user.ClientKey)
	if err != nil {
		return t.bad(u, err)
	}
	key, err := certs.ParseKey(data)
	if err != nil {
		return t.bad(u, fmt.Errorf("client key: %w", err))
	}
	pair := certs.Pair{Cert: chain[0], Chain: chain[1:], Key: key}
	if problems := certs.Verify(pair, ca.Cert, u.leaf(t), t.now()); len(problems) > 0 {
		return t.bad(u, problems)
	}
	return nil
}

func otherCredentials(a *api.AuthInfo) bool {
	return a.Token != "" || a.TokenFile != "" || a.Username != "" || a.Exec != nil || a.AuthProvider != nil
}

// material returns the embedded data or else the content of the file.
func (t *Task) material(ctx context.Context, data []byte, name string) ([]byte, error) {
	if len(data) > 0 || name == "" {
		return data, nil
	}
	if !path.IsAbs(name) {
		name = path.Join(t.Dir, name) // as client-go resolves it
	}
	data, err := t.Host.ReadFile(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return data, nil
}

func (t *Task) again(u user) string {
	return fmt.Sprintf("remove %s and run again: hactl makes it anew", t.file(u))
}

func (t *Task) bad(u user, why error) error {
	return &phases.Fault{
		What: fmt.Sprintf("%s cannot be used", t.file(u)), Why: why, Fixes: []string{t.again(u)},
	}
}

func (t *Task) foreign(u user) error {
	return &phases.Fault{
		What: fmt.Sprintf("%s belongs to another cluster", t.file(u)),
		Why:  fmt.Errorf("%w than the one in %s", ErrOtherCA, t.caCert()),
		Fixes: []string{
			fmt.Sprintf("if this node is still part of that cluster, put its CA back into %s and %s", t.caCert(), t.caKey()),
			"if not, " + t.again(u),
		},
	}
}

func (t *Task) badCA(name string, why error) error {
	return &phases.Fault{
		What: fmt.Sprintf("%s cannot be used", name), Why: why,
		Fixes: []string{fmt.Sprintf("put the cluster's CA into %s and %s", t.caCert(), t.caKey())},
	}
}

func (t *Task) missingCA(u user, command string) error {
	return &phases.Fault{
		What:  fmt.Sprintf("%s is missing, which %s needs", t.caCert(), t.file(u)),
		Fixes: []string{"make it: " + command},
	}
}

func (t *Task) lostCA(u user) error {
	return &phases.Fault{
		What: fmt.Sprintf("%s exists, but the CA it belongs to does not: %s", t.file(u), t.caCert()),
		Fixes: []string{
			fmt.Sprintf("put %s and %s back, for instance from a backup", t.caCert(), t.caKey()),
			"or, for a new cluster, " + t.again(u),
		},
	}
}

// externalCA tells at once of all files for which an external CA has to sign.
func (t *Task) externalCA(list ...user) error {
	var missing []string
	for _, u := range list {
		missing = append(missing, t.file(u))
	}
	what := "%s is missing, and hactl cannot make it"
	if len(missing) > 1 {
		what = "kubeconfig files are missing, and hactl cannot make them: %s"
	}
	return &phases.Fault{
		What: fmt.Sprintf(what, strings.Join(missing, ", ")),
		Why:  fmt.Errorf("%s is not there, so the CA is an external one: %w", t.caKey(), certs.ErrExternalCA),
		Fixes: []string{
			"make them with a private key, and the signing requests: hactl certs generate-csr",
			fmt.Sprintf("sign each NAME.conf.csr with the external CA and put the certificate and %s into NAME.conf", t.caCert()),
			"or put the CA's key there: " + t.caKey(),
		},
	}
}

// bring says how to mend a file whose certificate an external CA signs.
func (t *Task) bring(u user) []string {
	return []string{
		fmt.Sprintf("put into %s a certificate that the external CA signs for the user %q, its key, and the CA itself, %s",
			t.file(u), u.commonName(t), t.caCert()),
		"for the signing request of the key that is there: hactl certs generate-csr",
	}
}
