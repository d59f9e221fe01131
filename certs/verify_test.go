package certs

import (
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestVerify(t *testing.T) {
	ca, namesake, stranger := testCA(t, "ca", epoch), testCA(t, "ca", epoch), testCA(t, "other", epoch)
	leaf := server()
	leaf.Organizations = []string{"blue"}
	pair, err := ca.Issue(leaf, testKey(t), epoch)
	if err != nil {
		t.Fatal(err)
	}
	with := func(change func(*Leaf)) Leaf {
		l := leaf
		change(&l)
		return l
	}
	var san *MissingSANError
	var sub *SubjectError
	var org *OrganizationError
	var use *UsageError
	var iss *IssuerError
	var exp *ExpiredError
	var early *NotYetValidError
	as := func(target any) func(error) bool { return func(err error) bool { return errors.As(err, target) } }
	cases := map[string]struct {
		reason string
		pair   Pair
		ca     *x509.Certificate
		want   Leaf
		now    time.Time
		is     func(error) bool
	}{
		"MissingName": {"the load balancer's name came later", *pair, ca.Cert,
			with(func(l *Leaf) { l.DNSNames = []string{"lb", "cp1"} }), epoch, as(&san)},
		"MissingAddress": {"the node's address changed", *pair, ca.Cert,
			with(func(l *Leaf) { l.IPs = []netip.Addr{netip.MustParseAddr("10.0.0.9")} }), epoch, as(&san)},
		"OtherSubject": {"it is another node's", *pair, ca.Cert,
			with(func(l *Leaf) { l.CommonName = "cp2" }), epoch, as(&sub)},
		"OtherOrganization": {"RBAC goes by it", *pair, ca.Cert,
			with(func(l *Leaf) { l.Organizations = []string{"red"} }), epoch, as(&org)},
		"OtherUsage": {"the peer would refuse it", *pair, ca.Cert,
			with(func(l *Leaf) { l.Usages = []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning} }), epoch, as(&use)},
		"OtherKey": {"the server would not start", Pair{Cert: pair.Cert, Key: testKey(t)}, ca.Cert, leaf, epoch,
			func(err error) bool { return errors.Is(err, ErrKeyMismatch) }},
		"Namesake": {"all clusters' CAs are called kubernetes", *pair, namesake.Cert, leaf, epoch, as(&iss)},
		"Stranger": {"it is another cluster's", *pair, stranger.Cert, leaf, epoch, as(&iss)},
		"Expired":  {"nobody accepts it", *pair, ca.Cert, leaf, epoch.Add(8761 * time.Hour), as(&exp)},
		"Future":   {"nobody accepts it yet", *pair, ca.Cert, leaf, epoch.Add(-time.Hour), as(&early)},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			p := Verify(c.pair, c.ca, c.want, c.now)
			if len(p) != 1 || !c.is(p) {
				t.Errorf("%s: got %d problems: %v", c.reason, len(p), p)
			}
		})
	}
}

func TestVerifyTellsEverythingAtOnce(t *testing.T) {
	ca, other := testCA(t, "ca", epoch), testCA(t, "other", epoch)
	pair, err := ca.Issue(server(), testKey(t), epoch)
	if err != nil {
		t.Fatal(err)
	}
	pair.Key = testKey(t)
	want := Leaf{
		CommonName: "x", Organizations: []string{"o"}, DNSNames: []string{"b", "a", "b"},
		IPs:    []netip.Addr{netip.MustParseAddr("192.0.2.1")},
		Usages: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning},
	}
	p := Verify(*pair, other.Cert, want, epoch.Add(9000*time.Hour))
	if len(p) != 7 {
		t.Errorf("%d problems, want 7: %v", len(p), p)
	}
	var san *MissingSANError
	if !errors.As(p, &san) {
		t.Fatalf("no *MissingSANError in %v", p)
	}
	if diff := cmp.Diff([]string{"a", "b"}, san.DNSNames); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestVerifyAcceptsMoreThanWanted(t *testing.T) {
	ca := testCA(t, "ca", epoch)
	more := server()
	more.DNSNames = append(more.DNSNames, "*.example.com")
	more.Organizations = []string{"a", "b"}
	pair, err := ca.Issue(more, testKey(t), epoch)
	if err != nil {
		t.Fatal(err)
	}
	want := Leaf{CommonName: "cp1", Organizations: []string{"b"}, DNSNames: []string{"lb.example.com", "*.example.com", "CP1"},
		Usages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	if p := Verify(Pair{Cert: pair.Cert}, ca.Cert, want, epoch); len(p) > 0 {
		t.Errorf("got %v", p)
	}
}

func TestVerifyFollowsIntermediates(t *testing.T) {
	root := testCA(t, "root", epoch)
	key := testKey(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: "middle"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: epoch, NotAfter: epoch.Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, root.Cert, key.Public(), root.Key)
	if err != nil {
		t.Fatal(err)
	}
	middle, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := (&Authority{Cert: middle, Key: key}).Issue(server(), testKey(t), epoch)
	if err != nil {
		t.Fatal(err)
	}
	var iss *IssuerError
	if p := Verify(*pair, root.Cert, server(), epoch); !errors.As(p, &iss) {
		t.Errorf("without the chain: %v", p)
	}
	pair.Chain = []*x509.Certificate{middle}
	if p := Verify(*pair, root.Cert, server(), epoch); len(p) > 0 {
		t.Errorf("with the chain: %v", p)
	}
}

func TestVerifyAuthority(t *testing.T) {
	ca := testCA(t, "ca", epoch)
	leaf, err := ca.Issue(server(), testKey(t), epoch)
	if err != nil {
		t.Fatal(err)
	}
	var exp *ExpiredError
	cases := map[string]struct {
		reason string
		pair   Pair
		now    time.Time
		is     func(error) bool
	}{
		"Leaf": {"it cannot sign", *leaf, epoch, func(err error) bool { return errors.Is(err, ErrNotCA) }},
		"OtherKey": {"its signatures would not fit", Pair{Cert: ca.Cert, Key: leaf.Key}, epoch,
			func(err error) bool { return errors.Is(err, ErrKeyMismatch) }},
		"Expired": {"nobody trusts it", Pair{Cert: ca.Cert, Key: ca.Key}, epoch.Add(99999 * time.Hour),
			func(err error) bool { return errors.As(err, &exp) }},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if p := VerifyAuthority(c.pair, c.now); len(p) != 1 || !c.is(p) {
				t.Errorf("%s: got %v", c.reason, p)
			}
		})
	}
	if p := VerifyAuthority(Pair{Cert: ca.Cert}, epoch); len(p) > 0 {
		t.Errorf("an external CA is no problem: %v", p)
	}
}

func TestExpiresWithin(t *testing.T) {
	c := &x509.Certificate{NotAfter: epoch.Add(time.Hour)}
	for d, want := range map[time.Duration]bool{0: false, time.Hour: false, time.Hour + 1: true} {
		if got := ExpiresWithin(c, d, epoch); got != want {
			t.Errorf("%s: %v, want %v", d, got, want)
		}
	}
}
