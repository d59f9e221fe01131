package templates

import (
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// NodesGroup is the group of all nodes that have joined.
const NodesGroup = "system:nodes"

// Reader is the right to get one object by name.
type Reader struct {
	Name, Namespace  string // of the Role and of its binding
	Resource, Object string // "configmaps", "kubeadm-config"
}

// Grant returns the Role and the RoleBinding that give it to the subjects.
func (r Reader) Grant(subjects ...rbacv1.Subject) (*rbacv1.Role, *rbacv1.RoleBinding) {
	meta := metav1.ObjectMeta{Namespace: r.Namespace, Name: r.Name}
	role := &rbacv1.Role{
		TypeMeta:   rbac("Role"),
		ObjectMeta: meta,
		Rules: []rbacv1.PolicyRule{{
			APIGroups: []string{""}, Resources: []string{r.Resource}, ResourceNames: []string{r.Object},
			Verbs: []string{"get"},
		}},
	}
	binding := &rbacv1.RoleBinding{
		TypeMeta:   rbac("RoleBinding"),
		ObjectMeta: meta,
		Subjects:   subjects,
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: r.Name},
	}
	return role, binding
}

// Bind returns the ClusterRoleBinding that gives a ClusterRole to subjects.
func Bind(name, clusterRole string, subjects ...rbacv1.Subject) *rbacv1.ClusterRoleBinding {
	return &rbacv1.ClusterRoleBinding{
		TypeMeta:   rbac("ClusterRoleBinding"),
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Subjects:   subjects,
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: clusterRole},
	}
}

// Group is a group of users as a subject.
func Group(name string) rbacv1.Subject {
	return rbacv1.Subject{APIGroup: rbacv1.GroupName, Kind: rbacv1.GroupKind, Name: name}
}

// User is one user as a subject.
func User(name string) rbacv1.Subject {
	return rbacv1.Subject{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: name}
}

func rbac(kind string) metav1.TypeMeta {
	return metav1.TypeMeta{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: kind}
}
