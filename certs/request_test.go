package certs_test

import (
	"crypto/x509"
	"errors"
	"net/netip"
	"testing"

	"github.com/hactl/hactl/certs"
)

func leafOf(change func(*certs.Leaf)) certs.Leaf {
	l := certs.Leaf{
		CommonName: "kube-apiserver", Organizations: []string{"b", "a"}, DNSNames: []string{"lb", "kubernetes"},
		IPs: []netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("fd00::1")}, Usages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	change(&l)
	return l
}

func TestRequest(t *testing.T) {
	key, err := certs.NewKey(certs.ECDSAP256)
	if err != nil {
		t.Fatal(err)
	}
	other, err := certs.NewKey(certs.ECDSAP256)
	if err != nil {
		t.Fatal(err)
	}
	made, err := certs.CreateRequest(leafOf(func(*certs.Leaf) {}), key)
	if err != nil {
		t.Fatal(err)
	}
	r, err := certs.ParseRequest(certs.EncodeRequest(made))
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Extensions) != 2 {
		t.Errorf("%d extensions, want names and usages", len(r.Extensions))
	}
	cases := map[string]struct {
		reason string
		want   certs.Leaf
		err    error
	}{
		"Same":         {"it is the request", leafOf(func(*certs.Leaf) {}), nil},
		"Usage":        {"other tools ask for none", leafOf(func(l *certs.Leaf) { l.Usages = nil }), nil},
		"Name":         {"another user", leafOf(func(l *certs.Leaf) { l.CommonName = "x" }), certs.ErrOtherRequest},
		"Organization": {"other rights", leafOf(func(l *certs.Leaf) { l.Organizations = nil }), certs.ErrOtherRequest},
		"DNS":          {"a name is not asked for", leafOf(func(l *certs.Leaf) { l.DNSNames = append(l.DNSNames, "x") }), certs.ErrOtherRequest},
		"IP":           {"an address too many is asked for", leafOf(func(l *certs.Leaf) { l.IPs = l.IPs[:1] }), certs.ErrOtherRequest},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if err := certs.VerifyRequest(r, c.want, key); !errors.Is(err, c.err) {
				t.Errorf("%s: got %v, want %v", c.reason, err, c.err)
			}
			if err := certs.VerifyRequest(r, c.want, other); !errors.Is(err, certs.ErrKeyMismatch) {
				t.Errorf("another key: got %v", err)
			}
		})
	}
}

func TestRequestRefuses(t *testing.T) {
	key, err := certs.NewKey(certs.ECDSAP256)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := certs.CreateRequest(leafOf(func(l *certs.Leaf) { l.CommonName = "" }), key); !errors.Is(err, certs.ErrNoName) {
		t.Errorf("without a name: %v", err)
	}
	if _, err := certs.CreateRequest(leafOf(func(l *certs.Leaf) { l.Usages = nil }), key); !errors.Is(err, certs.ErrNoUsage) {
		t.Errorf("without a usage: %v", err)
	}
	if _, err := certs.CreateRequest(leafOf(func(l *certs.Leaf) { l.Usages = []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning} }), key); err == nil {
		t.Error("a usage that hactl never asks for is taken")
	}
	if _, err := certs.ParseRequest([]byte("no")); !errors.Is(err, certs.ErrNoPEM) {
		t.Errorf("no PEM: %v", err)
	}
	if _, err := certs.ParseRequest([]byte("-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n")); err == nil {
		t.Error("garbage is taken for a request")
	}
}
