package app

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hactl/hactl/phases/kube"
	"github.com/hactl/hactl/phases/preflight"
)

// TestPeers leaves out this node, a pod that tells no address, and the pod
// of a node that was removed a moment ago.
func TestPeers(t *testing.T) {
	api := kube.NewMemory()
	set := func(o kube.Object) {
		t.Helper()
		if err := api.Set(o); err != nil {
			t.Fatal(err)
		}
	}
	server := func(node, at string) {
		set(&corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: "kube-system", Name: "kube-apiserver-" + node,
				Labels:      map[string]string{"component": "kube-apiserver", "tier": "control-plane"},
				Annotations: map[string]string{apiServerAddress: at},
			},
			Spec: corev1.PodSpec{NodeName: node},
		})
	}
	for _, name := range []string{"cp-1", "cp-2", "cp-3", "cp-4"} {
		set(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}})
	}
	server("cp-1", "10.0.0.11:6443")
	server("cp-2", "10.0.0.12:6444")
	server("cp-3", "")
	server("cp-4", "10.0.0.14:6443")
	server("removed", "10.0.0.15:6443")
	got, err := peers(t.Context(), api, "cp-4", true)
	if err != nil {
		t.Fatal(err)
	}
	want := []preflight.Peer{
		{Name: "cp-1", Address: netip.MustParseAddr("10.0.0.11"), APIPort: 6443, Etcd: true},
		{Name: "cp-2", Address: netip.MustParseAddr("10.0.0.12"), APIPort: 6444, Etcd: true},
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}
