package token

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases/kube"
)

// TestSignature: the vector is that of k8s.io/cluster-bootstrap v0.37,
// token/jws/jws_test.go. A difference would make the controller-manager sign
// again.
func TestSignature(t *testing.T) {
	const want = "eyJhbGciOiJIUzI1NiIsImtpZCI6Impvc2h1YSJ9..VShe2taLd-YTrmWuRkcL_8QTNDHYxQIEBsAYYiIj1_8"
	if got := signature("Hello from the other side. I must have called a thousand times.", "joshua", "my voice is my passcode"); got != want {
		t.Errorf("the signature is %s, want %s", got, want)
	}
}

func TestSignLive(t *testing.T) {
	cases := map[string]struct {
		reason string
		data   map[string]string // of cluster-info; nil: there is none
		usage  string
		want   int // keys
	}{
		"Signs":     {"what a node reads is signed at once", map[string]string{infoKey: "conf", "jws-kubeconfig-others": "x"}, "signing", 3},
		"OtherUse":  {"a token that signs nothing", map[string]string{infoKey: "conf"}, "authentication", 1},
		"NoContent": {"nothing to sign", map[string]string{"other": "x"}, "signing", 1},
		"None":      {"the cluster has no cluster-info", nil, "signing", 0},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			api := kube.NewMemory()
			cm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "kube-public", Name: infoConfigMap}, Data: c.data}
			if c.data != nil {
				if err := api.Set(cm); err != nil {
					t.Fatal(err)
				}
			}
			tokens := []config.Token{{Value: "abcdef.0123456789abcdef", Usages: []string{c.usage}}}
			if err := signLive(t.Context(), api, signLimit, tokens); err != nil {
				t.Fatal(err)
			}
			live := &corev1.ConfigMap{ObjectMeta: cm.ObjectMeta}
			_ = api.Get(t.Context(), live) // absent in one case
			if len(live.Data) != c.want {
				t.Errorf("%s: cluster-info has %v, want %d keys", c.reason, live.Data, c.want)
			}
		})
	}
}
