package etcd

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
)

// TLS returns the settings of a client out of PEM: the CA that signed the
// members' certificates, and the client's certificate and key. It returns an
// error if one of them cannot be read or the key is not the certificate's;
// the error has nothing of the key.
func TLS(ca, cert, key []byte) (*tls.Config, error) {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(ca) {
		return nil, errors.New("etcd CA: no certificate in PEM")
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("etcd client certificate and key: %w", err)
	}
	return &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}, nil
}
