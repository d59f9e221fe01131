package certs

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

var (
	// ErrKeyMismatch says that a private key is not the certificate's.
	ErrKeyMismatch = errors.New("the private key does not belong to the certificate")
	// ErrNotCA says that a certificate may not sign others.
	ErrNotCA = errors.New("the certificate is not a CA's")
)

// MissingSANError says which names and addresses a certificate does not cover.
type MissingSANError struct {
	DNSNames []string
	IPs      []netip.Addr
}

func (e *MissingSANError) Error() string {
	names := slices.Clone(e.DNSNames)
	for _, ip := range e.IPs {
		names = append(names, ip.String())
	}
	return "the certificate is not valid for " + strings.Join(names, ", ")
}

// SubjectError says that a certificate has another common name.
type SubjectError struct {
	Got, Want string
}

func (e *SubjectError) Error() string {
	return fmt.Sprintf("the common name is %q, not %q", e.Got, e.Want)
}

// OrganizationError says which organizations a certificate lacks.
type OrganizationError struct {
	Got, Missing []string
}

func (e *OrganizationError) Error() string {
	return fmt.Sprintf("the organization %q is missing (there is %q)", e.Missing, e.Got)
}

// UsageError says what a certificate may not be used for.
type UsageError struct {
	Missing []x509.ExtKeyUsage
}

func (e *UsageError) Error() string {
	names := make([]string, 0, len(e.Missing))
	for _, u := range e.Missing {
		names = append(names, u.String())
	}
	return "the certificate may not be used for " + strings.Join(names, ", ")
}

// IssuerError says that a certificate is not signed by the CA it should be.
type IssuerError struct {
	Issuer, CA string // common names
	Cause      error
}

func (e *IssuerError) Error() string {
	var unknown x509.UnknownAuthorityError
	if !errors.As(e.Cause, &unknown) {
		return fmt.Sprintf("the certificate does not lead to the CA %q: %v", e.CA, e.Cause)
	}
	if e.Issuer == e.CA {
		return fmt.Sprintf("the certificate is signed by another CA with the same name %q", e.CA)
	}
	return fmt.Sprintf("the certificate is signed by %q, not by the CA %q", e.Issuer, e.CA)
}

// Unwrap returns what crypto/x509 found.
func (e *IssuerError) Unwrap() error { return e.Cause }

// ExpiredError says that a certificate is not valid any more.
type ExpiredError struct {
	NotAfter, Now time.Time
}

func (e *ExpiredError) Error() string {
	return fmt.Sprintf("the certificate expired at %s (now is %s)", stamp(e.NotAfter), stamp(e.Now))
}

// NotYetValidError says that a certificate begins in the future.
type NotYetValidError struct {
	NotBefore, Now time.Time
}

func (e *NotYetValidError) Error() string {
	return fmt.Sprintf("the certificate is valid from %s on (now is %s)", stamp(e.NotBefore), stamp(e.Now))
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// Problems is all that is wrong with one certificate. errors.Is and errors.As
// find each of them. An empty list means that nothing is wrong, so compare
// the length, not nil.
type Problems []error

func (p Problems) Error() string {
	texts := make([]string, 0, len(p))
	for _, err := range p {
		texts = append(texts, err.Error())
	}
	return strings.Join(texts, "; ")
}

// Unwrap returns the problems one by one.
func (p Problems) Unwrap() []error { return p }

// Verify compares a certificate with what is wanted of it and returns every
// difference: *MissingSANError, *SubjectError, *OrganizationError,
// *UsageError, ErrKeyMismatch, *IssuerError, *ExpiredError and
// *NotYetValidError. A certificate may cover more names, organizations and
// usages than wanted. A pair without a key is not compared with one. The
// validity period of ca is not looked at.
func Verify(pair Pair, ca *x509.Certificate, want Leaf, now time.Time) Problems {
	var found Problems
	add := func(err error) {
		if err != nil {
			found = append(found, err)
		}
	}
	add(subject(pair.Cert, want))
	add(organizations(pair.Cert, want))
	add(sans(pair.Cert, want))
	add(usages(pair.Cert, want))
	add(keyFits(pair))
	add(signedBy(pair, ca))
	add(inTime(pair.Cert, now))
	return found
}

// VerifyAuthority returns what makes a pair unfit to be a certificate
// authority: ErrNotCA, ErrKeyMismatch, *ExpiredError and *NotYetValidError.
// A pair without a key is an external CA, which is no problem.
func VerifyAuthority(pair Pair, now time.Time) Problems {
	var found Problems
	c := pair.Cert
	if !c.IsCA || !c.BasicConstraintsValid || (c.KeyUsage != 0 && c.KeyUsage&x509.KeyUsageCertSign == 0) {
		found = append(found, ErrNotCA)
	}
	if err := keyFits(pair); err != nil {
		found = append(found, err)
	}
	if err := inTime(c, now); err != nil {
		found = append(found, err)
	}
	return found
}

// ExpiresWithin says whether the certificate is not valid any more when d
// has passed.
func ExpiresWithin(cert *x509.Certificate, d time.Duration, now time.Time) bool {
	return now.Add(d).After(cert.NotAfter)
}

func subject(c *x509.Certificate, want Leaf) error {
	if c.Subject.CommonName == want.CommonName {
		return nil
	}
	return &SubjectError{Got: c.Subject.CommonName, Want: want.CommonName}
}

func organizations(c *x509.Certificate, want Leaf) error {
	missing := slices.DeleteFunc(unique(want.Organizations), func(o string) bool {
		return slices.Contains(c.Subject.Organization, o)
	})
	if len(missing) == 0 {
		return nil
	}
	return &OrganizationError{Got: c.Subject.Organization, Missing: missing}
}

// sans asks the certificate itself, so that a wildcard covers what it covers.
func sans(c *x509.Certificate, want Leaf) error {
	missing := &MissingSANError{}
	for _, name := range unique(want.DNSNames) {
		if c.VerifyHostname(name) != nil {
			missing.DNSNames = append(missing.DNSNames, name)
		}
	}
	for _, ip := range netIPs(want.IPs) {
		if c.VerifyHostname(ip.String()) != nil {
			addr, _ := netip.AddrFromSlice(ip)
			missing.IPs = append(missing.IPs, addr)
		}
	}
	if len(missing.DNSNames) == 0 && len(missing.IPs) == 0 {
		return nil
	}
	return missing
}

// usages treats a certificate without the extension as good for everything
// (RFC 5280, 4.2.1.12).
func usages(c *x509.Certificate, want Leaf) error {
	if len(c.ExtKeyUsage) == 0 && len(c.UnknownExtKeyUsage) == 0 {
		return nil
	}
	if slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageAny) {
		return nil
	}
	missing := slices.DeleteFunc(slices.Clone(want.Usages), func(u x509.ExtKeyUsage) bool {
		return slices.Contains(c.ExtKeyUsage, u)
	})
	if len(missing) == 0 {
		return nil
	}
	return &UsageError{Missing: missing}
}

func keyFits(p Pair) error {
	if p.Key == nil || SamePublicKey(p.Key.Public(), p.Cert.PublicKey) {
		return nil
	}
	return ErrKeyMismatch
}

// signedBy looks at the signatures only. It verifies for the latest moment at
// which all certificates of the chain had begun, because expiry is a problem
// of its own and must not hide who signed.
func signedBy(p Pair, ca *x509.Certificate) error {
	at := later(p.Cert.NotBefore, ca.NotBefore)
	roots, intermediates := x509.NewCertPool(), x509.NewCertPool()
	roots.AddCert(ca)
	for _, c := range p.Chain {
		intermediates.AddCert(c)
		at = later(at, c.NotBefore)
	}
	_, err := p.Cert.Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: intermediates, CurrentTime: at,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	})
	if err == nil {
		return nil
	}
	return &IssuerError{Issuer: p.Cert.Issuer.CommonName, CA: ca.Subject.CommonName, Cause: err}
}

func inTime(c *x509.Certificate, now time.Time) error {
	switch {
	case now.After(c.NotAfter):
		return &ExpiredError{NotAfter: c.NotAfter, Now: now}
	case now.Before(c.NotBefore):
		return &NotYetValidError{NotBefore: c.NotBefore, Now: now}
	}
	return nil
}
