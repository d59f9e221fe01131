//go:build e2e

package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hactl/hactl/e2e/nodes"
)

// leaves are the phases of kubeadm v1.37's init that do something, in their
// order.
var leaves = strings.Fields(`
	preflight
	certs/ca certs/apiserver certs/apiserver-kubelet-client certs/front-proxy-ca certs/front-proxy-client
	certs/etcd-ca certs/etcd-server certs/etcd-peer certs/etcd-healthcheck-client certs/apiserver-etcd-client certs/sa
	kubeconfig/admin kubeconfig/super-admin kubeconfig/kubelet kubeconfig/controller-manager kubeconfig/scheduler
	etcd/local
	control-plane/apiserver control-plane/controller-manager control-plane/scheduler
	kubelet-start
	wait-control-plane
	upload-config/kubeadm upload-config/kubelet
	upload-certs
	mark-control-plane
	bootstrap-token
	kubelet-finalize/enable-client-cert-rotation
	addon/coredns addon/kube-proxy
	show-join-command`)

// ofPhase are the flags of a phase that kubeadm's phase of that name takes,
// too.
func ofPhase(leaf string) []string {
	switch leaf {
	case "wait-control-plane", "show-join-command":
		return nil
	case "upload-certs":
		return []string{"--config", initFile, "--upload-certs"}
	}
	return []string{"--config", initFile}
}

const initFile = "/root/init.yaml"

// initConfig is a cluster of one node, whose endpoint is the node's name.
func initConfig(t *testing.T, n *nodes.Node) {
	t.Helper()
	text := fmt.Sprintf(`apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
controlPlaneEndpoint: %s:6443
networking: {podSubnet: %s}
`, n.Name(), podCIDR)
	if err := n.WriteFile(t.Context(), initFile, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestPhasesAlone makes one cluster by init and another one phase by phase,
// and compares the two.
func TestPhasesAlone(t *testing.T) {
	lab := start(t, nodes.Options{Name: "alone", ControlPlanes: 2})
	whole, alone := lab.Node("cp-1"), lab.Node("cp-2")
	initConfig(t, whole)
	initConfig(t, alone)
	if o := hactl(t, whole, "init", "--config", initFile, "--upload-certs"); o.code != 0 {
		t.Fatalf("exit code %d\n%s%s", o.code, o.stdout, o.stderr)
	}
	began := time.Now()
	for _, leaf := range leaves {
		if leaf == "mark-control-plane" {
			// A person takes longer from phase to phase than the kubelet
			// takes to register.
			kubectl(t, alone, "wait", "--for=create", "node/cp-2", "--timeout=30s")
		}
		phaseAlone(t, alone, leaf)
	}
	t.Logf("%d phases alone took %.1f s", len(leaves), time.Since(began).Seconds())
	t.Run("Files", func(t *testing.T) {
		if diff := cmp.Diff(fileState(t, whole), fileState(t, alone)); diff != "" {
			t.Errorf("-whole +alone\n%s", diff)
		}
	})
	t.Run("Objects", func(t *testing.T) {
		var diff string
		defer func() { t.Log(diff) }()
		eventually(t, 30*time.Second, "the two clusters have the same objects", func() (bool, string) {
			diff = cmp.Diff(clusterState(t, whole), clusterState(t, alone))
			return diff == "", "a difference: -whole +alone"
		})
	})
	t.Run("All", func(t *testing.T) { groups(t, alone) })
}

// phaseAlone runs one phase as a process of its own.
func phaseAlone(t *testing.T, n *nodes.Node, leaf string) {
	t.Helper()
	argv := append([]string{"init", "phase"}, append(strings.Split(leaf, "/"), ofPhase(leaf)...)...)
	o := hactl(t, n, append(argv, "-o", "json")...)
	if o.code != 0 {
		t.Fatalf("%s: exit code %d\n%s%s", leaf, o.code, o.stdout, o.stderr)
	}
	var ended []string
	for _, e := range events(t, o.stdout) {
		if e.Kind == "finished" || e.Kind == "unchanged" || e.Kind == "skipped" {
			ended = append(ended, e.Phase+" "+e.Kind)
		}
	}
	if len(ended) == 0 || ended[0] != leaf+" finished" {
		t.Errorf("%s alone: %v", leaf, ended)
	}
	if leaf != "show-join-command" {
		return
	}
	var r initResult
	result(t, o.stdout, &r)
	want := "hactl join " + n.Name() + ":6443 --token "
	if !strings.HasPrefix(r.Join.WorkerCommand, want) || !strings.Contains(r.Join.ControlPlaneCommand, "--control-plane") {
		t.Errorf("show-join-command alone: %+v, want a command that starts with %q", r.Join, want)
	}
}

// groups runs every group of phases once more, by kubeadm's names for it:
// all is there, and so nothing changes.
func groups(t *testing.T, n *nodes.Node) {
	before := fileState(t, n)
	for _, group := range []string{
		"certs all", "kubeconfig all", "etcd all", "control-plane all", "kubelet-start", "upload-config all", "uploadconfig all",
		"mark-control-plane", "bootstrap-token", "bootstraptoken", "kubelet-finalize all", "addon all",
	} {
		o := hactl(t, n, append(append([]string{"init", "phase"}, strings.Fields(group)...), "--config", initFile, "-o", "json")...)
		if o.code != 0 {
			t.Errorf("%s: exit code %d\n%s%s", group, o.code, o.stdout, o.stderr)
			continue
		}
		unchanged := 0
		for _, e := range events(t, o.stdout) {
			if e.Kind == "unchanged" {
				unchanged++
			}
			if e.Kind == "finished" && !isGroup(e.Phase) || e.Kind == "skipped" {
				t.Errorf("%s: phase %s is %s (%s)", group, e.Phase, e.Kind, e.Reason)
			}
		}
		if unchanged == 0 {
			t.Errorf("%s: no phase is unchanged:\n%s", group, o.stdout)
		}
	}
	if diff := cmp.Diff(before, fileState(t, n)); diff != "" {
		t.Errorf("-before +after\n%s", diff)
	}
}

// isGroup says whether a phase has sub-phases.
func isGroup(phase string) bool {
	for _, leaf := range leaves {
		if strings.HasPrefix(leaf, phase+"/") {
			return true
		}
	}
	return false
}
