//go:build e2e

package e2e

import (
	"strings"
	"testing"

	"github.com/hactl/hactl/e2e/nodes"
)

// TestRootless: with feature gate RootlessControlPlane, a control plane comes
// up and another one joins it, and none of their processes are root's.
func TestRootless(t *testing.T) {
	lab := start(t, nodes.Options{Name: "rootless", ControlPlanes: 2, LoadBalancers: 1})
	first := lab.Node("cp-1")
	result := firstInit(t, first, []string{
		"init", "--control-plane-endpoint", lab.Endpoint(), "--upload-certs", "--feature-gates", "RootlessControlPlane=true",
	})
	runsRootless(t, first)
	second := lab.Node("cp-2")
	join := strings.Fields(strings.ReplaceAll(result.Join.ControlPlaneCommand, "\\\n", " "))
	if o := run(t, second, join...); o.code != 0 {
		t.Fatalf("exit code %d\n%s%s", o.code, o.stdout, o.stderr)
	}
	runsRootless(t, second)
}

// runsRootless looks whose the processes of the control plane are.
func runsRootless(t *testing.T, n *nodes.Node) {
	t.Helper()
	for program, user := range map[string]string{
		"etcd": "kubeadm-etcd", "kube-apiserver": "kubeadm-kas", "kube-controller-manager": "kubeadm-kcm", "kube-scheduler": "kubeadm-ks",
	} {
		const script = `stat -c %U /proc/$(pgrep -o -f "^$0 ")`
		if got := strings.TrimSpace(must(t, n, "sh", "-c", script, program)); got != user {
			t.Errorf("%s runs as %q, want %s", program, got, user)
		}
	}
}
