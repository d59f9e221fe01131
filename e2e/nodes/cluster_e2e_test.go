//go:build e2e && linux

package nodes

import (
	"strings"
	"testing"
	"time"

	"github.com/hactl/hactl/e2e/build"
)

const podCIDR = "10.244.0.0/16"

// workload is a Deployment and its Service.
const workload = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: echo}
spec:
  replicas: 3
  selector: {matchLabels: {app: echo}}
  template:
    metadata: {labels: {app: echo}}
    spec:
      tolerations: [{operator: Exists}]
      containers: [{name: echo, image: "` + build.EchoImage + `"}]
---
apiVersion: v1
kind: Service
metadata: {name: echo}
spec:
  selector: {app: echo}
  ports: [{port: 80, targetPort: 8080}]
`

// TestKubernetesRunsOnNodes shows, with kubeadm, that the lab's nodes carry a
// cluster: what fails in hactl's tests and not here is hactl's.
func TestKubernetesRunsOnNodes(t *testing.T) {
	lab := up(t, Options{Name: "e2e-cluster", ControlPlanes: 3, Workers: 1, LoadBalancers: 1})
	cp := lab.Node("cp-1")
	begin := time.Now()
	note := func(what string) { t.Logf("%5.1fs %s", time.Since(begin).Seconds(), what) }
	kubeadm := func(n *Node, argv ...string) string {
		t.Helper()
		if checks := lab.IgnoredChecks(); checks != "" {
			argv = append(argv, "--ignore-preflight-errors="+checks)
		}
		out := run(t, n, append([]string{"kubeadm"}, argv...)...)
		note(n.Name() + ": kubeadm " + argv[0])
		return out
	}

	said := kubeadm(cp, "init", "--control-plane-endpoint", lab.Endpoint(), "--upload-certs",
		"--pod-network-cidr", podCIDR, "--kubernetes-version", lab.Versions().Kubernetes)
	must(t, lab.PodNetwork(t.Context(), podCIDR))
	joinControlPlane, joinWorker := joinCommands(t, said)
	kubeadm(lab.Node("cp-2"), joinControlPlane...)
	kubeadm(lab.Node("cp-3"), joinControlPlane...)
	kubeadm(lab.Node("worker-1"), joinWorker...)
	run(t, cp, "kubectl", "wait", "nodes", "--all", "--for=condition=Ready", "--timeout=60s")
	note("nodes ready")
	must(t, cp.WriteFile(t.Context(), "/root/workload.yaml", []byte(workload), 0o644))
	run(t, cp, "kubectl", "apply", "-f", "/root/workload.yaml")
	for _, what := range []string{"-n=kube-system deployment/coredns", "-n=kube-system daemonset/kube-proxy", "deployment/echo"} {
		run(t, cp, append([]string{"kubectl", "rollout", "status", "--timeout=90s"}, strings.Fields(what)...)...)
		note(what + " rolled out")
	}
	t.Run("Service", func(t *testing.T) { testService(t, cp) })
	t.Run("LoadBalancer", func(t *testing.T) { testLoadBalancer(t, lab) })
}

// joinCommands finds the two in what kubeadm init prints.
func joinCommands(t *testing.T, said string) (controlPlane, worker []string) {
	t.Helper()
	said = strings.ReplaceAll(said, "\\\n", " ")
	for line := range strings.Lines(said) {
		fields := strings.Fields(line)
		if len(fields) < 2 || fields[0] != "kubeadm" || fields[1] != "join" {
			continue
		}
		if strings.Contains(line, "--control-plane") {
			controlPlane = fields[1:]
		} else {
			worker = fields[1:]
		}
	}
	if controlPlane == nil || worker == nil {
		t.Fatalf("no join commands in:\n%s", said)
	}
	return controlPlane, worker
}

// testService asks the workload by its name from one of its pods until each
// pod, on each node, has answered.
func testService(t *testing.T, cp *Node) {
	seen := make(map[string]bool)
	err := until(t.Context(), 30*time.Second, "answers of all pods", func() (bool, error) {
		result, err := cp.Run(t.Context(), "kubectl", "exec", "deploy/echo", "--", "/echo", "get", "http://echo.default.svc.cluster.local")
		if err == nil {
			seen[strings.TrimSpace(string(result.Stdout))] = true
		}
		return len(seen) == 3, nil
	})
	if err != nil {
		t.Errorf("%v; these pods answered: %v", err, seen)
	}
}

// testLoadBalancer cuts a control plane off and then takes its power away: the
// API stays, and the node comes back by itself.
func testLoadBalancer(t *testing.T, lab *Lab) {
	cp, other := lab.Node("cp-1"), lab.Node("cp-2")
	run(t, other, "kubectl", "-n", "kube-system", "wait", "pod", "-l", "tier=control-plane", "--for=condition=Ready", "--timeout=60s")
	get := func(path string) bool {
		_, err := other.Run(t.Context(), "kubectl", "--request-timeout=2s", "get", "--raw", path)
		return err == nil
	}
	must(t, cp.CutOff(t.Context()))
	begin, last := time.Now(), time.Now()
	gap := time.Duration(0)
	for time.Since(begin) < 10*time.Second {
		if get("/api/v1/namespaces") {
			gap, last = max(gap, time.Since(last)), time.Now()
		}
	}
	t.Logf("%.1fs without an answer after a control plane was cut off", gap.Seconds())
	if gap > 6*time.Second {
		t.Errorf("no answer for %s: the load balancer keeps a dead control plane", gap)
	}
	must(t, cp.Reconnect(t.Context()))
	must(t, cp.PowerOff(t.Context()))
	must(t, cp.Boot(t.Context()))
	begin = time.Now()
	must(t, until(t.Context(), 2*time.Minute, "kube-apiserver on the rebooted node", func() (bool, error) {
		_, err := cp.Run(t.Context(), "curl", "-skf", "-m2", "https://"+cp.Address().String()+":6443/readyz")
		return err == nil, nil
	}))
	t.Logf("%.1fs from power to a ready kube-apiserver", time.Since(begin).Seconds())
	run(t, other, "kubectl", "wait", "nodes", "--all", "--for=condition=Ready", "--timeout=90s")
}
