package templates

import (
	"errors"
	"net/netip"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/templates/form"
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
	corefile, err := fill("coredns/Corefile", form.Values{"DNSDomain": c.DNSDomain})
	if err != nil {
		return nil, err
	}
	o := &CoreDNSObjects{}
	err = errors.Join(
		object(&o.ServiceAccount, "coredns/serviceaccount.yaml", nil),
		object(&o.ClusterRole, "coredns/clusterrole.yaml", nil),
		object(&o.ClusterRoleBinding, "coredns/clusterrolebinding.yaml", nil),
		object(&o.ConfigMap, "coredns/configmap.yaml", form.Values{"Corefile": strconv.Quote(corefile)}),
		object(&o.Deployment, "coredns/deployment.yaml", form.Values{
			"Replicas": strconv.Itoa(int(c.Replicas)), "Image": strconv.Quote(c.Image),
			"ControlPlaneTaint": strconv.Quote(config.ControlPlaneRole), // which CoreDNS tolerates
		}),
		object(&o.Service, "coredns/service.yaml", form.Values{"Address": strconv.Quote(c.Address.String())}),
	)
	if err != nil {
		return nil, err
	}
	return o, nil
}
