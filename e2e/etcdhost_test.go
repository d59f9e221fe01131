//go:build e2e

package e2e

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hactl/hactl/e2e/nodes"
)

// TestEtcdHosts builds an etcd cluster on hosts of its own, in both runtimes,
// and control planes that use it. The subtests run in order.
func TestEtcdHosts(t *testing.T) {
	lab := start(t, nodes.Options{Name: "etcdhost", ControlPlanes: 2, Workers: 3, LoadBalancers: 1})
	for _, p := range []struct {
		name string
		test func(*testing.T, *nodes.Lab)
	}{
		{"Init", etcdHostInit},
		{"Join", etcdHostJoin},
		{"ControlPlanes", etcdHostUsed},
		{"OneDead", etcdHostDead},
		{"Reset", etcdHostAfterReset},
	} {
		if !t.Run(p.name, func(t *testing.T) { p.test(t, lab) }) {
			return
		}
	}
}

// succeeds runs hactl, which must end well.
func succeeds(t *testing.T, n *nodes.Node, args ...string) outcome {
	t.Helper()
	o := hactl(t, n, args...)
	if o.code != 0 {
		t.Fatalf("%s: hactl %s: exit code %d after %.1f s\n%s%s", n.Name(), strings.Join(args, " "), o.code, o.took.Seconds(), o.stdout, o.stderr)
	}
	return o
}

// etcdHostInit makes the first member, once as a dry run and twice for real.
func etcdHostInit(t *testing.T, lab *nodes.Lab) {
	n := lab.Node("worker-1")
	before := machineFiles(t, n)
	succeeds(t, n, "etcd", "init", "--dry-run")
	if diff := cmp.Diff(before, machineFiles(t, n)); diff != "" {
		t.Errorf("the dry run has changed something: -before +after\n%s", diff)
	}
	o := succeeds(t, n, "etcd", "init")
	t.Logf("etcd init took %.1f s\n%s%s", o.took.Seconds(), o.stderr, o.stdout)
	again := succeeds(t, n, "etcd", "init", "-o", "json")
	for _, e := range events(t, again.stdout) {
		if e.Kind == "finished" && e.Phase != "preflight" && e.Phase != "certs" && e.Phase != "wait-etcd" {
			t.Errorf("again: %s has done something", e.Phase)
		}
	}
}

// etcdHostJoin makes two more members at once, one as a static pod.
func etcdHostJoin(t *testing.T, lab *nodes.Lab) {
	first := lab.Node("worker-1")
	url := fmt.Sprintf("https://%s:2379", first.Address())
	var running sync.WaitGroup
	for name, runtime := range map[string]string{"worker-2": "static-pod", "worker-3": "systemd"} {
		n := lab.Node(name)
		if o := hactl(t, n, "etcd", "join", url); o.code != 1 || !strings.Contains(o.stderr, "--for-member "+name+"=") {
			t.Errorf("%s without certificates: exit code %d\n%s", name, o.code, o.stderr)
		}
		dir := "/root/" + name
		succeeds(t, first, "etcd", "credentials", "export", "--for-member", fmt.Sprintf("%s=%s", name, n.Address()), "--directory", dir)
		copyTree(t, first, n, dir, "/etc/kubernetes/pki")
		running.Go(func() {
			o := hactl(t, n, "etcd", "join", url, "--runtime", runtime)
			if o.code != 0 {
				t.Errorf("%s: exit code %d\n%s%s", name, o.code, o.stdout, o.stderr)
			}
			t.Logf("%s joined as %s in %.1f s\n%s%s", name, runtime, o.took.Seconds(), o.stderr, o.stdout)
		})
	}
	running.Wait()
	if t.Failed() {
		return
	}
	healthyMembers(t, first, "worker-1", "worker-2", "worker-3")
	if o := run(t, lab.Node("worker-2"), "test", "-e", "/etc/kubernetes/pki/etcd/ca.key"); o.code == 0 {
		t.Error("the key of the CA has left the first host")
	}
	t.Log(succeeds(t, lab.Node("worker-2"), "etcd", "status").stdout)
	succeeds(t, lab.Node("worker-2"), "etcd", "join", url) // nothing to do
}

// copyTree copies what is in a directory of one node to another, as scp would.
func copyTree(t *testing.T, from, to *nodes.Node, dir, into string) {
	t.Helper()
	for file := range strings.Lines(must(t, from, "find", dir, "-type", "f")) {
		file = strings.TrimSpace(file)
		data, err := from.ReadFile(t.Context(), file)
		if err != nil {
			t.Fatal(err)
		}
		if err := to.WriteFile(t.Context(), into+strings.TrimPrefix(file, dir), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// etcdHostUsed makes two control planes on that etcd, and none of another
// cluster.
func etcdHostUsed(t *testing.T, lab *nodes.Lab) {
	first, cp, other := lab.Node("worker-1"), lab.Node("cp-1"), lab.Node("cp-2")
	o := succeeds(t, first, "etcd", "credentials", "export", "--directory", "/root/client")
	t.Log(o.stdout)
	for _, n := range []*nodes.Node{cp, other} {
		copyTree(t, first, n, "/root/client", "/etc/kubernetes/pki")
	}
	var urls []string
	for i := 1; i <= 3; i++ {
		urls = append(urls, fmt.Sprintf("https://%s:2379", lab.Node(fmt.Sprintf("worker-%d", i)).Address()))
	}
	endpoints := "HACTL_ETCD_ENDPOINTS=" + strings.Join(urls, ", ")
	args := []string{"env", endpoints, "hactl", "init", "--control-plane-endpoint", lab.Endpoint(), "--upload-certs", "--pod-network-cidr", podCIDR, "-o", "json"}
	var r initResult
	for i := range 2 { // the second run finds its own data
		o := run(t, cp, args...)
		if o.code != 0 {
			t.Fatalf("init, run %d: exit code %d\n%s%s", i+1, o.code, o.stdout, o.stderr)
		}
		t.Logf("init, run %d, took %.1f s", i+1, o.took.Seconds())
		result(t, o.stdout, &r)
	}
	if manifests := must(t, cp, "ls", "/etc/kubernetes/manifests"); strings.Contains(manifests, "etcd") {
		t.Errorf("a local etcd beside the external one: %s", manifests)
	}
	if o := run(t, other, args...); o.code != 3 || !strings.Contains(o.stdout+o.stderr, "ExternalEtcdData") {
		t.Errorf("init of another cluster on that etcd: exit code %d\n%s%s", o.code, o.stdout, o.stderr)
	}
	must(t, other, "rm", "-r", "/etc/kubernetes/pki") // the certificates come from the cluster
	mustJoin(t, other, r)
	kubectl(t, cp, "get", "node", "cp-2")
}

// etcdHostDead loses an etcd host: writes go on, and status tells.
func etcdHostDead(t *testing.T, lab *nodes.Lab) {
	cp, first := lab.Node("cp-1"), lab.Node("worker-1")
	if err := lab.Node("worker-3").PowerOff(t.Context()); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	eventually(t, 20*time.Second, "the cluster takes a write", func() (bool, string) {
		o := run(t, cp, "env", admin, "kubectl", "create", "namespace", "after-the-loss", "--request-timeout=3s")
		return o.code == 0 || strings.Contains(o.stderr, "already exists"), o.stderr
	})
	t.Logf("a write %.1f s after an etcd host was lost", time.Since(began).Seconds())
	if o := hactl(t, first, "etcd", "status"); o.code != 1 || !strings.Contains(o.stdout, "hactl etcd remove worker-3") {
		t.Errorf("status with a dead member: exit code %d\n%s%s", o.code, o.stdout, o.stderr)
	}
	t.Log(succeeds(t, first, "etcd", "remove", "worker-3").stdout)
	healthyMembers(t, first, "worker-1", "worker-2")
}

// etcdHostAfterReset resets all control planes: no key of etcd changes by it.
func etcdHostAfterReset(t *testing.T, lab *nodes.Lab) {
	first, cp := lab.Node("worker-1"), lab.Node("cp-1")
	succeeds(t, lab.Node("cp-2"), "reset", "--force")
	// Whatever still writes ends first, so that what changes is the reset's.
	must(t, cp, "sh", "-c", "systemctl stop kubelet && kill -9 $(pgrep -f '^kube-(apiserver|controller-manager|scheduler)')")
	hash := func() string { return etcdctl(t, first, "endpoint", "hashkv") }
	before := hash()
	succeeds(t, cp, "reset", "--force")
	if after := hash(); after != before {
		t.Errorf("the reset has changed etcd: %s, then %s", before, after)
	}
	healthyMembers(t, first, "worker-1", "worker-2")
}
