package publish

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/hactl/hactl/certs"
	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/kube"
	"github.com/hactl/hactl/templates"
)

const (
	// earlierAnnotation lists the fingerprints of keys that uploads before
	// this one had, newest first. It is hactl's own.
	earlierAnnotation = "hactl.io/earlier-key-fingerprints"
	earlierKept       = 8
	// checkLimit is how long an API server may take to answer a check.
	checkLimit = 10 * time.Second

	uploadAnew = "upload the certificates anew, on a control-plane node: hactl init phase upload-certs --upload-certs"
	takeKey    = "then join with the key that it prints: --certificate-key"
)

// What is wrong with a certificate key or with what it should open.
// ErrNotUploaded is one of them, too.
var (
	// ErrExpired says that the uploaded certificates are past their end.
	ErrExpired = errors.New("the two hours that uploaded certificates have are over")
	// ErrSuperseded says that the key is that of an earlier upload.
	ErrSuperseded = errors.New("the key belongs to an earlier upload, which a later one has replaced")
	// ErrTampered says that what was uploaded is not what it should be.
	ErrTampered = errors.New("the uploaded certificates were changed")
)

// CheckCertificates says whether a node that joins as a control plane can use
// the key. It changes nothing. The error is a *phases.Fault that wraps
// ErrNotUploaded, ErrExpired, ErrSuperseded, certs.ErrWrongKey, ErrTampered or
// a *certs.CertificateKeyError, or an error of the API. Certificates that
// kubeadm uploaded do not tell whether another key is an earlier one: then the
// fault wraps certs.ErrWrongKey and says both.
func CheckCertificates(ctx context.Context, api kube.API, key config.Secret, now time.Time) error {
	_, err := openShared(ctx, api, key, now)
	return err
}

// openShared returns the uploaded files in the clear, by their keys in the
// Secret.
func openShared(ctx context.Context, api kube.API, text config.Secret, now time.Time) (map[string][]byte, error) {
	key, err := (&Task{Key: text}).key()
	if err != nil {
		return nil, err
	}
	s, err := findShared(ctx, api)
	if err != nil {
		return nil, err
	}
	if end, err := time.Parse(time.RFC3339, s.Annotations[templates.ExpiresAnnotation]); err == nil && now.After(end) {
		return nil, badKey(fmt.Sprintf("the uploaded certificates ended at %s", end.UTC().Format(time.RFC3339)), ErrExpired)
	}
	files := map[string][]byte{}
	var closed []string
	for _, name := range slices.Sorted(maps.Keys(s.Data)) {
		files[name] = []byte{} // where the cluster does without
		if sealed := s.Data[name]; len(sealed) > 0 {
			plain, err := certs.Open(key, sealed)
			if err != nil {
				closed = append(closed, name)
			}
			files[name] = plain
		}
	}
	if len(closed) > 0 {
		return nil, notOpened(s, certs.Fingerprint(key), closed)
	}
	return files, nil
}

// findShared gets the Secret. Where it was never uploaded there is no right to
// read it either.
func findShared(ctx context.Context, api kube.API) (*corev1.Secret, error) {
	s := secret(templates.CertsSecret)
	err := kube.Insist(ctx, api, checkLimit, "Secret kube-system/"+s.Name, func(ctx context.Context) error {
		err := api.Get(ctx, s)
		if apierrors.IsNotFound(err) || apierrors.IsForbidden(err) {
			return ErrNotUploaded
		}
		return err
	})
	switch {
	case errors.Is(err, ErrNotUploaded), err == nil && len(s.Data) == 0:
		return nil, badKey("there are no uploaded certificates in the cluster: they end after two hours, or nobody uploaded them", ErrNotUploaded)
	case err != nil:
		return nil, explainReader(err)
	}
	return s, nil
}

// notOpened explains a key that does not open all entries.
func notOpened(s *corev1.Secret, fingerprint string, closed []string) error {
	current := s.Annotations[templates.KeyFingerprintAnnotation]
	earlier := strings.Split(s.Annotations[earlierAnnotation], ",")
	switch {
	case current == fingerprint || len(closed) < filled(s):
		return tampered("%s in Secret kube-system/%s is not what was uploaded", strings.Join(closed, ", "), s.Name)
	case current == "":
		return badKey("the certificate key does not open the uploaded certificates: it is wrong, or of an earlier upload", certs.ErrWrongKey)
	case slices.Contains(earlier, fingerprint):
		return badKey("the certificate key is of an earlier upload; the certificates were uploaded again with another one", ErrSuperseded,
			"use the key that the newest upload printed")
	}
	return badKey("the certificate key is wrong", certs.ErrWrongKey,
		fmt.Sprintf("check it for missing or changed characters: that of the upload has the fingerprint %s, this one %s", current, fingerprint))
}

// filled counts the entries that hold something.
func filled(s *corev1.Secret) int {
	n := 0
	for _, v := range s.Data {
		if len(v) > 0 {
			n++
		}
	}
	return n
}

func badKey(what string, why error, fixes ...string) error {
	return &phases.Fault{What: what, Why: why, Fixes: append(fixes, uploadAnew, takeKey)}
}

func tampered(format string, args ...any) error {
	return &phases.Fault{
		What: "the uploaded certificates cannot be trusted", Why: fmt.Errorf("%w: "+format, append([]any{ErrTampered}, args...)...),
		Fixes: []string{"find out who changed the Secret", uploadAnew, takeKey},
		Exit:  phases.CodeUnsafe,
	}
}

// earlierKeys lists the fingerprints of uploads before one with this key, as
// live knows them.
func earlierKeys(live *corev1.Secret, fingerprint string) string {
	list := []string{live.Annotations[templates.KeyFingerprintAnnotation]}
	list = append(list, strings.Split(live.Annotations[earlierAnnotation], ",")...)
	list = slices.DeleteFunc(list, func(f string) bool { return f == "" || f == fingerprint })
	return strings.Join(list[:min(len(list), earlierKept)], ",")
}
