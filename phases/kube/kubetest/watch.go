package kubetest

import (
	"context"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/hactl/hactl/phases/kube"
)

// patience is how long a watch may take to tell of a change.
const patience = 10 * time.Second

func woken(t *testing.T, changes <-chan struct{}, by string) {
	t.Helper()
	select {
	case <-changes:
	case <-time.After(patience):
		t.Fatalf("%s was not told", by)
	}
}

func watch(t *testing.T, api kube.API) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	changes, err := api.Watch(ctx, configMap("a", nil))
	must(t, err)
	must(t, api.Put(t.Context(), configMap("a", map[string]string{"x": "1"})))
	woken(t, changes, "the making")
	foreign(t, api, func(cm *corev1.ConfigMap) { cm.Data["x"] = "2" })
	woken(t, changes, "the change")
	must(t, api.Delete(t.Context(), configMap("a", nil)))
	woken(t, changes, "the end")
	cancel()
	deadline := time.After(patience)
	for {
		select {
		case _, open := <-changes:
			if !open {
				return
			}
		case <-deadline:
			t.Fatal("the channel is still open after the end of ctx")
		}
	}
}

func watchKind(t *testing.T, api kube.API) {
	changes, err := api.Watch(t.Context(), &corev1.ConfigMap{})
	must(t, err)
	must(t, api.Put(t.Context(), configMap("b", nil)))
	woken(t, changes, "the making")
}
