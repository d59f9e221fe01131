package app

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases/cri"
	"github.com/hactl/hactl/phases/host"
)

// TestForgetPods ends this node's etcd with what needs it, and nothing else.
// Where there is no etcd, the kubelet goes on.
func TestForgetPods(t *testing.T) {
	cases := map[string]struct {
		reason  string
		pods    []string
		left    []string
		kubelet []host.ServiceAction
	}{
		"Runs":    {"two tries have left a pod each", []string{"etcd-cp-3", "etcd-cp-3", "kube-apiserver-cp-3", "kube-scheduler-cp-3", "etcd-cp-30", "kube-proxy-cp-3"}, []string{"etcd-cp-30", "kube-proxy-cp-3"}, []host.ServiceAction{host.StopService, host.StartService}},
		"NoEtcd":  {"a first run", []string{"kube-apiserver-cp-3"}, []string{"kube-apiserver-cp-3"}, nil},
		"Nothing": {"the kubelet has just started", nil, nil, nil},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			machines, runtime := host.NewMemory(), cri.NewMemory()
			machines.SetService(config.KubeletUnit, host.ServiceStatus{Exists: true, Active: true})
			for i, pod := range c.pods {
				runtime.SetSandbox(cri.Sandbox{ID: string(rune('a' + i)), Namespace: "kube-system", Pod: pod, Ready: true})
			}
			var actions []host.ServiceAction
			machines.HandleService(config.KubeletUnit, func(a host.ServiceAction) error {
				actions = append(actions, a)
				return nil
			})
			j := &joiner{machine: &machine{ports: ports{host: machines}, runtime: runtime}, settled: &config.Init{Node: config.Node{Name: "cp-3"}}}
			if err := j.forgetPods(t.Context()); err != nil {
				t.Fatalf("%s: %v", c.reason, err)
			}
			sandboxes, err := runtime.Sandboxes(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			var left []string
			for _, s := range sandboxes {
				left = append(left, s.Pod)
			}
			slices.Sort(left)
			if diff := cmp.Diff(c.left, left); diff != "" {
				t.Errorf("%s: pods: -want +got\n%s", c.reason, diff)
			}
			if diff := cmp.Diff(c.kubelet, actions); diff != "" {
				t.Errorf("%s: the kubelet: -want +got\n%s", c.reason, diff)
			}
		})
	}
}
