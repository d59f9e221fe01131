package publish

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/config/kubeadm"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/kube"
	"github.com/hactl/hactl/templates"
)

// Names that kubeadm reads the configuration by (kubeadm v1.37,
// constants/constants.go).
const (
	clusterConfigMap = "kubeadm-config"
	clusterKey       = "ClusterConfiguration"
	clusterRole      = "kubeadm:nodes-kubeadm-config"

	kubeletConfigMap = "kubelet-config"
	kubeletKey       = "kubelet"
	kubeletRole      = "kubeadm:kubelet-config"

	admins = "kubeadm:cluster-admins"
)

// ConfigPhase is phase upload-config: the configuration of the cluster and
// of its kubelets.
func ConfigPhase() phases.Phase[Task] {
	return phases.Phase[Task]{
		Name:    "upload-config",
		Aliases: []string{"uploadconfig"},
		Title:   "keep the configuration in the cluster",
		Phases: []phases.Phase[Task]{
			objectsPhase(phases.Phase[Task]{
				Name:  "kubeadm",
				Title: "keep the cluster's configuration",
				Writes: []string{
					"ConfigMap kube-system/" + clusterConfigMap,
					"Role and RoleBinding kube-system/" + clusterRole,
					"ClusterRoleBinding " + admins,
				},
			}, clusterObjects),
			objectsPhase(phases.Phase[Task]{
				Name:  "kubelet",
				Title: "keep the kubelets' configuration",
				Writes: []string{
					"ConfigMap kube-system/" + kubeletConfigMap,
					"Role and RoleBinding kube-system/" + kubeletRole,
				},
			}, kubeletObjects),
			objectsPhase(phases.Phase[Task]{
				Name:  "hactl",
				Title: "keep hactl's own configuration",
				Writes: []string{
					"ConfigMap kube-system/" + ownConfigMap,
					"Role and RoleBinding kube-system/" + ownRole,
				},
				Hidden: true,
				Skip: func(t *Task) string {
					if t.Cluster.LoadBalancer == nil {
						return "the configuration has no loadBalancer" // what the cluster has stays
					}
					return ""
				},
			}, ownObjects),
		},
	}
}

// EnsureAdmins gives the holder of admin.conf its rights. Phase
// upload-config/kubeadm does the same; this is for runs without it. The API
// must be that of super-admin.conf, unless the rights are there already.
func EnsureAdmins(ctx context.Context, api kube.API, limit time.Duration) error {
	same, err := kube.MatchAll(ctx, api, limit, adminsBinding())
	if err == nil && !same {
		err = kube.PutAll(ctx, api, limit, adminsBinding())
	}
	return explain(err)
}

// adminsBinding binds the group of admin.conf. super-admin.conf needs none:
// its group is built into kube-apiserver.
func adminsBinding() *rbacv1.ClusterRoleBinding {
	return templates.Bind(admins, "cluster-admin", templates.Group(admins))
}

func clusterObjects(t *Task) ([]kube.Object, error) {
	data, err := kubeadm.EncodeCluster(t.Cluster)
	if err != nil {
		return nil, fmt.Errorf("encode the cluster's configuration: %w", err)
	}
	role, binding := templates.Reader{
		Name: clusterRole, Namespace: metav1.NamespaceSystem, Resource: "configmaps", Object: clusterConfigMap,
	}.Grant(templates.Group(config.NodeGroup), templates.Group(templates.NodesGroup))
	return []kube.Object{adminsBinding(), configMap(clusterConfigMap, clusterKey, data), role, binding}, nil
}

func kubeletObjects(t *Task) ([]kube.Object, error) {
	data, err := kubeadm.EncodeKubelet(t.Cluster)
	if err != nil {
		return nil, fmt.Errorf("encode the kubelets' configuration: %w", err)
	}
	cm := configMap(kubeletConfigMap, kubeletKey, data)
	if !t.Cluster.KubeletGiven {
		templates.Sign(cm)
	}
	role, binding := templates.Reader{
		Name: kubeletRole, Namespace: metav1.NamespaceSystem, Resource: "configmaps", Object: kubeletConfigMap,
	}.Grant(templates.Group(templates.NodesGroup), templates.Group(config.NodeGroup))
	return []kube.Object{cm, role, binding}, nil
}

func configMap(name, key string, data []byte) *corev1.ConfigMap {
	return &corev1.ConfigMap{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"},
		ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceSystem, Name: name},
		Data:       map[string]string{key: string(data)},
	}
}

// explain adds the way out where the API server knows the user, and lets it
// do nothing: only super-admin.conf can give admin.conf its rights.
func explain(err error) error {
	if err == nil || !apierrors.IsForbidden(err) {
		return err
	}
	return &phases.Fault{
		What: "the API server does not give this user the rights that hactl needs",
		Why:  err,
		Fixes: []string{
			"on the first control-plane node: hactl init phase upload-config kubeadm --kubeconfig " + config.KubernetesDir + "/super-admin.conf",
			"then run the same command again",
		},
	}
}
