// Package certs makes and checks keys and certificates: certificate
// authorities, leafs, PEM, public key pins, and the encryption of uploaded
// certificates. It takes and gives bytes and values. It refuses to know
// files, clusters and the clock: the time is a parameter.
package certs

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"strings"
)

// Algorithm names a kind of key, as encryptionAlgorithm in the kubeadm
// configuration does. The zero value means RSA2048.
type Algorithm string

// The algorithms of kubeadm v1beta4.
const (
	RSA2048   Algorithm = "RSA-2048"
	RSA3072   Algorithm = "RSA-3072"
	RSA4096   Algorithm = "RSA-4096"
	ECDSAP256 Algorithm = "ECDSA-P256"
	ECDSAP384 Algorithm = "ECDSA-P384"
)

// Algorithms lists every algorithm, the default first.
func Algorithms() []Algorithm {
	return []Algorithm{RSA2048, RSA3072, RSA4096, ECDSAP256, ECDSAP384}
}

// UnknownAlgorithmError says that a text names no algorithm.
type UnknownAlgorithmError struct {
	Name string
}

func (e *UnknownAlgorithmError) Error() string {
	names := make([]string, 0, len(Algorithms()))
	for _, a := range Algorithms() {
		names = append(names, string(a))
	}
	return fmt.Sprintf("there is no key algorithm %q (use one of %s)", e.Name, strings.Join(names, ", "))
}

// ParseAlgorithm reads a name as the configuration has it; "" is RSA2048. It
// returns an *UnknownAlgorithmError for any other text.
func ParseAlgorithm(name string) (Algorithm, error) {
	if name == "" {
		return RSA2048, nil
	}
	for _, a := range Algorithms() {
		if string(a) == name {
			return a, nil
		}
	}
	return "", &UnknownAlgorithmError{Name: name}
}

// orDefault replaces the zero value, so that two algorithms can be compared.
func (a Algorithm) orDefault() Algorithm {
	if a == "" {
		return RSA2048
	}
	return a
}

// NewKey makes a new private key. It returns an *UnknownAlgorithmError for an
// algorithm that is none of the constants. An RSA key can take seconds.
func NewKey(alg Algorithm) (crypto.Signer, error) {
	switch alg.orDefault() {
	case RSA2048:
		return newRSA(2048)
	case RSA3072:
		return newRSA(3072)
	case RSA4096:
		return newRSA(4096)
	case ECDSAP256:
		return newECDSA(elliptic.P256())
	case ECDSAP384:
		return newECDSA(elliptic.P384())
	}
	return nil, &UnknownAlgorithmError{Name: string(alg)}
}

func newRSA(bits int) (crypto.Signer, error) {
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		return nil, fmt.Errorf("make an RSA key of %d bits: %w", bits, err)
	}
	return key, nil
}

func newECDSA(curve elliptic.Curve) (crypto.Signer, error) {
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make an ECDSA key on %s: %w", curve.Params().Name, err)
	}
	return key, nil
}
