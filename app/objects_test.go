package app

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
)

// objects are the versions of all objects in the cluster, by kind and name.
func (w *world) objects() map[string]string {
	if !w.up.Load() {
		return nil
	}
	found := map[string]string{}
	for kind, list := range map[string]runtime.Object{
		"ConfigMap": &corev1.ConfigMapList{}, "Secret": &corev1.SecretList{}, "Node": &corev1.NodeList{},
		"Service": &corev1.ServiceList{}, "ServiceAccount": &corev1.ServiceAccountList{},
		"Deployment": &appsv1.DeploymentList{}, "DaemonSet": &appsv1.DaemonSetList{},
		"Role": &rbacv1.RoleList{}, "RoleBinding": &rbacv1.RoleBindingList{},
		"ClusterRole": &rbacv1.ClusterRoleList{}, "ClusterRoleBinding": &rbacv1.ClusterRoleBindingList{},
	} {
		if err := w.api.List(w.t.Context(), list, "", ""); err != nil {
			w.t.Fatal(err)
		}
		err := meta.EachListItem(list, func(o runtime.Object) error {
			m, err := meta.Accessor(o)
			if err == nil {
				found[kind+" "+m.GetNamespace()+"/"+m.GetName()] = m.GetResourceVersion()
			}
			return err
		})
		if err != nil {
			w.t.Fatal(err)
		}
	}
	return found
}
