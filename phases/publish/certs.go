package publish

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	bootstrap "k8s.io/cluster-bootstrap/token/api"
	"k8s.io/cluster-bootstrap/token/util"

	"github.com/hactl/hactl/certs"
	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/kube"
	"github.com/hactl/hactl/templates"
)

const (
	certsRole = "kubeadm:kubeadm-certs"
	// lifetime is how long uploaded certificates stay, and enough is what
	// must be left of it for an upload to count as done.
	lifetime = 2 * time.Hour
	enough   = time.Hour
	// ownerDescription is that of the bootstrap token whose end takes the
	// certificates with it (kubeadm v1.37, phases/copycerts/copycerts.go).
	ownerDescription = "Proxy for managing TTL for the " + templates.CertsSecret + " secret"
)

// CertsPhase is phase upload-certs: the certificates that all control-plane
// nodes share, sealed with a key that only the user has.
func CertsPhase() phases.Phase[Task] {
	return phases.Phase[Task]{
		Name:  "upload-certs",
		Title: "share the certificates with other control-plane nodes, sealed, for two hours",
		Reads: []string{
			path.Join(config.DefaultCertsDir, "{ca,front-proxy-ca,etcd/ca}.{crt,key}"),
			path.Join(config.DefaultCertsDir, "sa.{pub,key}"),
		},
		Writes: []string{
			"Secret kube-system/" + templates.CertsSecret,
			"Secret kube-system/bootstrap-token-… that ends it",
			"Role and RoleBinding kube-system/" + certsRole,
		},
		Skip: func(t *Task) string {
			if t.Upload {
				return ""
			}
			return "the certificates stay on this node; --upload-certs shares them"
		},
		Observe: observeCerts,
		Apply:   applyCerts,
	}
}

func observeCerts(ctx context.Context, t *Task) (phases.State, error) {
	files, err := t.files(ctx)
	if err != nil || t.Key == "" {
		return phases.Missing, err
	}
	key, err := t.key()
	if err != nil {
		return phases.Missing, err
	}
	live := secret(templates.CertsSecret)
	found, err := t.find(ctx, live)
	if err != nil || !found || !opensTo(live.Data, key, files) {
		return phases.Missing, err
	}
	expires, err := t.ownerExpires(ctx, live)
	if err != nil || expires.Sub(t.Now()) <= enough || live.Annotations[templates.KeyFingerprintAnnotation] != certs.Fingerprint(key) {
		return phases.Missing, err
	}
	same, err := kube.MatchAll(ctx, t.API, t.Limit, certsAccess()...)
	if err != nil || !same {
		return phases.Missing, err
	}
	t.Expires = expires
	return phases.Done, nil
}

func applyCerts(ctx context.Context, t *Task) error {
	files, err := t.files(ctx)
	if err != nil {
		return err
	}
	if t.Key == "" {
		t.Key = config.Secret(certs.NewCertificateKey())
	}
	key, err := t.key()
	if err != nil {
		return err
	}
	sealed := secret(templates.CertsSecret)
	sealed.Data = map[string][]byte{}
	for name, plain := range files {
		if sealed.Data[name], err = seal(key, plain); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	expires := t.Now().Add(lifetime).UTC().Truncate(time.Second)
	owner, err := newOwner(expires)
	if err != nil {
		return err
	}
	if err := kube.PutAll(ctx, t.API, t.Limit, append(certsAccess(), owner)...); err != nil {
		return explain(err)
	}
	// The reference needs the UID, which only the API server knows.
	if _, err := t.find(ctx, owner); err != nil {
		return err
	}
	sealed.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(owner, corev1.SchemeGroupVersion.WithKind("Secret"))}
	if sealed.Annotations, err = t.notes(ctx, key, expires); err != nil {
		return err
	}
	// Not Put: a second controller in ownerReferences, left by an upload of
	// kubeadm, would be refused.
	return explain(kube.Replace(ctx, t.API, t.Limit, sealed))
}

// notes are what the Secret says of this upload and those before it.
func (t *Task) notes(ctx context.Context, key [certs.CertificateKeySize]byte, expires time.Time) (map[string]string, error) {
	live := secret(templates.CertsSecret)
	if _, err := t.find(ctx, live); err != nil {
		return nil, err
	}
	notes := map[string]string{
		templates.KeyFingerprintAnnotation: certs.Fingerprint(key),
		templates.ExpiresAnnotation:        expires.Format(time.RFC3339),
	}
	if earlier := earlierKeys(live, certs.Fingerprint(key)); earlier != "" {
		notes[earlierAnnotation] = earlier
	}
	return notes, nil
}

// files reads what is to be shared, by its key in the Secret.
func (t *Task) files(ctx context.Context) (map[string][]byte, error) {
	files := map[string][]byte{}
	for _, f := range templates.SharedFiles(t.Cluster) {
		if f.Path == "" {
			// kubeadm insists on the entry when it joins.
			files[f.Key] = []byte{}
			continue
		}
		data, err := t.Host.ReadFile(ctx, f.Path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, t.absent(f)
		}
		if err != nil {
			return nil, err
		}
		files[f.Key] = data
	}
	return files, nil
}

// absent explains a file that is not there. A CA without its key is one that
// somebody else runs.
func (t *Task) absent(f templates.SharedFile) error {
	switch {
	case f.Key == "ca.key" || f.Key == "front-proxy-ca.key":
		return &phases.Fault{
			What: "the certificates cannot be uploaded: " + f.Path + " is not on this node, so this CA is run elsewhere",
			Fixes: []string{
				"leave out --upload-certs and bring each control-plane node its certificates from that CA",
				"or put " + f.Path + " here and run the same command again",
			},
			Exit: phases.CodeUsage,
		}
	case t.Cluster.Etcd.External != nil && path.Dir(f.Path) != t.Cluster.CertificatesDir:
		return &phases.Fault{
			What:  "the certificates cannot be uploaded: there is no " + f.Path,
			Fixes: []string{"copy it from a node of the external etcd cluster and run the same command again"},
		}
	}
	return &phases.Fault{
		What:  "the certificates cannot be uploaded: there is no " + f.Path,
		Fixes: []string{"make it with: hactl init phase certs all"},
	}
}

func (t *Task) key() ([certs.CertificateKeySize]byte, error) {
	key, err := certs.ParseCertificateKey(t.Key.Reveal())
	if err != nil {
		return key, &phases.Fault{
			What:  "the certificate key cannot be used",
			Why:   err,
			Fixes: []string{"make one with: hactl certs certificate-key"},
			Exit:  phases.CodeUsage,
		}
	}
	return key, nil
}

// find gets a Secret and says whether it is there.
func (t *Task) find(ctx context.Context, s *corev1.Secret) (bool, error) {
	err := kube.Insist(ctx, t.API, t.Limit, "Secret kube-system/"+s.Name, func(ctx context.Context) error {
		return t.API.Get(ctx, s)
	})
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	return err == nil, explain(err)
}

// ownerExpires returns when the token that the certificates belong to ends;
// zero if there is none.
func (t *Task) ownerExpires(ctx context.Context, live *corev1.Secret) (time.Time, error) {
	ref := metav1.GetControllerOf(live)
	if ref == nil {
		return time.Time{}, nil
	}
	owner := secret(ref.Name)
	found, err := t.find(ctx, owner)
	if err != nil || !found || owner.UID != ref.UID {
		return time.Time{}, err
	}
	expires, err := time.Parse(time.RFC3339, string(owner.Data[bootstrap.BootstrapTokenExpirationKey]))
	if err != nil {
		return time.Time{}, nil
	}
	return expires, nil
}

// newOwner returns a bootstrap token that nobody can use: when tokencleaner
// removes it, the certificates go with it.
func newOwner(expires time.Time) (*corev1.Secret, error) {
	token, err := util.GenerateBootstrapToken()
	if err != nil {
		return nil, fmt.Errorf("make a token: %w", err)
	}
	parts := util.BootstrapTokenRegexp.FindStringSubmatch(token)
	owner := secret(util.BootstrapTokenSecretName(parts[1]))
	owner.Type = bootstrap.SecretTypeBootstrapToken
	owner.Data = map[string][]byte{
		bootstrap.BootstrapTokenIDKey:          []byte(parts[1]),
		bootstrap.BootstrapTokenSecretKey:      []byte(parts[2]),
		bootstrap.BootstrapTokenDescriptionKey: []byte(ownerDescription),
		bootstrap.BootstrapTokenExpirationKey:  []byte(expires.Format(time.RFC3339)),
	}
	return owner, nil
}

// certsAccess lets nodes that join read the Secret.
func certsAccess() []kube.Object {
	role, binding := templates.Reader{
		Name: certsRole, Namespace: metav1.NamespaceSystem, Resource: "secrets", Object: templates.CertsSecret,
	}.Grant(templates.Group(config.NodeGroup))
	return []kube.Object{role, binding}
}

func secret(name string) *corev1.Secret {
	return &corev1.Secret{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
		ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceSystem, Name: name},
		Type:       corev1.SecretTypeOpaque,
	}
}

func seal(key [certs.CertificateKeySize]byte, plain []byte) ([]byte, error) {
	if len(plain) == 0 {
		return []byte{}, nil
	}
	return certs.Seal(key, plain)
}

// opensTo says whether the sealed values hold exactly these files.
func opensTo(sealed map[string][]byte, key [certs.CertificateKeySize]byte, files map[string][]byte) bool {
	if len(sealed) != len(files) {
		return false
	}
	for name, want := range files {
		value, ok := sealed[name]
		if !ok || (len(value) == 0) != (len(want) == 0) {
			return false
		}
		if len(value) == 0 {
			continue
		}
		if plain, err := certs.Open(key, value); err != nil || !bytes.Equal(plain, want) {
			return false
		}
	}
	return true
}
