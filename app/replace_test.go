package app

import (
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases/cri"
	"github.com/hactl/hactl/phases/host"
	"github.com/hactl/hactl/phases/kube"
)

// podsLeft are the pods that the runtime knows.
func podsLeft(t *testing.T, runtime *cri.Memory) []string {
	t.Helper()
	sandboxes, err := runtime.Sandboxes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var left []string
	for _, s := range sandboxes {
		left = append(left, s.Pod)
	}
	slices.Sort(left)
	return left
}

// TestReplace: a manifest is written over another one. The earlier pod goes
// first where the kubelet would not end it.
func TestReplace(t *testing.T) {
	const stop, start, write = host.StopService, host.StartService, host.ServiceAction("write")
	cases := map[string]struct {
		reason                 string
		serves, kubelet, alone bool
		mute                   error // what the runtime answers
		ends                   bool  // the earlier pod
		steps                  []host.ServiceAction
		fails                  bool
	}{
		"Serves":    {reason: "the kubelet hears of it", serves: true, kubelet: true, steps: []host.ServiceAction{write}},
		"Run":       {reason: "the phase of the kubelet starts it", kubelet: true, ends: true, steps: []host.ServiceAction{stop, write}},
		"Alone":     {reason: "no other phase would start it", kubelet: true, alone: true, ends: true, steps: []host.ServiceAction{stop, write, start}},
		"NoKubelet": {reason: "an earlier run was ended here", alone: true, ends: true, steps: []host.ServiceAction{write}},
		"NoRuntime": {reason: "a machine that is being prepared", mute: errors.New("no socket"), steps: []host.ServiceAction{write}},
		"Mute":      {reason: "the earlier pod may run", kubelet: true, mute: errors.New("no answer"), steps: []host.ServiceAction{stop}, fails: true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			machines, runtime, api := host.NewMemory(), cri.NewMemory(), kube.NewMemory()
			machines.SetService(config.KubeletUnit, host.ServiceStatus{Exists: true, Active: c.kubelet})
			var steps []host.ServiceAction
			machines.HandleService(config.KubeletUnit, func(a host.ServiceAction) error {
				steps = append(steps, a)
				return nil
			})
			for _, pod := range []string{"kube-apiserver-cp-3", "kube-apiserver-cp-30", "kube-scheduler-cp-3"} {
				runtime.SetSandbox(cri.Sandbox{ID: pod, Namespace: "kube-system", Pod: pod, Ready: true})
			}
			runtime.Break(c.mute)
			api.HandleRaw("/readyz", func() ([]byte, error) {
				if !c.serves {
					return nil, errors.New("connection refused")
				}
				return []byte("ok"), nil
			})
			m := &machine{ports: ports{host: machines}, runtime: runtime}
			err := m.replacer(api, "cp-3", c.alone)(t.Context(), "kube-apiserver", func() error {
				steps = append(steps, write)
				return nil
			})
			if (err != nil) != c.fails {
				t.Errorf("%s: error %v", c.reason, err)
			}
			if diff := cmp.Diff(c.steps, steps); diff != "" {
				t.Errorf("%s: -want +got\n%s", c.reason, diff)
			}
			runtime.Break(nil)
			if ended := !slices.Contains(podsLeft(t, runtime), "kube-apiserver-cp-3"); ended != c.ends {
				t.Errorf("%s: the earlier pod ended: %v", c.reason, ended)
			}
			if left := podsLeft(t, runtime); !slices.Contains(left, "kube-apiserver-cp-30") || !slices.Contains(left, "kube-scheduler-cp-3") {
				t.Errorf("%s: other pods went: %v are left", c.reason, left)
			}
		})
	}
}

// TestForgetPods ends this node's etcd with what needs it, and nothing else.
// Where there is no etcd, the kubelet goes on.
func TestForgetPods(t *testing.T) {
	cases := map[string]struct {
		reason  string
		seen    bool
		pods    []string
		left    []string
		kubelet []host.ServiceAction
	}{
		"Coming":  {"the kubelet has seen a manifest, the runtime no pod", true, []string{"kube-apiserver-cp-3"}, nil, []host.ServiceAction{host.StopService, host.StartService}},
		"Runs":    {"two tries have left a pod each", false, []string{"etcd-cp-3", "etcd-cp-3", "kube-apiserver-cp-3", "kube-scheduler-cp-3", "etcd-cp-30", "kube-proxy-cp-3"}, []string{"etcd-cp-30", "kube-proxy-cp-3"}, []host.ServiceAction{host.StopService, host.StartService}},
		"NoEtcd":  {"a first run", false, []string{"kube-apiserver-cp-3"}, []string{"kube-apiserver-cp-3"}, nil},
		"Nothing": {"the kubelet has just started", false, nil, nil, nil},
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
			if err := j.forgetPods(t.Context(), c.seen); err != nil {
				t.Fatalf("%s: %v", c.reason, err)
			}
			if diff := cmp.Diff(c.left, podsLeft(t, runtime)); diff != "" {
				t.Errorf("%s: pods: -want +got\n%s", c.reason, diff)
			}
			if diff := cmp.Diff(c.kubelet, actions); diff != "" {
				t.Errorf("%s: the kubelet: -want +got\n%s", c.reason, diff)
			}
		})
	}
}
