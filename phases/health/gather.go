package health

import (
	"context"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/etcd"
	"github.com/hactl/hactl/phases/host"
	"github.com/hactl/hactl/phases/kube"
)

const (
	// limit is the longest time for one source, whole that for all of them.
	limit = 2 * time.Second
	whole = 2900 * time.Millisecond
	// leadLimit is how long the API server may take to tell where etcd's
	// members are. After that, those that this node knows have to do.
	leadLimit = 700 * time.Millisecond
)

// Task is what Gather works from.
type Task struct {
	Files host.Files
	// APIs are ways to the API, the best first; the first that answers
	// counts.
	APIs []kube.API
	// Kubeconfig is the file whose server is the control-plane endpoint.
	Kubeconfig string
	// Node is the name of this node.
	Node string
	Now  func() time.Time
	// Dial opens an etcd cluster and returns what closes it.
	Dial func(context.Context, EtcdAccess) (etcd.Cluster, func() error, error)
	// Ask asks an API server that must show a certificate of the CA; nil
	// means Ask of this package.
	Ask func(ctx context.Context, url string, ca []byte) (Answer, error)
	// ParseToken reads a bootstrap token from its Secret.
	ParseToken func(*corev1.Secret) (config.Token, error)
	// Cluster reads the cluster's configuration, where this node's files do
	// not tell where etcd is.
	Cluster func(context.Context, kube.API) (*config.Cluster, error)
}

// EtcdAccess is the way to an etcd cluster.
type EtcdAccess struct {
	// Endpoints are client URLs.
	Endpoints []string
	// CertDir is the directory of the cluster's certificates; those of a
	// stacked etcd are in its directory etcd.
	CertDir string
	// External is set for an etcd that others run, and has its files.
	External *config.ExternalEtcd
}

// Gather asks everything at the same time and returns after at most three
// seconds. It returns no error: what cannot be had is told in its place.
func Gather(ctx context.Context, t *Task) *Report {
	ctx, cancel := context.WithTimeout(ctx, whole)
	defer cancel()
	r := &Report{At: t.Now().UTC(), Node: t.Node}
	local := t.readNode(ctx)
	r.Endpoint = local.endpoint
	api := begin(func() (kube.API, error) { return t.pick(ctx) })
	pods := begin(func() ([]corev1.Pod, error) { return pods(ctx, api) })
	var group sync.WaitGroup
	group.Go(func() { r.Certificates = t.certificates(ctx, local) })
	group.Go(func() { r.Nodes = nodes(ctx, api) })
	group.Go(func() { r.Tokens, r.Uploaded = t.secrets(ctx, api) })
	group.Go(func() { r.APIServers = t.servers(ctx, local, pods) })
	group.Go(func() { r.Etcd = t.etcd(ctx, t.access(ctx, local, api, pods)) })
	group.Wait()
	return r
}

// later is a value that somebody is asked for.
type later[T any] struct {
	done  chan struct{}
	value T
	err   error
}

func begin[T any](ask func() (T, error)) *later[T] {
	l := &later[T]{done: make(chan struct{})}
	go func() {
		defer close(l.done)
		l.value, l.err = ask()
	}()
	return l
}

// wait returns the value, or ctx's error if that ends first.
func (l *later[T]) wait(ctx context.Context) (T, error) {
	select {
	case <-l.done:
		return l.value, l.err
	case <-ctx.Done():
		var none T
		return none, context.Cause(ctx)
	}
}
