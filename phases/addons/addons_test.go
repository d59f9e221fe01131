package addons

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/config/goldentest"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/kube"
	"github.com/hactl/hactl/templates"
)

func newTask() (*Task, *kube.Memory) {
	in := config.Init{}
	in.Cluster.Version = "v1.37.1"
	in.Cluster.ControlPlaneEndpoint = config.HostPort{Host: "lb.example.org"}
	in.Cluster.Networking.PodSubnets = []netip.Prefix{netip.MustParsePrefix("10.244.0.0/16")}
	in.Default()
	in.Resolve(config.Facts{Hostname: "n1", Address: netip.MustParseAddr("192.0.2.1")})
	api := kube.NewMemory()
	return &Task{API: api, Cluster: &in.Cluster, Endpoint: in.Endpoint(), Limit: time.Second}, api
}

type result struct {
	ends     map[string]phases.Kind
	warnings []string
}

func run(t *testing.T, task *Task) result {
	t.Helper()
	r := result{ends: map[string]phases.Kind{}}
	err := phases.Run(t.Context(), []phases.Phase[Task]{Phase()}, task, phases.Options{Notify: func(e phases.Event) {
		if e.Kind == phases.Warning {
			r.warnings = append(r.warnings, e.Reason)
		} else if !e.Group {
			r.ends[e.Phase] = e.Kind
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func ends(dns, proxy phases.Kind) map[string]phases.Kind {
	return map[string]phases.Kind{"addon/coredns": dns, "addon/kube-proxy": proxy}
}

func deployment(t *testing.T, api kube.API) *appsv1.Deployment {
	t.Helper()
	d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "coredns"}}
	if err := api.Get(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	return d
}

func configMap(t *testing.T, api kube.API, name string) *corev1.ConfigMap {
	t.Helper()
	cm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: name}}
	if err := api.Get(t.Context(), cm); err != nil {
		t.Fatal(err)
	}
	return cm
}

func TestAddons(t *testing.T) {
	task, api := newTask()
	if diff := cmp.Diff(ends(phases.Finished, phases.Finished), run(t, task).ends); diff != "" {
		t.Errorf("first run (-want +got):\n%s", diff)
	}
	if got := *deployment(t, api).Spec.Replicas; got != 2 {
		t.Errorf("%d replicas, want 2", got)
	}
	proxy := configMap(t, api, "kube-proxy")
	if !templates.Signed(proxy) || !strings.Contains(proxy.Data["kubeconfig.conf"], "https://lb.example.org:6443") {
		t.Errorf("ConfigMap kube-proxy is not signed, or has another endpoint: %v", proxy.Data)
	}
	again := run(t, task)
	if diff := cmp.Diff(ends(phases.Unchanged, phases.Unchanged), again.ends); diff != "" {
		t.Errorf("second run (-want +got):\n%s", diff)
	}
	if len(again.warnings) > 0 {
		t.Errorf("warnings %q", again.warnings)
	}
}

func TestDisabled(t *testing.T) {
	task, _ := newTask()
	task.Cluster.DNS.Disabled, task.Cluster.ProxyDisabled = true, true
	if diff := cmp.Diff(ends(phases.Skipped, phases.Skipped), run(t, task).ends); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAgain(t *testing.T) {
	for _, tc := range []struct {
		name, reason string
		change       func(*testing.T, *Task, *kube.Memory)
		want         map[string]phases.Kind
		warnings     int
		replicas     int32
		corefile     string // part of it
	}{
		{
			"Replicas", "the user has more nodes",
			func(t *testing.T, _ *Task, api *kube.Memory) {
				d := deployment(t, api)
				d.Spec.Replicas = new(int32(5))
				if err := api.Update(t.Context(), d); err != nil {
					t.Fatal(err)
				}
			},
			ends(phases.Unchanged, phases.Unchanged), 0, 5, "cluster.local",
		},
		{
			"ReplicasAndImage", "an upgrade keeps the number",
			func(t *testing.T, task *Task, api *kube.Memory) {
				d := deployment(t, api)
				d.Spec.Replicas = new(int32(5))
				if err := api.Update(t.Context(), d); err != nil {
					t.Fatal(err)
				}
				task.Cluster.DNS.ImageTag = "v2"
			},
			ends(phases.Finished, phases.Unchanged), 0, 5, "cluster.local",
		},
		{
			"Corefile", "the user forwards elsewhere",
			func(t *testing.T, _ *Task, api *kube.Memory) {
				cm := configMap(t, api, "coredns")
				cm.Data["Corefile"] = ".:53 { forward . 9.9.9.9 }"
				if err := api.Update(t.Context(), cm); err != nil {
					t.Fatal(err)
				}
			},
			ends(phases.Unchanged, phases.Unchanged), 1, 2, "9.9.9.9",
		},
		{
			"CorefileAndImage", "one warning is enough",
			func(t *testing.T, task *Task, api *kube.Memory) {
				cm := configMap(t, api, "coredns")
				cm.Data["Corefile"] = ".:53 { forward . 9.9.9.9 }"
				if err := api.Update(t.Context(), cm); err != nil {
					t.Fatal(err)
				}
				task.Cluster.DNS.ImageTag = "v2"
			},
			ends(phases.Finished, phases.Unchanged), 1, 2, "9.9.9.9",
		},
		{
			"ProxyVersion", "kube-proxy follows the cluster's version",
			func(_ *testing.T, task *Task, _ *kube.Memory) { task.Cluster.Version = "v1.37.2" },
			ends(phases.Unchanged, phases.Finished), 0, 2, "cluster.local",
		},
		{
			"Environment", "a proxy server is needed now",
			func(_ *testing.T, task *Task, _ *kube.Memory) {
				task.Environ = []string{"HTTPS_PROXY=http://proxy:3128", "HOME=/root"}
			},
			ends(phases.Unchanged, phases.Finished), 0, 2, "cluster.local",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			task, api := newTask()
			run(t, task)
			tc.change(t, task, api)
			got := run(t, task)
			if diff := cmp.Diff(tc.want, got.ends); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
			if len(got.warnings) != tc.warnings {
				t.Errorf("%s: warnings %q, want %d", tc.reason, got.warnings, tc.warnings)
			}
			if n := *deployment(t, api).Spec.Replicas; n != tc.replicas {
				t.Errorf("%s: %d replicas, want %d", tc.reason, n, tc.replicas)
			}
			if text := configMap(t, api, "coredns").Data["Corefile"]; !strings.Contains(text, tc.corefile) {
				t.Errorf("%s: Corefile %q, want one with %q", tc.reason, text, tc.corefile)
			}
		})
	}
}

func TestPatch(t *testing.T) {
	task, api := newTask()
	task.Patch = func(_ context.Context, target string, manifest []byte) ([]byte, error) {
		if target != TargetCoreDNS {
			return manifest, nil
		}
		var d appsv1.Deployment
		if err := json.Unmarshal(manifest, &d); err != nil {
			return nil, err
		}
		d.Spec.Template.Spec.PriorityClassName = "patched"
		return json.Marshal(d)
	}
	run(t, task)
	if got := deployment(t, api).Spec.Template.Spec.PriorityClassName; got != "patched" {
		t.Errorf("priority class %q", got)
	}
	if diff := cmp.Diff(ends(phases.Unchanged, phases.Unchanged), run(t, task).ends); diff != "" {
		t.Errorf("second run (-want +got):\n%s", diff)
	}
	bad := errors.New("no such field")
	task.Patch = func(context.Context, string, []byte) ([]byte, error) { return nil, bad }
	if _, err := Manifests(t.Context(), task, KubeProxy); !errors.Is(err, bad) {
		t.Errorf("got %v, want the error of the patch", err)
	}
}

func TestManifests(t *testing.T) {
	task, _ := newTask()
	task.API = nil
	got, err := Manifests(t.Context(), task)
	if err != nil {
		t.Fatal(err)
	}
	goldentest.Check(t, "manifests.yaml", got)
	dns, err := Manifests(t.Context(), task, CoreDNS)
	if err != nil {
		t.Fatal(err)
	}
	proxy, err := Manifests(t.Context(), task, KubeProxy)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, append(dns, proxy...)) {
		t.Error("both addons are not one after the other")
	}
	for _, doc := range strings.Split(string(got), "---\n")[1:] {
		if _, err := kube.Decode([]byte(doc)); err != nil {
			t.Errorf("%v in:\n%s", err, doc)
		}
	}
}
