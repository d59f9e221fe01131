package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/hactl/hactl/e2e/nodes"
)

// answerLimit is the longest that a client waits for an answer.
const answerLimit = time.Second

// client asks the cluster from outside of its nodes, as its administrator.
// Each question has a connection of its own: none waits for what became of an
// earlier one.
type client struct {
	lab  *nodes.Lab
	http *http.Client
	etcd *tls.Config
}

// newClient reads a control plane's own credentials.
func newClient(ctx context.Context, lab *nodes.Lab, n *nodes.Node) (*client, error) {
	data, err := n.ReadFile(ctx, "/etc/kubernetes/admin.conf")
	if err != nil {
		return nil, err
	}
	rest, err := clientcmd.RESTConfigFromKubeConfig(data)
	if err != nil {
		return nil, err
	}
	api, err := tlsConfig(rest.CAData, rest.CertData, rest.KeyData)
	if err != nil {
		return nil, err
	}
	c := &client{lab: lab, http: &http.Client{
		Timeout:   answerLimit,
		Transport: &http.Transport{DialContext: lab.Dial, TLSClientConfig: api, DisableKeepAlives: true},
	}}
	const pki = "/etc/kubernetes/pki/etcd/"
	var files [3][]byte
	for i, name := range []string{"ca.crt", "healthcheck-client.crt", "healthcheck-client.key"} {
		if files[i], err = n.ReadFile(ctx, pki+name); err != nil {
			return nil, err
		}
	}
	c.etcd, err = tlsConfig(files[0], files[1], files[2])
	return c, err
}

func tlsConfig(ca, cert, key []byte) (*tls.Config, error) {
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca) {
		return nil, errors.New("the CA is no certificate")
	}
	return &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}, nil
}

// answerError is an answer that is not the wanted one.
type answerError struct {
	code int
	text string
}

func (e *answerError) Error() string { return fmt.Sprintf("answer %d: %s", e.code, e.text) }

// ask sends one request to an address and reads the whole answer. Any answer
// but one of the 200s is an *answerError.
func (c *client) ask(ctx context.Context, method, address, path string, body []byte) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, method, "https://"+address+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	if method == http.MethodPatch {
		r.Header.Set("Content-Type", "application/merge-patch+json")
	}
	answer, err := c.http.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	data, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode/100 != 2 {
		return nil, &answerError{answer.StatusCode, string(data[:min(len(data), 300)])}
	}
	return data, nil
}

// read gets an object.
func read[T any](ctx context.Context, c *client, address, path string) (value T, err error) {
	data, err := c.ask(ctx, http.MethodGet, address, path, nil)
	if err != nil {
		return value, err
	}
	return value, json.Unmarshal(data, &value)
}

// member opens a connection to the etcd member on a node, and to no other.
// The caller closes it.
func (c *client) member(n *nodes.Node) (*clientv3.Client, error) {
	return clientv3.New(clientv3.Config{
		Endpoints:       []string{"https://" + n.Address().String() + ":2379"},
		TLS:             c.etcd.Clone(),
		Logger:          zap.NewNop(),
		MaxUnaryRetries: 1, // one try
		DialOptions: []grpc.DialOption{grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
			return c.lab.Dial(ctx, "tcp", address)
		})},
	})
}
