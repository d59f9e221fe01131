package certs

import (
	"crypto"
	"crypto/x509"
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var epoch = time.Date(2026, 9, 1, 12, 0, 0, 0, time.UTC)

func testKey(t testing.TB) crypto.Signer {
	t.Helper()
	key, err := NewKey(ECDSAP256)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func testCA(t testing.TB, name string, now time.Time) *Authority {
	t.Helper()
	ca, err := NewAuthority(AuthoritySpec{CommonName: name}, testKey(t), now)
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

func server() Leaf {
	return Leaf{
		CommonName: "cp1",
		DNSNames:   []string{"cp1", "localhost", "cp1", ""},
		IPs: []netip.Addr{
			netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("::ffff:10.0.0.1"), netip.MustParseAddr("::1"), {},
		},
		Usages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
}

func TestNewKey(t *testing.T) {
	for _, alg := range Algorithms() {
		if alg == RSA4096 && testing.Short() {
			continue
		}
		key, err := NewKey(alg)
		if err != nil {
			t.Fatalf("%s: %v", alg, err)
		}
		data, err := EncodeKey(key)
		if err != nil {
			t.Fatalf("%s: %v", alg, err)
		}
		back, err := ParseKey(data)
		if err != nil {
			t.Fatalf("%s: %v", alg, err)
		}
		if !SamePublicKey(key.Public(), back.Public()) {
			t.Errorf("%s: the key changed on its way through PEM", alg)
		}
	}
	var unknown *UnknownAlgorithmError
	if _, err := NewKey("DSA"); !errors.As(err, &unknown) {
		t.Errorf("NewKey(DSA): %v, want *UnknownAlgorithmError", err)
	}
}

func TestParseAlgorithm(t *testing.T) {
	for _, alg := range Algorithms() {
		if got, err := ParseAlgorithm(string(alg)); err != nil || got != alg {
			t.Errorf("%s: %q, %v", alg, got, err)
		}
	}
	if got, err := ParseAlgorithm(""); err != nil || got != RSA2048 {
		t.Errorf("empty: %q, %v", got, err)
	}
	var unknown *UnknownAlgorithmError
	if _, err := ParseAlgorithm("rsa-2048"); !errors.As(err, &unknown) || unknown.Name != "rsa-2048" {
		t.Errorf("rsa-2048: %v", err)
	}
}

func TestNewAuthority(t *testing.T) {
	ca := testCA(t, "kubernetes", epoch)
	c := ca.Cert
	type shape struct {
		CN        string
		DNS       []string
		CA        bool
		Usage     x509.KeyUsage
		From, To  time.Time
		KeyIDSize int
	}
	want := shape{"kubernetes", []string{"kubernetes"}, true,
		x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment | x509.KeyUsageCertSign,
		epoch.Add(-5 * time.Minute), epoch.Add(87600 * time.Hour), len(c.SubjectKeyId)}
	got := shape{c.Subject.CommonName, c.DNSNames, c.IsCA, c.KeyUsage, c.NotBefore, c.NotAfter, len(c.SubjectKeyId)}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if p := VerifyAuthority(Pair{Cert: c, Key: ca.Key}, epoch); len(p) > 0 {
		t.Errorf("VerifyAuthority: %v", p)
	}
	if _, err := NewAuthority(AuthoritySpec{}, ca.Key, epoch); !errors.Is(err, ErrNoName) {
		t.Errorf("without a name: %v", err)
	}
}

func TestIssue(t *testing.T) {
	ca := testCA(t, "etcd-ca", epoch)
	now := epoch.Add(time.Hour)
	pair, err := ca.Issue(server(), testKey(t), now)
	if err != nil {
		t.Fatal(err)
	}
	c := pair.Cert
	if diff := cmp.Diff([]string{"cp1", "localhost"}, c.DNSNames); diff != "" {
		t.Errorf("names -want +got\n%s", diff)
	}
	if len(c.IPAddresses) != 2 {
		t.Errorf("addresses %v, want two", c.IPAddresses)
	}
	if c.IsCA || c.KeyUsage != x509.KeyUsageDigitalSignature|x509.KeyUsageKeyEncipherment {
		t.Errorf("CA %v, key usage %b", c.IsCA, c.KeyUsage)
	}
	if !c.NotBefore.Equal(now.Add(-5*time.Minute)) || !c.NotAfter.Equal(now.Add(8760*time.Hour)) {
		t.Errorf("valid from %s to %s", c.NotBefore, c.NotAfter)
	}
	if p := Verify(*pair, ca.Cert, server(), now); len(p) > 0 {
		t.Errorf("Verify: %v", p)
	}
	other, err := ca.Issue(server(), pair.Key, now)
	if err != nil {
		t.Fatal(err)
	}
	if other.Cert.SerialNumber.Cmp(c.SerialNumber) == 0 {
		t.Error("two certificates have one serial number")
	}
}

func TestIssueStaysWithinTheAuthority(t *testing.T) {
	ca, err := NewAuthority(AuthoritySpec{CommonName: "ca", Validity: time.Hour}, testKey(t), epoch)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := ca.Issue(server(), testKey(t), epoch.Add(-4*time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	if !pair.Cert.NotBefore.Equal(ca.Cert.NotBefore) || !pair.Cert.NotAfter.Equal(ca.Cert.NotAfter) {
		t.Errorf("leaf %s to %s, CA %s to %s", pair.Cert.NotBefore, pair.Cert.NotAfter, ca.Cert.NotBefore, ca.Cert.NotAfter)
	}
}

func TestIssueRefuses(t *testing.T) {
	ca := testCA(t, "ca", epoch)
	var expired *ExpiredError
	var early *NotYetValidError
	cases := map[string]struct {
		reason string
		ca     *Authority
		leaf   Leaf
		now    time.Time
		is     func(error) bool
	}{
		"ExternalCA": {"a CA without key cannot sign", &Authority{Cert: ca.Cert}, server(), epoch,
			func(err error) bool { return errors.Is(err, ErrExternalCA) }},
		"NoName": {"nobody could tell whose certificate it is", ca, Leaf{Usages: server().Usages}, epoch,
			func(err error) bool { return errors.Is(err, ErrNoName) }},
		"NoUsage": {"a certificate without usage is good for everything", ca, Leaf{CommonName: "x"}, epoch,
			func(err error) bool { return errors.Is(err, ErrNoUsage) }},
		"ExpiredCA": {"the leaf would be expired as well", ca, server(), ca.Cert.NotAfter.Add(time.Second),
			func(err error) bool { return errors.As(err, &expired) }},
		"FutureCA": {"the clock is wrong", ca, server(), epoch.Add(-time.Hour),
			func(err error) bool { return errors.As(err, &early) }},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if _, err := c.ca.Issue(c.leaf, testKey(t), c.now); !c.is(err) {
				t.Errorf("%s: got %v", c.reason, err)
			}
		})
	}
}
