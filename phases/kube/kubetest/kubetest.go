// Package kubetest holds the conformance suite that every kube.API passes.
// It owns what the interface promises and nothing about one implementation.
package kubetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hactl/hactl/phases/kube"
)

const (
	namespace = "kube-system"
	// label is on every object that the suite makes and no other.
	label = "hactl.dev/conformance"
)

// Run tests an API. The cluster has a namespace kube-system and may have
// anything else; objects whose name starts with "hactl-conformance" are
// deleted before and after each case. The caller is a cluster administrator.
func Run(t *testing.T, api func() kube.API) {
	cases := map[string]struct {
		reason string
		test   func(*testing.T, kube.API)
	}{
		"Missing":        {"what is not there is IsNotFound", missing},
		"PutCreates":     {"Put makes what is not there and fills in what the server knows", putCreates},
		"PutMerges":      {"Put leaves alone what others set", putMerges},
		"PutDrops":       {"a field that an earlier Put set and this one does not goes", putDrops},
		"PutSame":        {"a second equal Put changes nothing", putSame},
		"PutRead":        {"Put of an object that was read ignores what the server keeps", putRead},
		"PutStringData":  {"stringData of a Secret becomes data", putStringData},
		"PutList":        {"a list of values is replaced as a whole", putList},
		"Update":         {"Update replaces the whole object", update},
		"UpdateStale":    {"Update of what has changed since is IsConflict", updateStale},
		"UpdateBlind":    {"Update without a resourceVersion is IsConflict", updateBlind},
		"Delete":         {"what is deleted is gone, and a second time IsNotFound", deleteTwice},
		"List":           {"List selects by namespace and labels", list},
		"ListBad":        {"a selector that cannot be read is IsBadRequest", listBad},
		"Watch":          {"each change to the named object wakes", watch},
		"WatchKind":      {"without a name every object of the kind wakes", watchKind},
		"Names":          {"a name and the right namespace are needed", names},
		"UnknownKind":    {"a kind outside the table is an error", unknownKind},
		"Ended":          {"an ended context stops everything, with its cause", ended},
		"Matches":        {"Matches says whether Put would change anything", matches},
		"Defaults":       {"what a server adds by itself does not matter to Matches and Put", defaults},
		"ClusterObjects": {"objects without a namespace work too", clusterObjects},
		"Raw":            {"Raw returns the body, and IsNotFound for an unknown path", raw},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Log(c.reason)
			a := api()
			sweep(t, a)
			c.test(t, a)
			sweep(t, a)
		})
	}
}

// sweep deletes what the suite makes.
func sweep(t *testing.T, api kube.API) {
	t.Helper()
	for _, obj := range []kube.Object{
		configMap("a", nil), configMap("b", nil), secret(nil), role(nil),
		&rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: named("a")}},
	} {
		if err := api.Delete(t.Context(), obj); err != nil && !apierrors.IsNotFound(err) {
			t.Fatal(err)
		}
	}
}

func named(name string) string { return "hactl-conformance-" + name }

func meta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Name: named(name), Namespace: namespace, Labels: map[string]string{label: name}}
}

func configMap(name string, data map[string]string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: meta(name), Data: data}
}

func secret(data map[string][]byte) *corev1.Secret {
	return &corev1.Secret{ObjectMeta: meta("a"), Data: data}
}

func role(rules []rbacv1.PolicyRule) *rbacv1.Role {
	return &rbacv1.Role{ObjectMeta: meta("a"), Rules: rules}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// stored reads the ConfigMap as it is in the cluster.
func stored(t *testing.T, api kube.API, name string) *corev1.ConfigMap {
	t.Helper()
	cm := configMap(name, nil)
	must(t, api.Get(t.Context(), cm))
	return cm
}

func wantData(t *testing.T, api kube.API, want map[string]string) {
	t.Helper()
	if diff := cmp.Diff(want, stored(t, api, "a").Data); diff != "" {
		t.Errorf("data: -want +got\n%s", diff)
	}
}

// foreign changes the object as somebody else would.
func foreign(t *testing.T, api kube.API, change func(*corev1.ConfigMap)) {
	t.Helper()
	cm := stored(t, api, "a")
	change(cm)
	must(t, api.Update(t.Context(), cm))
}

func missing(t *testing.T, api kube.API) {
	if err := api.Get(t.Context(), configMap("a", nil)); !apierrors.IsNotFound(err) {
		t.Errorf("Get: want IsNotFound, got %v", err)
	}
	if err := api.Delete(t.Context(), configMap("a", nil)); !apierrors.IsNotFound(err) {
		t.Errorf("Delete: want IsNotFound, got %v", err)
	}
	cm := configMap("a", nil)
	cm.ResourceVersion = "1"
	if err := api.Update(t.Context(), cm); !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		t.Errorf("Update: want IsNotFound or IsConflict, got %v", err)
	}
}

func putCreates(t *testing.T, api kube.API) {
	cm := configMap("a", map[string]string{"x": "1", "empty": ""})
	must(t, api.Put(t.Context(), cm))
	if cm.UID == "" || cm.ResourceVersion == "" || cm.Kind != "ConfigMap" {
		t.Errorf("Put fills uid, resourceVersion and kind, got %+v", cm)
	}
	got := stored(t, api, "a")
	if diff := cmp.Diff(cm, got); diff != "" {
		t.Errorf("Put and Get differ: -put +get\n%s", diff)
	}
	wantData(t, api, map[string]string{"x": "1", "empty": ""})
}

func putMerges(t *testing.T, api kube.API) {
	must(t, api.Put(t.Context(), configMap("a", map[string]string{"x": "1"})))
	foreign(t, api, func(cm *corev1.ConfigMap) {
		cm.Data["other"] = "kept"
		cm.Annotations = map[string]string{"other": "kept"}
	})
	cm := configMap("a", map[string]string{"x": "2", "y": "3"})
	must(t, api.Put(t.Context(), cm))
	wantData(t, api, map[string]string{"x": "2", "y": "3", "other": "kept"})
	if cm.Annotations["other"] != "kept" {
		t.Errorf("the object is not filled from the answer: %v", cm.Annotations)
	}
}

func putDrops(t *testing.T, api kube.API) {
	must(t, api.Put(t.Context(), configMap("a", map[string]string{"x": "1", "y": "2"})))
	must(t, api.Put(t.Context(), configMap("a", map[string]string{"x": "1"})))
	wantData(t, api, map[string]string{"x": "1"})
	must(t, api.Put(t.Context(), configMap("a", nil)))
	wantData(t, api, nil)
}

func putSame(t *testing.T, api kube.API) {
	first, second := configMap("a", map[string]string{"x": "1"}), configMap("a", map[string]string{"x": "1"})
	must(t, api.Put(t.Context(), first))
	must(t, api.Put(t.Context(), second))
	if first.ResourceVersion != second.ResourceVersion {
		t.Errorf("resourceVersion: want %s, got %s", first.ResourceVersion, second.ResourceVersion)
	}
}

func putRead(t *testing.T, api kube.API) {
	must(t, api.Put(t.Context(), configMap("a", map[string]string{"x": "1"})))
	old := stored(t, api, "a")
	foreign(t, api, func(cm *corev1.ConfigMap) { cm.Data["other"] = "kept" })
	old.Data["x"] = "2"
	must(t, api.Put(t.Context(), old))
	wantData(t, api, map[string]string{"x": "2", "other": "kept"})
}

func putStringData(t *testing.T, api kube.API) {
	s := secret(nil)
	s.StringData = map[string]string{"token": "abc"}
	must(t, api.Put(t.Context(), s.DeepCopy()))
	got := secret(nil)
	must(t, api.Get(t.Context(), got))
	if diff := cmp.Diff(map[string][]byte{"token": []byte("abc")}, got.Data); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	wantMatch(t, api, s, true)
}

func rule(verbs ...string) rbacv1.PolicyRule {
	return rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: verbs}
}

func putList(t *testing.T, api kube.API) {
	must(t, api.Put(t.Context(), role([]rbacv1.PolicyRule{rule("get", "list"), rule("watch")})))
	want := []rbacv1.PolicyRule{rule("get")}
	must(t, api.Put(t.Context(), role(want)))
	got := role(nil)
	must(t, api.Get(t.Context(), got))
	if diff := cmp.Diff(want, got.Rules); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func update(t *testing.T, api kube.API) {
	must(t, api.Put(t.Context(), configMap("a", map[string]string{"x": "1"})))
	cm := stored(t, api, "a")
	before := cm.ResourceVersion
	cm.Data = map[string]string{"y": "2"}
	must(t, api.Update(t.Context(), cm))
	if cm.ResourceVersion == before || cm.ResourceVersion == "" {
		t.Errorf("Update fills the new resourceVersion, got %q", cm.ResourceVersion)
	}
	wantData(t, api, map[string]string{"y": "2"})
}

func updateStale(t *testing.T, api kube.API) {
	must(t, api.Put(t.Context(), configMap("a", map[string]string{"x": "1"})))
	old := stored(t, api, "a")
	must(t, api.Put(t.Context(), configMap("a", map[string]string{"x": "2"})))
	old.Data["x"] = "3"
	if err := api.Update(t.Context(), old); !apierrors.IsConflict(err) {
		t.Errorf("want IsConflict, got %v", err)
	}
	wantData(t, api, map[string]string{"x": "2"})
}

func updateBlind(t *testing.T, api kube.API) {
	must(t, api.Put(t.Context(), configMap("a", map[string]string{"x": "1"})))
	if err := api.Update(t.Context(), configMap("a", map[string]string{"x": "2"})); !apierrors.IsConflict(err) {
		t.Errorf("want IsConflict, got %v", err)
	}
	wantData(t, api, map[string]string{"x": "1"})
}

func deleteTwice(t *testing.T, api kube.API) {
	must(t, api.Put(t.Context(), configMap("a", nil)))
	must(t, api.Delete(t.Context(), configMap("a", nil)))
	missing(t, api)
	must(t, api.Put(t.Context(), configMap("a", map[string]string{"x": "1"})))
	wantData(t, api, map[string]string{"x": "1"})
}

func list(t *testing.T, api kube.API) {
	must(t, api.Put(t.Context(), configMap("b", nil)))
	must(t, api.Put(t.Context(), configMap("a", nil)))
	cases := map[string]struct {
		namespace, selector string
		want                []string
	}{
		"Exists":         {namespace, label, []string{named("a"), named("b")}},
		"Equal":          {namespace, label + "=b", []string{named("b")}},
		"NotEqual":       {namespace, label + "," + label + "!=b", []string{named("a")}},
		"AllNamespaces":  {"", label + " in (a,b)", []string{named("a"), named("b")}},
		"OtherNamespace": {"hactl-conformance-none", "", []string{}},
		"NoMatch":        {namespace, label + "=c", []string{}},
	}
	for name, c := range cases {
		var list corev1.ConfigMapList
		must(t, api.List(t.Context(), &list, c.namespace, c.selector))
		got := []string{}
		for _, cm := range list.Items {
			got = append(got, cm.Name)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: -want +got\n%s", name, diff)
		}
	}
	must(t, api.Delete(t.Context(), configMap("a", nil)))
	var left corev1.ConfigMapList
	must(t, api.List(t.Context(), &left, namespace, ""))
	if slices.ContainsFunc(left.Items, func(cm corev1.ConfigMap) bool { return cm.Name == named("a") }) {
		t.Error("what is deleted is still in the list")
	}
}

func listBad(t *testing.T, api kube.API) {
	err := api.List(t.Context(), &corev1.ConfigMapList{}, namespace, "=,=")
	if !apierrors.IsBadRequest(err) {
		t.Errorf("want IsBadRequest, got %v", err)
	}
}

func names(t *testing.T, api kube.API) {
	bad := map[string]kube.Object{
		"NoName":        &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace}},
		"NoNamespace":   &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: named("a")}},
		"WithNamespace": &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: named("a"), Namespace: namespace}},
	}
	for name, obj := range bad {
		for verb, err := range map[kube.Verb]error{
			kube.Get: api.Get(t.Context(), obj), kube.Put: api.Put(t.Context(), obj),
			kube.Update: api.Update(t.Context(), obj), kube.Delete: api.Delete(t.Context(), obj),
		} {
			if !apierrors.IsBadRequest(err) {
				t.Errorf("%s: %s: want IsBadRequest, got %v", name, verb, err)
			}
		}
	}
}

func unknownKind(t *testing.T, api kube.API) {
	obj := &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: named("a")}}
	_, watchErr := api.Watch(t.Context(), obj)
	for i, err := range []error{
		api.Get(t.Context(), obj), api.Put(t.Context(), obj), watchErr,
		api.List(t.Context(), &corev1.PersistentVolumeList{}, "", ""),
	} {
		if err == nil || !strings.Contains(err.Error(), "PersistentVolume") {
			t.Errorf("call %d: want an error that names the type, got %v", i, err)
		}
	}
}

func ended(t *testing.T, api kube.API) {
	cause := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	_, watchErr := api.Watch(ctx, configMap("a", nil))
	_, rawErr := api.Raw(ctx, "/readyz")
	for i, err := range []error{
		api.Get(ctx, configMap("a", nil)), api.Put(ctx, configMap("a", nil)), api.Delete(ctx, configMap("a", nil)),
		api.List(ctx, &corev1.ConfigMapList{}, "", ""), watchErr, rawErr,
	} {
		if !errors.Is(err, cause) {
			t.Errorf("call %d: want %v, got %v", i, cause, err)
		}
	}
}

func wantMatch(t *testing.T, api kube.API, obj kube.Object, want bool) {
	t.Helper()
	got, err := kube.Matches(t.Context(), api, obj)
	must(t, err)
	if got != want {
		t.Errorf("Matches(%s): want %v, got %v", fmt.Sprint(obj), want, got)
	}
}

func matches(t *testing.T, api kube.API) {
	wantMatch(t, api, configMap("a", nil), false)
	must(t, api.Put(t.Context(), configMap("a", map[string]string{"x": "1", "y": "2"})))
	wantMatch(t, api, configMap("a", map[string]string{"x": "1", "y": "2"}), true)
	wantMatch(t, api, configMap("a", map[string]string{"x": "1", "y": "3"}), false)
	wantMatch(t, api, configMap("a", map[string]string{"x": "1", "y": ""}), false)
	wantMatch(t, api, configMap("a", map[string]string{"x": "1"}), false)
	foreign(t, api, func(cm *corev1.ConfigMap) { cm.Data["other"] = "3" })
	wantMatch(t, api, configMap("a", map[string]string{"x": "1", "y": "2"}), true)
	must(t, api.Put(t.Context(), role([]rbacv1.PolicyRule{rule("get")})))
	wantMatch(t, api, role([]rbacv1.PolicyRule{rule("get")}), true)
	wantMatch(t, api, role([]rbacv1.PolicyRule{rule("list")}), false)
	wantMatch(t, api, role([]rbacv1.PolicyRule{rule("get"), rule("list")}), false)
}

func clusterObjects(t *testing.T, api kube.API) {
	cr := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: named("a"), Labels: map[string]string{label: "a"}},
		Rules: []rbacv1.PolicyRule{rule("get")}}
	must(t, api.Put(t.Context(), cr.DeepCopy()))
	wantMatch(t, api, cr, true)
	var list rbacv1.ClusterRoleList
	must(t, api.List(t.Context(), &list, "", label))
	if len(list.Items) != 1 || list.Items[0].Name != named("a") {
		t.Errorf("want one ClusterRole, got %+v", list.Items)
	}
}

func raw(t *testing.T, api kube.API) {
	body, err := api.Raw(t.Context(), "/readyz?verbose")
	if err != nil || !strings.Contains(string(body), "ok") {
		t.Errorf("want ok, got %q, %v", body, err)
	}
	if _, err := api.Raw(t.Context(), "/hactl/no/such/path"); !apierrors.IsNotFound(err) {
		t.Errorf("want IsNotFound, got %v", err)
	}
}
