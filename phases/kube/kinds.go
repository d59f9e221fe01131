package kube

import (
	"fmt"
	"net/url"
	"path"
	"reflect"

	appsv1 "k8s.io/api/apps/v1"
	certificatesv1 "k8s.io/api/certificates/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"
)

// kind is one row of the table of kinds: hactl asks no server for it.
type kind struct {
	schema.GroupVersionKind
	resource   string
	namespaced bool
	object     reflect.Type
	list       reflect.Type
	fresh      func() Object
}

type scope bool

const (
	cluster    scope = false
	namespaced scope = true
)

// table lists the kinds that hactl reads or writes.
func table() []kind {
	core, apps, rbac := corev1.SchemeGroupVersion, appsv1.SchemeGroupVersion, rbacv1.SchemeGroupVersion
	return []kind{
		row[corev1.ConfigMap, corev1.ConfigMapList](core, "configmaps", namespaced),
		row[corev1.Secret, corev1.SecretList](core, "secrets", namespaced),
		row[corev1.Node, corev1.NodeList](core, "nodes", cluster),
		row[corev1.Pod, corev1.PodList](core, "pods", namespaced),
		row[corev1.Service, corev1.ServiceList](core, "services", namespaced),
		row[corev1.ServiceAccount, corev1.ServiceAccountList](core, "serviceaccounts", namespaced),
		row[corev1.Namespace, corev1.NamespaceList](core, "namespaces", cluster),
		row[corev1.Event, corev1.EventList](core, "events", namespaced),
		row[appsv1.Deployment, appsv1.DeploymentList](apps, "deployments", namespaced),
		row[appsv1.DaemonSet, appsv1.DaemonSetList](apps, "daemonsets", namespaced),
		row[rbacv1.Role, rbacv1.RoleList](rbac, "roles", namespaced),
		row[rbacv1.RoleBinding, rbacv1.RoleBindingList](rbac, "rolebindings", namespaced),
		row[rbacv1.ClusterRole, rbacv1.ClusterRoleList](rbac, "clusterroles", cluster),
		row[rbacv1.ClusterRoleBinding, rbacv1.ClusterRoleBindingList](rbac, "clusterrolebindings", cluster),
		row[certificatesv1.CertificateSigningRequest, certificatesv1.CertificateSigningRequestList](
			certificatesv1.SchemeGroupVersion, "certificatesigningrequests", cluster),
		row[coordinationv1.Lease, coordinationv1.LeaseList](coordinationv1.SchemeGroupVersion, "leases", namespaced),
		row[discoveryv1.EndpointSlice, discoveryv1.EndpointSliceList](
			discoveryv1.SchemeGroupVersion, "endpointslices", namespaced),
		row[networkingv1.IPAddress, networkingv1.IPAddressList](networkingv1.SchemeGroupVersion, "ipaddresses", cluster),
	}
}

// row makes a row for the object type T, whose list type is L.
func row[T, L any, P interface {
	*T
	Object
}](gv schema.GroupVersion, resource string, s scope) kind {
	object := reflect.TypeFor[T]()
	return kind{
		GroupVersionKind: gv.WithKind(object.Name()), resource: resource, namespaced: bool(s),
		object: reflect.TypeFor[*T](), list: reflect.TypeFor[*L](),
		fresh: func() Object { return P(new(T)) },
	}
}

// kinds is the table, to be searched.
type kinds []kind

func (ks kinds) ofObject(obj runtime.Object) (kind, error) {
	return ks.find(obj, func(k kind) reflect.Type { return k.object })
}

func (ks kinds) ofList(list runtime.Object) (kind, error) {
	return ks.find(list, func(k kind) reflect.Type { return k.list })
}

func (ks kinds) find(obj runtime.Object, typ func(kind) reflect.Type) (kind, error) {
	for _, k := range ks {
		if typ(k) == reflect.TypeOf(obj) {
			return k, nil
		}
	}
	return kind{}, fmt.Errorf("%T is not in the table of kinds of phases/kube", obj)
}

// named returns obj's kind; obj must have a name, and a namespace if the
// kind has namespaces.
func (ks kinds) named(obj Object) (kind, error) {
	k, err := ks.ofObject(obj)
	switch {
	case err != nil:
	case obj.GetName() == "":
		err = apierrors.NewBadRequest(k.Kind + " without a name")
	case k.namespaced && obj.GetNamespace() == "":
		err = apierrors.NewBadRequest(fmt.Sprintf("%s %s without a namespace", k.Kind, obj.GetName()))
	case !k.namespaced && obj.GetNamespace() != "":
		err = apierrors.NewBadRequest(fmt.Sprintf("%s %s with a namespace", k.Kind, obj.GetName()))
	}
	return k, err
}

func (k kind) groupResource() schema.GroupResource {
	return schema.GroupResource{Group: k.Group, Resource: k.resource}
}

// path is that of the collection, or of the object if name is set.
func (k kind) path(namespace, name string) string {
	p := "/apis/" + k.Group
	if k.Group == "" {
		p = "/api"
	}
	p += "/" + k.Version
	if namespace != "" {
		p = path.Join(p, "namespaces", url.PathEscape(namespace))
	}
	return path.Join(p, k.resource, url.PathEscape(name))
}

// Decode reads one YAML or JSON document strictly into an object of one of
// the kinds that this package knows.
func Decode(doc []byte) (Object, error) {
	var head struct{ APIVersion, Kind string }
	if err := yaml.Unmarshal(doc, &head); err != nil {
		return nil, err
	}
	for _, k := range table() {
		if k.GroupVersion().String() == head.APIVersion && k.Kind == head.Kind {
			obj := k.fresh()
			return obj, yaml.UnmarshalStrict(doc, obj)
		}
	}
	return nil, fmt.Errorf("%s %s is not in the table of kinds of phases/kube", head.APIVersion, head.Kind)
}
