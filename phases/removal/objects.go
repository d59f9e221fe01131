package removal

import (
	"context"
	"fmt"
	"slices"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/kube"
)

const (
	// joinLease is the queue of control planes that join.
	joinLease = "hactl-etcd-join"
	// identity is the label of the leases of API servers; the host name is
	// another (kubernetes v1.37, pkg/controlplane/apiserver/server.go).
	identity = "apiserver.kubernetes.io/identity=kube-apiserver"
)

func observeNode(ctx context.Context, t *Task) (phases.State, error) {
	err := t.call(ctx, "Node "+t.Name, func(ctx context.Context) error { return t.API.Get(ctx, t.node()) })
	if apierrors.IsNotFound(err) {
		return phases.Done, nil
	}
	return phases.Missing, err
}

func removeNode(ctx context.Context, t *Task) error { return t.delete(ctx, "Node", t.node()) }

// delete deletes an object that may have gone in the meantime.
func (t *Task) delete(ctx context.Context, kind string, obj kube.Object) error {
	name := kind + " " + obj.GetName()
	if obj.GetNamespace() != "" {
		name = kind + " " + obj.GetNamespace() + "/" + obj.GetName()
	}
	err := t.call(ctx, name, func(ctx context.Context) error { return t.API.Delete(ctx, obj) })
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("delete %s: %w", name, err)
	}
	if !slices.Contains(t.Result.Objects, name) {
		t.Result.Objects = append(t.Result.Objects, name)
	}
	return nil
}

func observeLeases(ctx context.Context, t *Task) (phases.State, error) {
	leases, err := t.leases(ctx)
	if err != nil || len(leases) > 0 {
		return phases.Missing, err
	}
	return phases.Done, nil
}

func removeLeases(ctx context.Context, t *Task) error {
	leases, err := t.leases(ctx)
	if err != nil {
		return err
	}
	for i := range leases {
		if err := t.delete(ctx, "Lease", &leases[i]); err != nil {
			return err
		}
	}
	return nil
}

// leases are those that are the node's.
func (t *Task) leases(ctx context.Context) ([]coordinationv1.Lease, error) {
	var own []coordinationv1.Lease
	for _, l := range []*coordinationv1.Lease{lease(corev1.NamespaceNodeLease, t.Name), lease(metav1.NamespaceSystem, joinLease)} {
		err := t.call(ctx, "Lease "+l.Namespace+"/"+l.Name, func(ctx context.Context) error { return t.API.Get(ctx, l) })
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if l.Name != joinLease || l.Spec.HolderIdentity != nil && *l.Spec.HolderIdentity == t.Name {
			own = append(own, *l)
		}
	}
	servers := &coordinationv1.LeaseList{}
	if len(validation.IsValidLabelValue(t.Name)) > 0 {
		return own, nil // an IPv6 address: no API server calls itself so
	}
	err := t.call(ctx, "the leases of API servers", func(ctx context.Context) error {
		return t.API.List(ctx, servers, metav1.NamespaceSystem, identity+","+corev1.LabelHostname+"="+t.Name)
	})
	return append(own, servers.Items...), err
}

func lease(namespace, name string) *coordinationv1.Lease {
	return &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
}
