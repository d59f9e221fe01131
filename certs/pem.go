package certs

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
)

// The PEM labels that kubeadm writes, and PKCS #8's (RFC 7468), which other
// tools write.
const (
	blockCert      = "CERTIFICATE"
	blockRSAKey    = "RSA PRIVATE KEY"
	blockECKey     = "EC PRIVATE KEY"
	blockPKCS8Key  = "PRIVATE KEY"
	blockPublicKey = "PUBLIC KEY"
)

var (
	// ErrNoPEM says that data holds no PEM block of the kind that was
	// looked for.
	ErrNoPEM = errors.New("no such PEM block")
	// ErrUnsupportedKey says that a key is neither RSA nor ECDSA.
	ErrUnsupportedKey = errors.New("the key is neither RSA nor ECDSA")
)

// EncodeCert writes certificates as PEM, in the given order.
func EncodeCert(certs ...*x509.Certificate) []byte {
	var out []byte
	for _, c := range certs {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: blockCert, Bytes: c.Raw})...)
	}
	return out
}

// ParseCerts reads every certificate of PEM data, in order. Other blocks are
// passed over. It returns ErrNoPEM if there is no certificate, and otherwise
// at least one.
func ParseCerts(data []byte) ([]*x509.Certificate, error) {
	var certs []*x509.Certificate
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != blockCert {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d: %w", len(certs)+1, err)
		}
		certs = append(certs, c)
	}
	if len(certs) == 0 {
		return nil, fmt.Errorf("%w: %s", ErrNoPEM, blockCert)
	}
	return certs, nil
}

// EncodeKey writes a private key as kubeadm does: PKCS #1 for RSA, SEC 1 for
// ECDSA. It returns ErrUnsupportedKey for other keys.
func EncodeKey(key crypto.Signer) ([]byte, error) {
	switch k := key.(type) {
	case *rsa.PrivateKey:
		return pem.EncodeToMemory(&pem.Block{Type: blockRSAKey, Bytes: x509.MarshalPKCS1PrivateKey(k)}), nil
	case *ecdsa.PrivateKey:
		der, err := x509.MarshalECPrivateKey(k)
		if err != nil {
			return nil, fmt.Errorf("encode the private key: %w", err)
		}
		return pem.EncodeToMemory(&pem.Block{Type: blockECKey, Bytes: der}), nil
	}
	return nil, ErrUnsupportedKey
}

// ParseKey reads the first private key of PEM data, as PKCS #1, SEC 1 or
// PKCS #8. It returns ErrNoPEM if there is none and ErrUnsupportedKey for a
// key that is neither RSA nor ECDSA. No error shows anything of the key.
func ParseKey(data []byte) (crypto.Signer, error) {
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		switch block.Type {
		case blockRSAKey:
			key, err := x509.ParsePKCS1PrivateKey(block.Bytes)
			return signer(key, err)
		case blockECKey:
			key, err := x509.ParseECPrivateKey(block.Bytes)
			return signer(key, err)
		case blockPKCS8Key:
			key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
			return signer(key, err)
		}
	}
	return nil, fmt.Errorf("%w: %s", ErrNoPEM, blockPKCS8Key)
}

// signer lets only the kinds of keys through that EncodeKey can write.
func signer(key crypto.PrivateKey, err error) (crypto.Signer, error) {
	if err != nil {
		return nil, fmt.Errorf("the private key cannot be read: %w", err)
	}
	switch k := key.(type) {
	case *rsa.PrivateKey:
		return k, nil
	case *ecdsa.PrivateKey:
		return k, nil
	}
	return nil, ErrUnsupportedKey
}

// EncodePublicKey writes a public key as PKIX (RFC 5280).
func EncodePublicKey(key crypto.PublicKey) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode the public key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: blockPublicKey, Bytes: der}), nil
}

// ParsePublicKeys reads every public key of PEM data, in order: a file with
// service account keys may hold several. It returns ErrNoPEM if there is
// none.
func ParsePublicKeys(data []byte) ([]crypto.PublicKey, error) {
	var keys []crypto.PublicKey
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != blockPublicKey {
			continue
		}
		key, err := x509.ParsePKIXPublicKey(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("public key %d: %w", len(keys)+1, err)
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("%w: %s", ErrNoPEM, blockPublicKey)
	}
	return keys, nil
}

// SamePublicKey says whether two public keys are the same.
func SamePublicKey(a, b crypto.PublicKey) bool {
	switch k := a.(type) {
	case *rsa.PublicKey:
		return k.Equal(b)
	case *ecdsa.PublicKey:
		return k.Equal(b)
	}
	return false
}

// Pin returns "sha256:" and the hash of the certificate's public key in
// hexadecimal, as --discovery-token-ca-cert-hash takes it (RFC 7469, 2.4).
func Pin(cert *x509.Certificate) string {
	sum := sha256.Sum256(cert.RawSubjectPublicKeyInfo)
	return "sha256:" + hex.EncodeToString(sum[:])
}
