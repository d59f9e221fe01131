package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"slices"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/etcd"
	"github.com/hactl/hactl/phases/health"
	"github.com/hactl/hactl/phases/host"
)

// openEtcd opens the etcd cluster that this node uses, whoever runs it.
func (m *machine) openEtcd(ctx context.Context, a health.EtcdAccess) (etcd.Cluster, func() error, error) {
	if a.External != nil {
		return m.dialExternalEtcd(ctx, m.host, a.External)
	}
	return m.dialEtcd(ctx, m.host, a.CertDir, a.Endpoints)
}

// dialExternalEtcd is dialEtcd for an etcd that others run. Its files may be
// left out where its URLs need none.
func dialExternalEtcd(ctx context.Context, files host.Files, x *config.ExternalEtcd) (etcd.Cluster, func() error, error) {
	settings, err := externalTLS(ctx, files, x)
	if err != nil {
		return nil, nil, fmt.Errorf("open the way to the external etcd: %w", err)
	}
	client, err := etcd.Dial(etcd.Config{Endpoints: slices.Concat(x.Endpoints, x.HTTPEndpoints), TLS: settings})
	if err != nil {
		return nil, nil, err
	}
	return client, client.Close, nil
}

// externalTLS returns nil if there are no files.
func externalTLS(ctx context.Context, files host.Files, x *config.ExternalEtcd) (*tls.Config, error) {
	if x.CAFile == "" && x.CertFile == "" {
		return nil, nil
	}
	if x.CertFile == "" || x.KeyFile == "" {
		return nil, errors.New("the configuration names a CA, but no client certificate and key")
	}
	var pem [3][]byte
	for i, file := range []string{x.CAFile, x.CertFile, x.KeyFile} {
		var err error
		if pem[i], err = files.ReadFile(ctx, file); err != nil {
			return nil, err
		}
	}
	return etcd.TLS(pem[0], pem[1], pem[2])
}
