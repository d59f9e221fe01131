package app

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/hactl/hactl/certs"
	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases"
)

// pinned finds the CA with one of the hashes among those that the address
// itself names in cluster-info: the hash proves which is the right one. It
// returns none if nobody answers there, which the check tells by itself.
func (c *lbCheck) pinned(ctx context.Context, address config.HostPort) ([]*x509.Certificate, error) {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	list, err := c.named(ctx, address)
	var fault *phases.Fault
	if errors.As(err, &fault) {
		return nil, err
	}
	if err != nil {
		return nil, nil
	}
	for _, ca := range list {
		if slices.Contains(c.in.CAHashes, certs.Pin(ca)) {
			return []*x509.Certificate{ca}, nil
		}
	}
	return nil, &phases.Fault{
		What:  address.String() + " is of another cluster: none of its CAs has a hash that was given",
		Why:   fmt.Errorf("its CA has the hash %s", certs.Pin(list[0])),
		Fixes: []string{"see that the address is the one that is meant, and that the hash is of this cluster: hactl token create --print-join-command"},
		Exit:  phases.CodeUnsafe,
	}
}

// named reads cluster-info without verifying anything.
func (c *lbCheck) named(ctx context.Context, address config.HostPort) ([]*x509.Certificate, error) {
	client := &http.Client{Timeout: askLimit, Transport: &http.Transport{
		DialContext: c.p.dialTCP, DisableKeepAlives: true, TLSHandshakeTimeout: time.Second,
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12},
	}}
	url := "https://" + address.String() + "/api/v1/namespaces/kube-public/configmaps/cluster-info"
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return nil, err
	}
	info := &corev1.ConfigMap{}
	if resp.StatusCode != http.StatusOK || json.Unmarshal(body, info) != nil {
		return nil, usage("the cluster does not show its CA to everybody, so a hash is of no use here", "name the CA's file: --ca-file")
	}
	kubeconfig, err := clientcmd.Load([]byte(info.Data["kubeconfig"]))
	if err != nil {
		return nil, err
	}
	var list []*x509.Certificate
	for _, cluster := range kubeconfig.Clusters {
		cas, err := certs.ParseCerts(cluster.CertificateAuthorityData)
		if err != nil {
			return nil, err
		}
		list = append(list, cas...)
	}
	if len(list) == 0 {
		return nil, usage("cluster-info names no CA, so a hash is of no use here", "name the CA's file: --ca-file")
	}
	return list, nil
}
