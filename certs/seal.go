package certs

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
)

// CertificateKeySize is the size of a certificate key in bytes: AES-256.
const CertificateKeySize = 32

// fingerprintDomain keeps fingerprints apart from every other hash of the
// same key.
const fingerprintDomain = "hactl certificate key fingerprint 1\x00"

var (
	// ErrWrongKey says that sealed data was sealed with another key, or was
	// changed after.
	ErrWrongKey = errors.New("the certificate key does not open the data")
	// ErrTruncated says that sealed data is too short to be any.
	ErrTruncated = errors.New("the sealed data is cut short")
)

// CertificateKeyError says what is wrong with the shape of a certificate key.
// It never shows the key.
type CertificateKeyError struct {
	Reason string
}

func (e *CertificateKeyError) Error() string {
	return fmt.Sprintf("a certificate key has %d hexadecimal digits, and this one %s", 2*CertificateKeySize, e.Reason)
}

// NewCertificateKey returns a new random key for uploaded certificates in
// hexadecimal, as --certificate-key takes it. The text is a secret.
func NewCertificateKey() string {
	var key [CertificateKeySize]byte
	// rand.Read never returns an error: it ends the program instead
	// (crypto/rand, since Go 1.24).
	_, _ = rand.Read(key[:])
	return hex.EncodeToString(key[:])
}

// ParseCertificateKey reads what NewCertificateKey wrote. It returns a
// *CertificateKeyError for any other text.
func ParseCertificateKey(text string) ([CertificateKeySize]byte, error) {
	var key [CertificateKeySize]byte
	for i, r := range text {
		if !isHex(r) {
			return key, &CertificateKeyError{Reason: fmt.Sprintf("has something else at position %d", i+1)}
		}
	}
	if len(text) != 2*CertificateKeySize {
		return key, &CertificateKeyError{Reason: fmt.Sprintf("has %d", len(text))}
	}
	if _, err := hex.Decode(key[:], []byte(text)); err != nil {
		return key, &CertificateKeyError{Reason: "cannot be decoded"}
	}
	return key, nil
}

func isHex(r rune) bool {
	return (r >= '0' && r <= '9') || (r >= 'a' && r <= 'f') || (r >= 'A' && r <= 'F')
}

// Seal encrypts plain with AES-256-GCM and puts the random nonce in front, as
// the values of kubeadm's Secret kube-system/kubeadm-certs are (kubeadm
// v1.37, util/crypto).
func Seal(key [CertificateKeySize]byte, plain []byte) ([]byte, error) {
	gcm, err := newGCM(key)
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	return gcm.Seal(nil, nil, plain, nil), nil
}

// Open decrypts what Seal made. It returns ErrWrongKey if the key is another
// or the data was changed, and ErrTruncated if the data is too short.
func Open(key [CertificateKeySize]byte, sealed []byte) ([]byte, error) {
	gcm, err := newGCM(key)
	if err != nil {
		return nil, fmt.Errorf("open: %w", err)
	}
	if len(sealed) < gcm.Overhead() {
		return nil, ErrTruncated
	}
	plain, err := gcm.Open(nil, nil, sealed, nil)
	if err != nil {
		return nil, ErrWrongKey
	}
	return plain, nil
}

// newGCM returns a cipher that makes nonces itself and prefixes them.
func newGCM(key [CertificateKeySize]byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// Fingerprint returns 16 hexadecimal digits that tell keys apart and reveal
// nothing of the key. They may stand in annotations and logs.
func Fingerprint(key [CertificateKeySize]byte) string {
	sum := sha256.Sum256(append([]byte(fingerprintDomain), key[:]...))
	return hex.EncodeToString(sum[:8])
}
