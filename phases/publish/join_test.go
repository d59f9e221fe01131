package publish

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/kube"
)

func TestFetchJoin(t *testing.T) {
	task := newTask(t)
	task.Cluster.Version = "v1.37.1"
	task.Cluster.Kubelet.MaxPods = 42
	task.Cluster.KubeletGiven = true
	if _, _, err := run(t, task, ConfigPhase()); err != nil {
		t.Fatal(err)
	}
	got, err := FetchJoin(t.Context(), task.API, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(task.Cluster.Kubelet, got.Kubelet); diff != "" || !got.KubeletGiven {
		t.Errorf("the kubelets' configuration, given %v: -want +got\n%s", got.KubeletGiven, diff)
	}
}

func TestFetchJoinRefused(t *testing.T) {
	const head = "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n"
	cases := map[string]struct {
		reason, content string
		fault           bool
	}{
		"Good":    {"it can be read", head + "maxPods: 3\n", false},
		"Unknown": {"this hactl does not know a field", head + "maxPodz: 3\n", true},
		"Other":   {"it is another kind", "apiVersion: v1\nkind: Node\n", true},
		"Empty":   {"the key is missing", "", true},
		"Garbage": {"it is no YAML", "{", true},
		"None":    {"the phase was skipped", "none", true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			task := newTask(t)
			task.Cluster.Version = "v1.37.1"
			if _, _, err := run(t, task, ConfigPhase()); err != nil {
				t.Fatal(err)
			}
			cm := configMap(kubeletConfigMap, kubeletKey, []byte(c.content))
			err := kube.Replace(t.Context(), task.API, time.Second, cm)
			if c.content == "none" {
				err = task.API.Delete(t.Context(), cm)
			}
			if err != nil {
				t.Fatal(err)
			}
			_, err = FetchJoin(t.Context(), task.API, time.Second)
			var fault *phases.Fault
			if errors.As(err, &fault) != c.fault {
				t.Errorf("%s: %v, want a fault: %v", c.reason, err, c.fault)
			}
		})
	}
}

// The token of a node may have ended between discovery and here.
func TestFetchJoinNotAllowed(t *testing.T) {
	gr := schema.GroupResource{Resource: "configmaps"}
	for name, err := range map[string]error{
		"Unauthorized": apierrors.NewUnauthorized("no"),
		"Forbidden":    apierrors.NewForbidden(gr, "kubeadm-config", errors.New("no")),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				api := kube.NewMemory()
				api.Intercept(func(kube.Verb, runtime.Object) error { return err })
				_, got := FetchJoin(t.Context(), api, 20*time.Second)
				var fault *phases.Fault
				if !errors.As(got, &fault) || !errors.Is(got, err) || len(fault.Fixes) == 0 {
					t.Errorf("%v, want a fault with fixes", got)
				}
			})
		})
	}
}
