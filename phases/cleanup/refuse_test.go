package cleanup

import (
	"errors"
	"io/fs"
	"strings"
	"testing"

	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/cri"
	"github.com/hactl/hactl/phases/host"
)

func TestRefusals(t *testing.T) {
	cases := map[string]struct {
		reason string
		node   func(*node)
		code   phases.Code
		// forced says how a run with force ends: the warnings are counted.
		warnings int
		stays    []string // what must be there after the refusal
	}{
		"MemberStays": {
			reason: "data under a member that etcd counts", code: phases.CodeUnsafe,
			node:  func(n *node) { n.stacked().gone = false },
			stays: []string{"/var/lib/etcd/member/wal/0.wal", "/etc/kubernetes/manifests/etcd.yaml", "/etc/kubernetes/pki/ca.key", "pod s-etcd", "kubelet"},
		},
		"NoAnswer": {
			reason: "containers may run on under their directories", code: phases.CodeFailed, warnings: 1,
			node: func(n *node) {
				n.stacked().runtime.Break(&cri.SocketError{Socket: "unix:///x.sock", Reason: cri.ErrRefused})
			},
			stays: []string{"/var/lib/etcd/member/wal/0.wal", "/etc/kubernetes/pki/ca.key", "/var/lib/kubelet/hactl.yaml"},
		},
		"PodRuns": {
			reason: "a pod that cannot be stopped", code: phases.CodeFailed, warnings: 1,
			node: func(n *node) {
				n.stacked().resists = "s1"
			},
			stays: []string{"/var/lib/etcd/member/wal/0.wal", "/etc/kubernetes/pki/ca.key", "pod s1"},
		},
		"BadManifest": {
			reason: "what it names is not known", code: phases.CodeFailed,
			node:  func(n *node) { n.stacked().files("/etc/kubernetes/manifests/etcd.yaml", "{") },
			stays: []string{"/var/lib/etcd/member/wal/0.wal", "/etc/kubernetes/pki/ca.key", "pod s1"},
		},
		"NoServiceManager": {
			reason: "the kubelet may go on", code: phases.CodeFailed, warnings: 1,
			node: func(n *node) {
				n.stacked().host.HandleService(unit, func(host.ServiceAction) error {
					return &host.ManagerError{Err: errors.New("no bus")}
				})
			},
			stays: []string{"/var/lib/etcd/member/wal/0.wal", "/etc/kubernetes/pki/ca.key", "pod s1"},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			n := newNode(t)
			c.node(n)
			_, err := run(t.Context(), n.task(n.host), Phase())
			var fault *phases.Fault
			if !errors.As(err, &fault) || fault.Code() != c.code || len(fault.Fix()) == 0 {
				t.Fatalf("%s: want a fault with code %d and fixes, got %v", c.reason, c.code, err)
			}
			if !strings.Contains(strings.Join(fault.Fix(), " "), "--force") {
				t.Errorf("%s: no fix names --force: %q", c.reason, fault.Fix())
			}
			runtime := n.runtime
			n.runtime = cri.NewMemory()
			if name != "NoAnswer" {
				n.runtime = runtime
			}
			all := n.snapshot()
			n.runtime = runtime
			for _, p := range c.stays {
				if _, ok := all[p]; !ok {
					t.Errorf("%s: %s is gone", c.reason, p)
				}
			}
			task := n.task(n.host)
			task.Force = true
			warnings, err := run(t.Context(), task, Phase())
			if err != nil || len(warnings) != c.warnings {
				t.Errorf("with force: %v, warnings %q, want %d", err, warnings, c.warnings)
			}
			if _, err := n.host.Stat(t.Context(), "/etc/kubernetes/admin.conf"); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("with force: admin.conf is still there: %v", err)
			}
		})
	}
}

// A network plugin that fails leaves a pod that is stopped: that is told, and
// is no reason to stay half reset.
func TestNetworkPluginFails(t *testing.T) {
	n := newNode(t).stacked()
	n.runtime.OnSandbox(func(_ cri.SandboxAction, s cri.Sandbox) error {
		if s.ID == "s1" {
			return errors.New("plugin type=\"net\" failed: no API server")
		}
		return nil
	})
	warnings, err := run(t.Context(), n.task(n.host), Phase())
	if err != nil || len(warnings) != 1 || !strings.Contains(warnings[0], "default/web") {
		t.Errorf("want a warning that names the pod, got %q, %v", warnings, err)
	}
	left, err := n.runtime.Sandboxes(t.Context())
	if err != nil || len(left) != 1 || left[0].Ready {
		t.Errorf("want one stopped pod left, got %+v, %v", left, err)
	}
}
