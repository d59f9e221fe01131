package health

import (
	"context"

	"github.com/hactl/hactl/etcd"
)

// EtcdOf asks an etcd cluster by itself, as an etcd host sees it that knows no
// Kubernetes. It takes two seconds at most.
func EtcdOf(ctx context.Context, dial func(context.Context) (etcd.Cluster, func() error, error)) Etcd {
	t := &Task{Dial: func(ctx context.Context, _ EtcdAccess) (etcd.Cluster, func() error, error) { return dial(ctx) }}
	return t.etcd(ctx, EtcdAccess{})
}
