package publish

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hactl/hactl/certs"
	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/host"
	"github.com/hactl/hactl/phases/kube"
	"github.com/hactl/hactl/templates"
)

const testKey = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

var clock = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// newTask returns a task over an empty cluster and a node with all
// certificates of a stacked cluster.
func newTask(t *testing.T) *Task {
	t.Helper()
	in := config.Init{}
	in.Default()
	task := &Task{
		API: kube.NewMemory(), Cluster: &in.Cluster, Limit: time.Second,
		Host: host.NewMemory(), Now: func() time.Time { return clock }, Upload: true,
	}
	for _, f := range templates.SharedFiles(task.Cluster) {
		write(t, task, f.Path, "content of "+f.Key)
	}
	return task
}

func write(t *testing.T, task *Task, path, text string) {
	t.Helper()
	if err := task.Host.WriteFile(t.Context(), path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// run runs phases and returns how each ended, with everything that was told.
func run(t *testing.T, task *Task, list ...phases.Phase[Task]) (map[string]phases.Kind, string, error) {
	t.Helper()
	ends := map[string]phases.Kind{}
	var told strings.Builder
	err := phases.Run(t.Context(), list, task, phases.Options{Notify: func(e phases.Event) {
		fmt.Fprintf(&told, "%+v\n", e)
		if !e.Group {
			ends[e.Phase] = e.Kind
		}
	}})
	return ends, told.String(), err
}

func get[T any, P interface {
	*T
	kube.Object
}](t *testing.T, task *Task, namespace, name string) P {
	t.Helper()
	obj := P(new(T))
	obj.SetNamespace(namespace)
	obj.SetName(name)
	if err := task.API.Get(t.Context(), obj); err != nil {
		t.Fatal(err)
	}
	return obj
}

func TestConfig(t *testing.T) {
	task := newTask(t)
	ends, _, err := run(t, task, ConfigPhase())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]phases.Kind{"upload-config/kubeadm": phases.Finished, "upload-config/kubelet": phases.Finished, "upload-config/hactl": phases.Skipped}, ends); diff != "" {
		t.Errorf("first run (-want +got):\n%s", diff)
	}
	cluster := get[corev1.ConfigMap](t, task, "kube-system", "kubeadm-config")
	if text := cluster.Data["ClusterConfiguration"]; !strings.Contains(text, "kind: ClusterConfiguration") {
		t.Errorf("kubeadm-config holds %q", text)
	}
	kubelet := get[corev1.ConfigMap](t, task, "kube-system", "kubelet-config")
	if text := kubelet.Data["kubelet"]; !strings.Contains(text, "kind: KubeletConfiguration") {
		t.Errorf("kubelet-config holds %q", text)
	}
	if !templates.Signed(kubelet) {
		t.Error("the generated kubelet-config is not marked as such")
	}
	for name, groups := range map[string][]string{
		"kubeadm:nodes-kubeadm-config": {config.NodeGroup, "system:nodes"},
		"kubeadm:kubelet-config":       {"system:nodes", config.NodeGroup},
	} {
		get[rbacv1.Role](t, task, "kube-system", name)
		var got []string
		for _, s := range get[rbacv1.RoleBinding](t, task, "kube-system", name).Subjects {
			got = append(got, s.Name)
		}
		if diff := cmp.Diff(groups, got); diff != "" {
			t.Errorf("RoleBinding %s (-want +got):\n%s", name, diff)
		}
	}
	binding := get[rbacv1.ClusterRoleBinding](t, task, "", "kubeadm:cluster-admins")
	if binding.RoleRef.Name != "cluster-admin" {
		t.Errorf("kubeadm:cluster-admins gives %s", binding.RoleRef.Name)
	}

	ends, _, err = run(t, task, ConfigPhase())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]phases.Kind{"upload-config/kubeadm": phases.Unchanged, "upload-config/kubelet": phases.Unchanged, "upload-config/hactl": phases.Skipped}, ends); diff != "" {
		t.Errorf("second run (-want +got):\n%s", diff)
	}
}

func TestConfigChanged(t *testing.T) {
	task := newTask(t)
	if _, _, err := run(t, task, ConfigPhase()); err != nil {
		t.Fatal(err)
	}
	task.Cluster.Version = "v1.37.9"
	ends, _, err := run(t, task, ConfigPhase())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]phases.Kind{"upload-config/kubeadm": phases.Finished, "upload-config/kubelet": phases.Unchanged, "upload-config/hactl": phases.Skipped}, ends); diff != "" {
		t.Errorf("after a change of the version (-want +got):\n%s", diff)
	}
}

func TestGivenKubeletConfigIsNotSigned(t *testing.T) {
	task := newTask(t)
	task.Cluster.KubeletGiven = true
	if _, _, err := run(t, task, ConfigPhase()); err != nil {
		t.Fatal(err)
	}
	if a := get[corev1.ConfigMap](t, task, "kube-system", "kubelet-config").Annotations; len(a) > 0 {
		t.Errorf("kubelet-config has annotations %v", a)
	}
}

func TestEnsureAdmins(t *testing.T) {
	task := newTask(t)
	for range 2 {
		if err := EnsureAdmins(t.Context(), task.API, task.Limit); err != nil {
			t.Fatal(err)
		}
	}
	get[rbacv1.ClusterRoleBinding](t, task, "", "kubeadm:cluster-admins")
}

func TestCerts(t *testing.T) {
	task := newTask(t)
	_, told, err := run(t, task, CertsPhase())
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(told, task.Key.Reveal()) {
		t.Error("the key stands in an event")
	}
	key, err := certs.ParseCertificateKey(task.Key.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	if want := clock.Add(2 * time.Hour); !task.Expires.Equal(want) {
		t.Errorf("expires %s, want %s", task.Expires, want)
	}
	live := get[corev1.Secret](t, task, "kube-system", "kubeadm-certs")
	got := map[string]string{}
	for name, sealed := range live.Data {
		plain, err := certs.Open(key, sealed)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		got[name] = string(plain)
	}
	want := map[string]string{}
	for _, name := range []string{"ca.crt", "ca.key", "front-proxy-ca.crt", "front-proxy-ca.key", "sa.pub", "sa.key", "etcd-ca.crt", "etcd-ca.key"} {
		want[name] = "content of " + name
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("kubeadm-certs (-want +got):\n%s", diff)
	}
	wantNotes := map[string]string{"hactl.io/key-fingerprint": certs.Fingerprint(key), "hactl.io/expires": "2026-11-21T14:00:00Z"}
	if diff := cmp.Diff(wantNotes, live.Annotations); diff != "" {
		t.Errorf("annotations (-want +got):\n%s", diff)
	}
	checkOwner(t, task, live)
	get[rbacv1.Role](t, task, "kube-system", "kubeadm:kubeadm-certs")
	if s := get[rbacv1.RoleBinding](t, task, "kube-system", "kubeadm:kubeadm-certs").Subjects; len(s) != 1 || s[0].Name != config.NodeGroup {
		t.Errorf("kubeadm:kubeadm-certs is bound to %v", s)
	}
}

func checkOwner(t *testing.T, task *Task, live *corev1.Secret) {
	t.Helper()
	ref := metav1.GetControllerOf(live)
	if ref == nil {
		t.Fatal("kubeadm-certs has no controller")
	}
	owner := get[corev1.Secret](t, task, "kube-system", ref.Name)
	if owner.UID != ref.UID || owner.Type != "bootstrap.kubernetes.io/token" {
		t.Errorf("owner has UID %s and type %s, the reference %s", owner.UID, owner.Type, ref.UID)
	}
	got := map[string]string{}
	for k, v := range owner.Data {
		got[k] = string(v)
	}
	for _, k := range []string{"token-id", "token-secret"} {
		if got[k] == "" {
			t.Errorf("owner has no %s", k)
		}
		delete(got, k)
	}
	want := map[string]string{
		"description": "Proxy for managing TTL for the kubeadm-certs secret",
		"expiration":  "2026-11-21T14:00:00Z",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("owner (-want +got):\n%s", diff)
	}
}

func TestCertsAgain(t *testing.T) {
	for _, tc := range []struct {
		name, reason string
		change       func(*testing.T, *Task)
		want         phases.Kind
	}{
		{"Same", "the same key opens the same files", func(*testing.T, *Task) {}, phases.Unchanged},
		{"NoKey", "the key of the first run is not known any more", func(_ *testing.T, task *Task) { task.Key = "" }, phases.Finished},
		{"OtherKey", "the user gives another key", func(_ *testing.T, task *Task) { task.Key = config.Secret(certs.NewCertificateKey()) }, phases.Finished},
		{"OtherFile", "a certificate was renewed", func(t *testing.T, task *Task) { write(t, task, "/etc/kubernetes/pki/ca.crt", "new") }, phases.Finished},
		{"Old", "less than an hour is left", func(_ *testing.T, task *Task) {
			task.Now = func() time.Time { return clock.Add(61 * time.Minute) }
		}, phases.Finished},
		{"Young", "more than an hour is left", func(_ *testing.T, task *Task) {
			task.Now = func() time.Time { return clock.Add(59 * time.Minute) }
		}, phases.Unchanged},
		{"OwnerGone", "nothing would ever remove the certificates", func(t *testing.T, task *Task) {
			ref := metav1.GetControllerOf(get[corev1.Secret](t, task, "kube-system", "kubeadm-certs"))
			if err := task.API.Delete(t.Context(), secret(ref.Name)); err != nil {
				t.Fatal(err)
			}
		}, phases.Finished},
		{"AccessGone", "nobody could read the Secret", func(t *testing.T, task *Task) {
			role := get[rbacv1.Role](t, task, "kube-system", "kubeadm:kubeadm-certs")
			if err := task.API.Delete(t.Context(), role); err != nil {
				t.Fatal(err)
			}
		}, phases.Finished},
	} {
		t.Run(tc.name, func(t *testing.T) {
			task := newTask(t)
			task.Key = testKey
			if _, _, err := run(t, task, CertsPhase()); err != nil {
				t.Fatal(err)
			}
			tc.change(t, task)
			ends, _, err := run(t, task, CertsPhase())
			if err != nil {
				t.Fatal(err)
			}
			if ends["upload-certs"] != tc.want {
				t.Errorf("%s: got %s, want %s", tc.reason, ends["upload-certs"], tc.want)
			}
			live := get[corev1.Secret](t, task, "kube-system", "kubeadm-certs")
			if len(live.OwnerReferences) != 1 {
				t.Errorf("%s: owners %v, want one", tc.reason, live.OwnerReferences)
			}
		})
	}
}

func TestCertsAfterKubeadm(t *testing.T) {
	task := newTask(t)
	old := secret("kubeadm-certs")
	old.Data = map[string][]byte{"external-etcd.key": []byte("sealed by kubeadm")}
	old.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "Secret", Name: "bootstrap-token-abcdef", UID: "1", Controller: new(true)}}
	if err := task.API.Put(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	if _, _, err := run(t, task, CertsPhase()); err != nil {
		t.Fatal(err)
	}
	live := get[corev1.Secret](t, task, "kube-system", "kubeadm-certs")
	if _, stale := live.Data["external-etcd.key"]; stale || len(live.OwnerReferences) != 1 {
		t.Errorf("something of the old Secret is left: keys %d, owners %v", len(live.Data), live.OwnerReferences)
	}
}

func TestCertsExternalEtcd(t *testing.T) {
	task := newTask(t)
	task.Key = testKey
	task.Cluster.Etcd = config.Etcd{External: &config.ExternalEtcd{CAFile: "/etc/etcd/ca.crt"}}
	write(t, task, "/etc/etcd/ca.crt", "etcd's CA")
	for _, want := range []phases.Kind{phases.Finished, phases.Unchanged} {
		ends, _, err := run(t, task, CertsPhase())
		if err != nil {
			t.Fatal(err)
		}
		if ends["upload-certs"] != want {
			t.Errorf("got %s, want %s", ends["upload-certs"], want)
		}
	}
	data := get[corev1.Secret](t, task, "kube-system", "kubeadm-certs").Data
	if len(data) != 9 || len(data["external-etcd-ca.crt"]) == 0 || len(data["external-etcd.key"]) != 0 {
		t.Errorf("%d entries; a path that is not given must be an empty one", len(data))
	}
}

func TestCertsSkipped(t *testing.T) {
	task := newTask(t)
	task.Upload = false
	ends, told, err := run(t, task, CertsPhase())
	if err != nil || ends["upload-certs"] != phases.Skipped || !strings.Contains(told, "--upload-certs") {
		t.Errorf("got %v, %v, %s; want skipped with the name of the flag", ends, err, told)
	}
}

func TestCertsRefused(t *testing.T) {
	for _, tc := range []struct {
		name, reason string
		change       func(context.Context, *Task) error
		code         phases.Code
	}{
		{"ExternalCA", "the key of the CA is elsewhere", remove("/etc/kubernetes/pki/ca.key"), phases.CodeUsage},
		{"ExternalFrontProxyCA", "and so for the front proxy", remove("/etc/kubernetes/pki/front-proxy-ca.key"), phases.CodeUsage},
		{"NoServiceAccountKey", "the certs phase has not run", remove("/etc/kubernetes/pki/sa.key"), phases.CodeFailed},
		{"NoExternalEtcdKey", "the user names a file that is not there", func(_ context.Context, task *Task) error {
			task.Cluster.Etcd = config.Etcd{External: &config.ExternalEtcd{KeyFile: "/etc/etcd/client.key"}}
			return nil
		}, phases.CodeFailed},
		{"BadKey", "the key has no digits", func(_ context.Context, task *Task) error {
			task.Key = "letmein"
			return nil
		}, phases.CodeUsage},
	} {
		t.Run(tc.name, func(t *testing.T) {
			task := newTask(t)
			if err := tc.change(t.Context(), task); err != nil {
				t.Fatal(err)
			}
			_, told, err := run(t, task, CertsPhase())
			var fault *phases.Fault
			if !errors.As(err, &fault) || len(fault.Fix()) == 0 {
				t.Fatalf("%s: got %v, want a *phases.Fault with a fix", tc.reason, err)
			}
			if fault.Code() != tc.code {
				t.Errorf("%s: code %d, want %d", tc.reason, fault.Code(), tc.code)
			}
			if strings.Contains(told, "letmein") {
				t.Errorf("the key stands in an event: %s", told)
			}
		})
	}
}

func remove(path string) func(context.Context, *Task) error {
	return func(ctx context.Context, task *Task) error { return task.Host.Remove(ctx, path) }
}
