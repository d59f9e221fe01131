package certs

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"strings"
	"testing"
)

func TestCertPEM(t *testing.T) {
	a, b := testCA(t, "a", epoch), testCA(t, "b", epoch)
	data := append([]byte("a comment\n"), EncodeCert(a.Cert, b.Cert)...)
	got, err := ParseCerts(data)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || !got[0].Equal(a.Cert) || !got[1].Equal(b.Cert) {
		t.Errorf("the certificates changed on their way through PEM")
	}
	for _, empty := range []string{"", "x", "-----BEGIN CERTIFICATE-----\n"} {
		if _, err := ParseCerts([]byte(empty)); !errors.Is(err, ErrNoPEM) {
			t.Errorf("%q: %v, want ErrNoPEM", empty, err)
		}
	}
}

func TestParseKeyReadsEveryForm(t *testing.T) {
	key := testKey(t)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	sec1, err := EncodeKey(key)
	if err != nil {
		t.Fatal(err)
	}
	params := pem.EncodeToMemory(&pem.Block{Type: "EC PARAMETERS", Bytes: []byte{6, 8}})
	cases := map[string]struct {
		reason string
		data   []byte
	}{
		"SEC1":           {"kubeadm writes it", sec1},
		"WithParameters": {"openssl ecparam writes them first", append(params, sec1...)},
		"PKCS8":          {"openssl genpkey writes it", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := ParseKey(c.data)
			if err != nil {
				t.Fatalf("%s: %v", c.reason, err)
			}
			if !SamePublicKey(got.Public(), key.Public()) {
				t.Error("another key came back")
			}
		})
	}
}

func TestParseKeyRefuses(t *testing.T) {
	_, ed, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(ed)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ParseKey(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})); !errors.Is(err, ErrUnsupportedKey) {
		t.Errorf("Ed25519: %v", err)
	}
	if _, err := EncodeKey(ed); !errors.Is(err, ErrUnsupportedKey) {
		t.Errorf("encode Ed25519: %v", err)
	}
	if _, err := ParseKey(nil); !errors.Is(err, ErrNoPEM) {
		t.Errorf("nothing: %v", err)
	}
}

func TestPublicKeyPEM(t *testing.T) {
	a, b := testKey(t), testKey(t)
	one, err := EncodePublicKey(a.Public())
	if err != nil {
		t.Fatal(err)
	}
	two, err := EncodePublicKey(b.Public())
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParsePublicKeys(append(one, two...))
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || !SamePublicKey(got[0], a.Public()) || !SamePublicKey(got[1], b.Public()) || SamePublicKey(got[0], got[1]) {
		t.Error("the keys changed on their way through PEM")
	}
	if _, err := ParsePublicKeys(nil); !errors.Is(err, ErrNoPEM) {
		t.Errorf("nothing: %v", err)
	}
}

func TestPin(t *testing.T) {
	a := testCA(t, "a", epoch)
	renewed, err := NewAuthority(AuthoritySpec{CommonName: "a"}, a.Key, epoch.Add(1))
	if err != nil {
		t.Fatal(err)
	}
	pin := Pin(a.Cert)
	if !strings.HasPrefix(pin, "sha256:") || len(pin) != len("sha256:")+64 {
		t.Errorf("pin %q", pin)
	}
	if Pin(renewed.Cert) != pin {
		t.Error("the pin is of the key: it survives a renewal with the same key")
	}
	if Pin(testCA(t, "a", epoch).Cert) == pin {
		t.Error("another key has the same pin")
	}
}

func FuzzParseCerts(f *testing.F) {
	f.Add(EncodeCert(testCA(f, "a", epoch).Cert))
	f.Add([]byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		certs, err := ParseCerts(data)
		if (err == nil) != (len(certs) > 0) {
			t.Fatalf("%d certificates and %v", len(certs), err)
		}
		if err != nil {
			return
		}
		again, err := ParseCerts(EncodeCert(certs...))
		if err != nil || len(again) != len(certs) {
			t.Fatalf("%d certificates became %d: %v", len(certs), len(again), err)
		}
	})
}

func FuzzParseKey(f *testing.F) {
	data, err := EncodeKey(testKey(f))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte("-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		key, err := ParseKey(data)
		if (err == nil) != (key != nil) {
			t.Fatalf("%v and %v", key, err)
		}
		if err != nil {
			return
		}
		if _, err := EncodeKey(key); err != nil {
			t.Fatalf("a key that was read cannot be written: %v", err)
		}
	})
}

func FuzzParsePublicKeys(f *testing.F) {
	data, err := EncodePublicKey(testKey(f).Public())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		keys, err := ParsePublicKeys(data)
		if (err == nil) != (len(keys) > 0) {
			t.Fatalf("%d keys and %v", len(keys), err)
		}
	})
}
