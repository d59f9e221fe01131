package certs

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"strings"
	"testing"
)

func mustKey(t testing.TB, text string) [CertificateKeySize]byte {
	t.Helper()
	key, err := ParseCertificateKey(text)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestParseCertificateKey(t *testing.T) {
	a, b := NewCertificateKey(), NewCertificateKey()
	if a == b || len(a) != 64 {
		t.Errorf("two new keys of %d and %d digits, equal: %v", len(a), len(b), a == b)
	}
	if mustKey(t, a) != mustKey(t, strings.ToUpper(a)) {
		t.Error("the case of digits matters")
	}
	cases := map[string]struct {
		reason, text, why string
	}{
		"Empty":     {"no key was given", "", "has 0"},
		"Short":     {"a digit was lost when copying", a[1:], "has 63"},
		"Long":      {"a digit was doubled", a + "0", "has 65"},
		"AES128":    {"kubeadm's keys are AES-256", a[:32], "has 32"},
		"NotHex":    {"a letter is wrong", "g" + a[1:], "has something else at position 1"},
		"LineBreak": {"it was cut from two lines", a[:32] + "\n" + a[33:], "has something else at position 33"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := ParseCertificateKey(c.text)
			var shape *CertificateKeyError
			if !errors.As(err, &shape) || shape.Reason != c.why {
				t.Errorf("%s: got %v", c.reason, err)
			}
			if len(c.text) > 8 && strings.Contains(err.Error(), c.text[8:16]) {
				t.Error("the error shows the key")
			}
		})
	}
}

func TestSealOpen(t *testing.T) {
	key, other := mustKey(t, NewCertificateKey()), mustKey(t, NewCertificateKey())
	for _, plain := range []string{"", "x", strings.Repeat("secret", 1000)} {
		sealed, err := Seal(key, []byte(plain))
		if err != nil {
			t.Fatal(err)
		}
		got, err := Open(key, sealed)
		if err != nil || string(got) != plain {
			t.Fatalf("%d bytes came back as %d: %v", len(plain), len(got), err)
		}
		if _, err := Open(other, sealed); !errors.Is(err, ErrWrongKey) {
			t.Errorf("another key: %v", err)
		}
		sealed[len(sealed)-1] ^= 1
		if _, err := Open(key, sealed); !errors.Is(err, ErrWrongKey) {
			t.Errorf("changed data: %v", err)
		}
		if _, err := Open(key, sealed[:10]); !errors.Is(err, ErrTruncated) {
			t.Errorf("cut data: %v", err)
		}
	}
}

// The layout of kubeadm's values: a nonce of 12 bytes, then what GCM gives.
func TestSealHasTheLayoutOfKubeadm(t *testing.T) {
	key := mustKey(t, NewCertificateKey())
	block, err := aes.NewCipher(key[:])
	if err != nil {
		t.Fatal(err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	plain := []byte("plain")
	sealed, err := Seal(key, plain)
	if err != nil {
		t.Fatal(err)
	}
	got, err := gcm.Open(nil, sealed[:12], sealed[12:], nil)
	if err != nil || !bytes.Equal(got, plain) {
		t.Errorf("kubeadm could not open it: %v", err)
	}
	nonce := bytes.Repeat([]byte{7}, 12)
	got, err = Open(key, gcm.Seal(nonce, nonce, plain, nil))
	if err != nil || !bytes.Equal(got, plain) {
		t.Errorf("hactl could not open kubeadm's: %v", err)
	}
}

func TestFingerprint(t *testing.T) {
	text := NewCertificateKey()
	a, b := Fingerprint(mustKey(t, text)), Fingerprint(mustKey(t, NewCertificateKey()))
	if len(a) != 16 || a == b || a != Fingerprint(mustKey(t, text)) || strings.Contains(text, a) {
		t.Errorf("fingerprints %q and %q", a, b)
	}
}

func FuzzOpen(f *testing.F) {
	var key [CertificateKeySize]byte
	sealed, err := Seal(key, []byte("x"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(sealed)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		_, err := Open(key, data)
		if err != nil && !errors.Is(err, ErrWrongKey) && !errors.Is(err, ErrTruncated) {
			t.Fatalf("an error of no known kind: %v", err)
		}
	})
}

func FuzzParseCertificateKey(f *testing.F) {
	f.Add(NewCertificateKey())
	f.Fuzz(func(t *testing.T, text string) {
		_, err := ParseCertificateKey(text)
		var shape *CertificateKeyError
		if err != nil && !errors.As(err, &shape) {
			t.Fatalf("an error of no known kind: %v", err)
		}
	})
}
