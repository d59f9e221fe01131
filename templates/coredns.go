package templates

import (
	"errors"
	"net/netip"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/hactl/hactl/config"
)

// Names of what CoreDNS consists of, all in namespace kube-system.
const (
	CoreDNSName = "coredns"
	// CorefileKey is the key of ConfigMap coredns.
	CorefileKey = "Corefile"
)

// CoreDNS is what the manifests of CoreDNS are made from.
type CoreDNS struct {
	Image     string
	Replicas  int32
	DNSDomain string
	Address   netip.Addr // of Service kube-dns
}

// CoreDNSObjects is CoreDNS in the cluster.
type CoreDNSObjects struct {
	ServiceAccount     *corev1.ServiceAccount
	ClusterRole        *rbacv1.ClusterRole
	ClusterRoleBinding *rbacv1.ClusterRoleBinding
	ConfigMap          *corev1.ConfigMap
	Deployment         *appsv1.Deployment
	Service            *corev1.Service
}

// Render returns the objects.
func (c CoreDNS) Render() (*CoreDNSObjects, error) {
	o := &CoreDNSObjects{}
	err := errors.Join(
		object(&o.ServiceAccount, "coredns/serviceaccount.yaml", c),
		object(&o.ClusterRole, "coredns/clusterrole.yaml", c),
		object(&o.ClusterRoleBinding, "coredns/clusterrolebinding.yaml", c),
		object(&o.ConfigMap, "coredns/configmap.yaml", c),
		object(&o.Deployment, "coredns/deployment.yaml", c),
		object(&o.Service, "coredns/service.yaml", c),
	)
	if err != nil {
		return nil, err
	}
	return o, nil
}

// ControlPlaneTaint is the taint that CoreDNS tolerates.
func (CoreDNS) ControlPlaneTaint() string { return config.ControlPlaneRole }
