package certs

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"
)

const (
	// DefaultValidity is how long a leaf is valid when nothing else is said
	// (kubeadm v1beta4, certificateValidityPeriod).
	DefaultValidity = 365 * 24 * time.Hour
	// DefaultCAValidity is the same for an authority
	// (caCertificateValidityPeriod).
	DefaultCAValidity = 10 * DefaultValidity

	// Clocks of nodes differ a little. kubeadm v1.37 backdates by as much.
	backdate = 5 * time.Minute

	leafKeyUsage = x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment
)

var (
	// ErrExternalCA says that an authority cannot sign, because its private
	// key is kept elsewhere.
	ErrExternalCA = errors.New("the private key of the CA is not here")
	// ErrNoName says that a certificate was asked for without a common name.
	ErrNoName = errors.New("a certificate needs a common name")
	// ErrNoUsage says that a leaf was asked for that nobody may use.
	ErrNoUsage = errors.New("a certificate needs at least one extended key usage")
)

// Authority is a certificate authority.
type Authority struct {
	Cert *x509.Certificate
	// Key is nil for an external CA: its leafs can be verified, not issued.
	Key crypto.Signer
}

// AuthoritySpec describes a new authority.
type AuthoritySpec struct {
	CommonName string
	// Validity counts from now; zero means DefaultCAValidity.
	Validity time.Duration
}

// Leaf describes a certificate that is not an authority's.
type Leaf struct {
	CommonName    string
	Organizations []string
	// DNSNames and IPs are the subject alternative names.
	DNSNames []string
	IPs      []netip.Addr
	Usages   []x509.ExtKeyUsage
	// Validity counts from now; zero means DefaultValidity.
	Validity time.Duration
}

// Pair is a certificate with its private key.
type Pair struct {
	Cert *x509.Certificate
	// Key is nil when nobody has it at hand.
	Key crypto.Signer
	// Chain holds intermediate certificates between Cert and its root, if
	// there are any.
	Chain []*x509.Certificate
}

// NewAuthority makes a self-signed authority with the given key. It has the
// shape of kubeadm's: the common name is also its DNS name.
func NewAuthority(spec AuthoritySpec, key crypto.Signer, now time.Time) (*Authority, error) {
	if spec.CommonName == "" {
		return nil, ErrNoName
	}
	validity := spec.Validity
	if validity == 0 {
		validity = DefaultCAValidity
	}
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: spec.CommonName},
		DNSNames:              []string{spec.CommonName},
		NotBefore:             now.Add(-backdate).UTC(),
		NotAfter:              now.Add(validity).UTC(),
		KeyUsage:              leafKeyUsage | x509.KeyUsageCertSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	cert, err := create(template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("make the CA %q: %w", spec.CommonName, err)
	}
	return &Authority{Cert: cert, Key: key}, nil
}

// Issue signs a certificate for key. The certificate never begins before the
// authority's own and never outlives it. Issue returns ErrExternalCA if the
// authority has no key, ErrNoName or ErrNoUsage if leaf lacks one of these,
// and an *ExpiredError or a *NotYetValidError if the authority is not valid
// now.
func (a *Authority) Issue(leaf Leaf, key crypto.Signer, now time.Time) (*Pair, error) {
	if err := a.mayIssue(leaf, now); err != nil {
		return nil, err
	}
	validity := leaf.Validity
	if validity == 0 {
		validity = DefaultValidity
	}
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: leaf.CommonName, Organization: unique(leaf.Organizations)},
		DNSNames:              unique(leaf.DNSNames),
		IPAddresses:           netIPs(leaf.IPs),
		NotBefore:             later(now.Add(-backdate), a.Cert.NotBefore).UTC(),
		NotAfter:              earlier(now.Add(validity), a.Cert.NotAfter).UTC(),
		KeyUsage:              leafKeyUsage,
		ExtKeyUsage:           leaf.Usages,
		BasicConstraintsValid: true,
	}
	cert, err := create(template, a.Cert, key.Public(), a.Key)
	if err != nil {
		return nil, fmt.Errorf("issue the certificate %q: %w", leaf.CommonName, err)
	}
	return &Pair{Cert: cert, Key: key}, nil
}

func (a *Authority) mayIssue(leaf Leaf, now time.Time) error {
	switch {
	case a.Key == nil:
		return ErrExternalCA
	case leaf.CommonName == "":
		return ErrNoName
	case len(leaf.Usages) == 0:
		return ErrNoUsage
	}
	if err := inTime(a.Cert, now); err != nil {
		return fmt.Errorf("CA %q: %w", a.Cert.Subject.CommonName, err)
	}
	return nil
}

// create signs the template. Its serial number is left to CreateCertificate,
// which makes a random one of 20 octets (RFC 5280, 4.1.2.2).
func create(template, parent *x509.Certificate, public crypto.PublicKey, signer crypto.Signer) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, signer)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// unique drops empty and repeated texts and sorts the rest.
func unique(texts []string) []string {
	sorted := slices.Clone(texts)
	slices.Sort(sorted)
	return slices.DeleteFunc(slices.Compact(sorted), func(s string) bool { return s == "" })
}

// netIPs drops invalid and repeated addresses. 10.0.0.1 and
// ::ffff:10.0.0.1 are the same address.
func netIPs(addrs []netip.Addr) []net.IP {
	var ips []net.IP
	var seen []netip.Addr
	for _, a := range addrs {
		a = a.Unmap().WithZone("")
		if !a.IsValid() || slices.Contains(seen, a) {
			continue
		}
		seen = append(seen, a)
		ips = append(ips, a.AsSlice())
	}
	return ips
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
