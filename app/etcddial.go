package app

import (
	"context"
	"fmt"
	"path"

	"github.com/hactl/hactl/etcd"
	"github.com/hactl/hactl/phases/host"
)

// dialEtcd returns the etcd cluster behind the client URLs, as the
// certificates of this node let its administrator see it, and what closes
// it. It connects with the first call. The error of a certificate that is
// not there satisfies fs.ErrNotExist.
func dialEtcd(ctx context.Context, files host.Files, certDir string, endpoints []string) (etcd.Cluster, func() error, error) {
	var pem [3][]byte
	for i, name := range []string{"etcd/ca.crt", "etcd/healthcheck-client.crt", "etcd/healthcheck-client.key"} {
		data, err := files.ReadFile(ctx, path.Join(certDir, name))
		if err != nil {
			return nil, nil, fmt.Errorf("open the way to etcd: %w", err)
		}
		pem[i] = data
	}
	tls, err := etcd.TLS(pem[0], pem[1], pem[2])
	if err != nil {
		return nil, nil, fmt.Errorf("open the way to etcd with the certificates in %s: %w", path.Join(certDir, "etcd"), err)
	}
	client, err := etcd.Dial(etcd.Config{Endpoints: endpoints, TLS: tls})
	if err != nil {
		return nil, nil, err
	}
	return client, client.Close, nil
}
