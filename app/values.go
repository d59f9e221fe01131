package app

import (
	"github.com/hactl/hactl/certs"
	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases/token"
)

// NewCertificateKey makes a key for uploaded certificates: 64 hexadecimal
// digits.
func NewCertificateKey() config.Secret { return config.Secret(certs.NewCertificateKey()) }

// NewToken makes a bootstrap token that no cluster knows yet.
func NewToken() (config.Secret, error) { return token.Generate() }
