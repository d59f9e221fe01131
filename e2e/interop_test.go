//go:build e2e

package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/hactl/hactl/e2e/nodes"
)

// TestInterop mixes nodes of hactl and of kubeadm in one cluster, whichever
// of the two has made it.
func TestInterop(t *testing.T) {
	lab := start(t, nodes.Options{Name: "interop", ControlPlanes: 3, Workers: 1, LoadBalancers: 1})
	t.Run("ClusterOfKubeadm", func(t *testing.T) { clusterOfKubeadm(t, lab) })
	for _, n := range lab.Nodes() {
		if n.Role() != nodes.LoadBalancer {
			wipe(t, lab, n)
		}
	}
	t.Run("ClusterOfHactl", func(t *testing.T) { clusterOfHactl(t, lab) })
}

// runKubeadm runs kubeadm on a node.
func runKubeadm(t *testing.T, lab *nodes.Lab, n *nodes.Node, args ...string) string {
	t.Helper()
	if checks := lab.IgnoredChecks(); checks != "" {
		args = append(args, "--ignore-preflight-errors="+checks)
	}
	began := time.Now()
	out := must(t, n, append([]string{"kubeadm"}, args...)...)
	t.Logf("kubeadm %s of %s took %.1f s", args[0], n.Name(), time.Since(began).Seconds())
	return out
}

// clusterOfKubeadm has nodes that hactl joins with kubeadm's own commands,
// with the name changed.
func clusterOfKubeadm(t *testing.T, lab *nodes.Lab) {
	cp := lab.Node("cp-1")
	said := runKubeadm(t, lab, cp, "init", "--control-plane-endpoint", lab.Endpoint(), "--upload-certs",
		"--pod-network-cidr", podCIDR, "--kubernetes-version", lab.Versions().Kubernetes)
	r := printed(t, said)
	for _, name := range []string{"cp-2", "worker-1", "cp-3"} {
		t.Logf("hactl join of %s took %.1f s", name, mustJoin(t, lab.Node(name), r).took.Seconds())
	}
	network(t, lab)
	healthyMembers(t, cp, "cp-1", "cp-2", "cp-3")
	// hactl reads what kubeadm has stored, and kubeadm what hactl has joined.
	healthyStatus(t, lab.Node("cp-2"))
	must(t, lab.Node("cp-2"), "kubeadm", "certs", "check-expiration")
	t.Run("KubeadmResets", func(t *testing.T) { kubeadmResets(t, lab, lab.Node("cp-3"), "cp-1", "cp-2") })
}

// printed finds the join commands in what kubeadm init prints.
func printed(t *testing.T, said string) (r initResult) {
	t.Helper()
	for line := range strings.Lines(strings.ReplaceAll(said, "\\\n", " ")) {
		rest, ok := strings.CutPrefix(strings.TrimSpace(line), "kubeadm join ")
		switch {
		case !ok:
		case strings.Contains(rest, "--control-plane"):
			r.Join.ControlPlaneCommand = "hactl join " + rest
		default:
			r.Join.WorkerCommand = "hactl join " + rest
		}
	}
	if r.Join.ControlPlaneCommand == "" || r.Join.WorkerCommand == "" {
		t.Fatalf("no join commands in\n%s", said)
	}
	return r
}

// clusterOfHactl has a control plane that kubeadm joins after one of hactl's.
func clusterOfHactl(t *testing.T, lab *nodes.Lab) {
	cp := lab.Node("cp-1")
	r := initialized(t, lab)
	mustJoin(t, lab.Node("cp-2"), r)
	command := strings.Fields(strings.TrimPrefix(r.Join.ControlPlaneCommand, "hactl "))
	runKubeadm(t, lab, lab.Node("cp-3"), command...)
	network(t, lab)
	healthyMembers(t, cp, "cp-1", "cp-2", "cp-3")
	healthyStatus(t, cp)
	t.Run("HactlResets", func(t *testing.T) { hactlResets(t, lab.Node("cp-3"), cp, "cp-1", "cp-2") })
	t.Run("KubeadmResets", func(t *testing.T) { kubeadmResets(t, lab, lab.Node("cp-2"), "cp-1") })
}

// hactlResets resets a node that kubeadm has joined.
func hactlResets(t *testing.T, n, cp *nodes.Node, left ...string) {
	o := hactl(t, n, "reset", "--force")
	if o.code != 0 {
		t.Fatalf("exit code %d\n%s%s", o.code, o.stdout, o.stderr)
	}
	t.Logf("hactl reset of %s took %.1f s", n.Name(), o.took.Seconds())
	isClean(t, n)
	healthyMembers(t, cp, left...)
}

// kubeadmResets resets a node that hactl has joined.
func kubeadmResets(t *testing.T, lab *nodes.Lab, n *nodes.Node, left ...string) {
	runKubeadm(t, lab, n, "reset", "--force")
	if files := must(t, n, "find", "/etc/kubernetes/manifests", "/etc/kubernetes/pki", "-type", "f"); files != "" {
		t.Errorf("left on %s: %s", n.Name(), files)
	}
	healthyMembers(t, lab.Node("cp-1"), left...)
}
