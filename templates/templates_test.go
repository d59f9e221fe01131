package templates

import (
	"bytes"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/hactl/hactl/config/goldentest"
)

// golden compares objects with testdata/name.
func golden(t *testing.T, name string, objects ...any) {
	t.Helper()
	var got bytes.Buffer
	for _, o := range objects {
		data, err := yaml.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		got.WriteString("---\n")
		got.Write(data)
	}
	goldentest.Check(t, name, got.Bytes())
}

func TestCoreDNS(t *testing.T) {
	for _, tc := range []struct {
		reason string
		golden string
		give   CoreDNS
	}{
		{
			"a cluster with default names", "coredns.yaml",
			CoreDNS{Image: "registry.k8s.io/coredns/coredns:v1.14.6", Replicas: 2, DNSDomain: "cluster.local", Address: netip.MustParseAddr("10.96.0.10")},
		},
		{
			"IPv6, another domain and another registry", "coredns-ipv6.yaml",
			CoreDNS{Image: "[fd00::5]:5000/coredns:v1", Replicas: 3, DNSDomain: "example.org", Address: netip.MustParseAddr("fd00::a")},
		},
	} {
		t.Run(tc.golden, func(t *testing.T) {
			o, err := tc.give.Render()
			if err != nil {
				t.Fatalf("%s: %v", tc.reason, err)
			}
			golden(t, tc.golden, o.ServiceAccount, o.ClusterRole, o.ClusterRoleBinding, o.ConfigMap, o.Deployment, o.Service)
		})
	}
}

func TestKubeProxy(t *testing.T) {
	for _, tc := range []struct {
		reason string
		golden string
		give   KubeProxy
	}{
		{
			"a generated configuration is marked as such", "kubeproxy.yaml",
			KubeProxy{
				Image: "registry.k8s.io/kube-proxy:v1.37.1", Generated: true,
				Config: "mode: iptables\nbindAddress: 0.0.0.0\n", Server: "https://api.example.org:6443",
			},
		},
		{
			"a user's configuration and proxy variables", "kubeproxy-given.yaml",
			KubeProxy{
				Image: "registry.k8s.io/kube-proxy:v1.37.1", Config: "mode: \"nftables\" # ours\n", Server: "https://[fd00::1]:6443",
				Env: []corev1.EnvVar{{Name: "NO_PROXY", Value: "10.0.0.0/8"}},
			},
		},
	} {
		t.Run(tc.golden, func(t *testing.T) {
			o, err := tc.give.Render()
			if err != nil {
				t.Fatalf("%s: %v", tc.reason, err)
			}
			golden(t, tc.golden, o.ServiceAccount, o.ClusterRoleBinding, o.Role, o.RoleBinding, o.ConfigMap, o.DaemonSet)
		})
	}
}

func TestSign(t *testing.T) {
	cm := &corev1.ConfigMap{
		Data:       map[string]string{"b": "2", "a": "1"},
		BinaryData: map[string][]byte{"c": []byte("3")},
	}
	if Signed(cm) {
		t.Error("a ConfigMap without annotation counts as signed")
	}
	Sign(cm)
	// printf 123 | sha256sum
	want := map[string]string{HashAnnotation: "sha256:a665a45920422f9d417e4867efdc4fb8a04a1f3fff1fa07e998e86f7f7a27ae3"}
	if diff := cmp.Diff(want, cm.Annotations); diff != "" {
		t.Errorf("annotations (-want +got):\n%s", diff)
	}
	if !Signed(cm) {
		t.Error("a signed ConfigMap does not count as such")
	}
	cm.Data["a"] = "0"
	if Signed(cm) {
		t.Error("a changed ConfigMap still counts as signed")
	}
}
