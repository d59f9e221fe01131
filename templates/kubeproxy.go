package templates

import (
	"errors"
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/templates/form"
)

// KubeProxyName is the name of what kube-proxy consists of, in namespace
// kube-system.
const KubeProxyName = "kube-proxy"

// KubeProxy is what the manifests of kube-proxy are made from.
type KubeProxy struct {
	Image string
	// Config is the KubeProxyConfiguration in YAML. Generated says that
	// nobody wrote it by hand.
	Config    string
	Generated bool
	Server    string // the URL of the cluster's API
	// Env goes to the container, beside NODE_NAME.
	Env []corev1.EnvVar
}

// KubeProxyObjects is kube-proxy in the cluster.
type KubeProxyObjects struct {
	ServiceAccount     *corev1.ServiceAccount
	ClusterRoleBinding *rbacv1.ClusterRoleBinding
	Role               *rbacv1.Role // to read the ConfigMap, for joining nodes
	RoleBinding        *rbacv1.RoleBinding
	ConfigMap          *corev1.ConfigMap
	DaemonSet          *appsv1.DaemonSet
}

// Render returns the objects.
func (k KubeProxy) Render() (*KubeProxyObjects, error) {
	kubeconfig, err := fill("kubeproxy/kubeconfig.conf", form.Values{"Server": k.Server})
	if err != nil {
		return nil, err
	}
	o := &KubeProxyObjects{}
	o.Role, o.RoleBinding = Reader{
		Name: KubeProxyName, Namespace: metav1.NamespaceSystem,
		Resource: "configmaps", Object: KubeProxyName,
	}.Grant(Group(config.NodeGroup))
	err = errors.Join(
		object(&o.ServiceAccount, "kubeproxy/serviceaccount.yaml", nil),
		object(&o.ClusterRoleBinding, "kubeproxy/clusterrolebinding.yaml", nil),
		object(&o.ConfigMap, "kubeproxy/configmap.yaml", form.Values{
			"Config":     strconv.Quote(strings.TrimSpace(k.Config)),
			"Kubeconfig": strconv.Quote(strings.TrimSpace(kubeconfig)),
		}),
		object(&o.DaemonSet, "kubeproxy/daemonset.yaml", form.Values{"Image": strconv.Quote(k.Image)}),
	)
	if err != nil {
		return nil, err
	}
	if k.Generated {
		Sign(o.ConfigMap)
	}
	container := &o.DaemonSet.Spec.Template.Spec.Containers[0]
	container.Env = append(container.Env, k.Env...)
	return o, nil
}
