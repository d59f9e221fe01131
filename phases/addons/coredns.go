package addons

import (
	"context"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/kube"
	"github.com/hactl/hactl/templates"
)

// replicas is how many CoreDNS pods a new cluster gets (kubeadm v1.37,
// phases/addons/dns/dns.go).
const replicas = 2

// coreDNS returns the objects of CoreDNS that hactl answers for. Without an
// API they are those of a new cluster.
func (t *Task) coreDNS(ctx context.Context) ([]kube.Object, error) {
	count, corefile, err := t.liveCoreDNS(ctx)
	if err != nil {
		return nil, err
	}
	o, err := templates.CoreDNS{
		Image:     t.Cluster.DNSImage(),
		Replicas:  count,
		DNSDomain: t.Cluster.Networking.DNSDomain,
		Address:   t.Cluster.DNSAddress(),
	}.Render()
	if err != nil {
		return nil, err
	}
	if o.Deployment, err = patched(ctx, t, TargetCoreDNS, o.Deployment); err != nil {
		return nil, err
	}
	objs := []kube.Object{o.ServiceAccount, o.ClusterRole, o.ClusterRoleBinding, o.Service, o.Deployment}
	if corefile == "" || corefile == o.ConfigMap.Data[templates.CorefileKey] {
		return append(objs, o.ConfigMap), nil
	}
	if !t.corefileTold {
		phases.Warn(ctx, "the Corefile in ConfigMap kube-system/coredns is not the one that hactl writes, and is kept; delete the ConfigMap and run the same command again to get hactl's")
		t.corefileTold = true
	}
	return objs, nil
}

// liveCoreDNS returns what is kept of a CoreDNS that is there: the replicas
// and the Corefile, "" for none.
func (t *Task) liveCoreDNS(ctx context.Context) (int32, string, error) {
	if t.API == nil {
		return replicas, "", nil
	}
	meta := metav1.ObjectMeta{Namespace: metav1.NamespaceSystem, Name: templates.CoreDNSName}
	deployment, cm := &appsv1.Deployment{ObjectMeta: meta}, &corev1.ConfigMap{ObjectMeta: meta}
	err := kube.Insist(ctx, t.API, t.Limit, "CoreDNS", func(ctx context.Context) error {
		for _, obj := range []kube.Object{deployment, cm} {
			if err := t.API.Get(ctx, obj); err != nil && !apierrors.IsNotFound(err) {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return 0, "", err
	}
	count := int32(replicas)
	if live := deployment.Spec.Replicas; live != nil {
		count = *live
	}
	return count, cm.Data[templates.CorefileKey], nil
}
