package certs

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"slices"
)

const blockRequest = "CERTIFICATE REQUEST"

// ErrOtherRequest says that a signing request asks for another certificate
// than the one wanted.
var ErrOtherRequest = errors.New("the request asks for another certificate")

// CreateRequest makes a certificate signing request for leaf (RFC 2986),
// signed with key. Beside subject and names it asks for leaf's usages, which
// a CA may copy. It returns ErrNoName or ErrNoUsage if leaf lacks one of
// these.
func CreateRequest(leaf Leaf, key crypto.Signer) (*x509.CertificateRequest, error) {
	switch {
	case leaf.CommonName == "":
		return nil, ErrNoName
	case len(leaf.Usages) == 0:
		return nil, ErrNoUsage
	}
	usages, err := usageExtension(leaf.Usages)
	if err != nil {
		return nil, fmt.Errorf("request the certificate %q: %w", leaf.CommonName, err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject:         pkix.Name{CommonName: leaf.CommonName, Organization: unique(leaf.Organizations)},
		DNSNames:        unique(leaf.DNSNames),
		IPAddresses:     netIPs(leaf.IPs),
		ExtraExtensions: []pkix.Extension{usages},
	}, key)
	if err != nil {
		return nil, fmt.Errorf("request the certificate %q: %w", leaf.CommonName, err)
	}
	return x509.ParseCertificateRequest(der)
}

// usageExtension is extKeyUsage (RFC 5280, 4.2.1.12).
func usageExtension(usages []x509.ExtKeyUsage) (pkix.Extension, error) {
	ids := map[x509.ExtKeyUsage]asn1.ObjectIdentifier{
		x509.ExtKeyUsageServerAuth: {1, 3, 6, 1, 5, 5, 7, 3, 1},
		x509.ExtKeyUsageClientAuth: {1, 3, 6, 1, 5, 5, 7, 3, 2},
	}
	var list []asn1.ObjectIdentifier
	for _, u := range usages {
		id, ok := ids[u]
		if !ok {
			return pkix.Extension{}, fmt.Errorf("usage %v cannot be asked for", u)
		}
		list = append(list, id)
	}
	value, err := asn1.Marshal(list)
	return pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 37}, Value: value}, err
}

// EncodeRequest writes a signing request as PEM.
func EncodeRequest(r *x509.CertificateRequest) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: blockRequest, Bytes: r.Raw})
}

// ParseRequest reads the first signing request of PEM data and checks its
// signature. It returns ErrNoPEM if there is none.
func ParseRequest(data []byte) (*x509.CertificateRequest, error) {
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != blockRequest && block.Type != "NEW "+blockRequest {
			continue
		}
		r, err := x509.ParseCertificateRequest(block.Bytes)
		if err != nil {
			return nil, err
		}
		return r, r.CheckSignature()
	}
	return nil, fmt.Errorf("%w: %s", ErrNoPEM, blockRequest)
}

// VerifyRequest returns why a request is not the one for leaf and key:
// ErrKeyMismatch, or an error that is ErrOtherRequest. Nil means that it is.
// Usages do not matter: other tools do not ask for them.
func VerifyRequest(r *x509.CertificateRequest, leaf Leaf, key crypto.Signer) error {
	other := func(what string, got, want []string) error {
		return fmt.Errorf("%w: its %s %q, not %q", ErrOtherRequest, what, got, want)
	}
	if !SamePublicKey(key.Public(), r.PublicKey) {
		return ErrKeyMismatch
	}
	if got := r.Subject.CommonName; got != leaf.CommonName {
		return other("common name is", []string{got}, []string{leaf.CommonName})
	}
	if got, want := unique(r.Subject.Organization), unique(leaf.Organizations); !slices.Equal(got, want) {
		return other("organizations are", got, want)
	}
	if got, want := unique(r.DNSNames), unique(leaf.DNSNames); !slices.Equal(got, want) {
		return other("DNS names are", got, want)
	}
	if got, want := sortedIPs(r.IPAddresses), sortedIPs(netIPs(leaf.IPs)); !slices.Equal(got, want) {
		return other("addresses are", got, want)
	}
	return nil
}

func sortedIPs(ips []net.IP) []string {
	var texts []string
	for _, ip := range ips {
		texts = append(texts, ip.String())
	}
	return unique(texts)
}
