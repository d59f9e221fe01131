//go:build e2e

package e2e

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/hactl/hactl/e2e/nodes"
)

// initialized makes cp-1 the first control plane, with its certificates
// uploaded.
func initialized(t *testing.T, lab *nodes.Lab) initResult {
	t.Helper()
	o := hactl(t, lab.Node("cp-1"), "init", "--control-plane-endpoint", lab.Endpoint(), "--upload-certs", "--pod-network-cidr", podCIDR, "-o", "json")
	if o.code != 0 {
		t.Fatalf("exit code %d\n%s%s", o.code, o.stdout, o.stderr)
	}
	var r initResult
	result(t, o.stdout, &r)
	t.Logf("init took %.1f s", o.took.Seconds())
	return r
}

// joinCommand is the printed command for the node's kind.
func joinCommand(r initResult, n *nodes.Node) []string {
	if n.Role() == nodes.Worker {
		return strings.Fields(r.Join.WorkerCommand)
	}
	return strings.Fields(r.Join.ControlPlaneCommand)
}

// joins runs the printed command on a node.
func joins(t *testing.T, n *nodes.Node, r initResult, more ...string) outcome {
	t.Helper()
	return run(t, n, append(joinCommand(r, n), more...)...)
}

// mustJoin is joins for those that must end well.
func mustJoin(t *testing.T, n *nodes.Node, r initResult, more ...string) outcome {
	t.Helper()
	o := joins(t, n, r, more...)
	if o.code != 0 {
		t.Errorf("join of %s: exit code %d after %.1f s\n%s%s", n.Name(), o.code, o.took.Seconds(), o.stdout, o.stderr)
	}
	return o
}

// network gives the pods their network and waits until all nodes are Ready.
func network(t *testing.T, lab *nodes.Lab) {
	t.Helper()
	if err := lab.PodNetwork(t.Context(), podCIDR); err != nil {
		t.Fatal(err)
	}
	// The kubelet registers its node some time after the join has ended.
	for _, n := range lab.Nodes() {
		if n.Running() && run(t, n, "test", "-e", "/etc/kubernetes/kubelet.conf").code == 0 {
			kubectl(t, lab.Node("cp-1"), "wait", "--for=create", "node/"+n.Name(), "--timeout=60s")
		}
	}
	kubectl(t, lab.Node("cp-1"), "wait", "--for=condition=Ready", "nodes", "--all", "--timeout=120s")
}

// status is what the tests need of `hactl status -o json`.
type status struct {
	Etcd struct {
		Members []struct {
			Name    string
			Role    string
			Learner bool
			Error   string
		}
	}
	NeedsAttention []struct{ What string }
}

func statusOf(t *testing.T, n *nodes.Node) (status, outcome) {
	t.Helper()
	o := hactl(t, n, "status", "-o", "json")
	var s status
	for line := range strings.Lines(o.stdout) {
		var l struct {
			Type   string
			Result json.RawMessage
		}
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatalf("%v in %s", err, o.stdout)
		}
		if l.Type == "result" {
			if err := json.Unmarshal(l.Result, &s); err != nil {
				t.Fatal(err)
			}
		}
	}
	return s, o
}

// etcdctl asks the node's own etcd member: a judge that is not hactl.
func etcdctl(t *testing.T, n *nodes.Node, args ...string) string {
	t.Helper()
	const pki = "/etc/kubernetes/pki/etcd/"
	return must(t, n, append([]string{
		"etcdctl", "--endpoints", "https://127.0.0.1:2379",
		"--cacert", pki + "ca.crt", "--cert", pki + "healthcheck-client.crt", "--key", pki + "healthcheck-client.key",
	}, args...)...)
}

// healthyMembers wants etcd to have exactly these voting members, all
// started.
func healthyMembers(t *testing.T, n *nodes.Node, names ...string) {
	t.Helper()
	got := memberNames(t, n)
	if want := strings.Join(names, " "); got != want {
		t.Errorf("etcd has the members %s, want %s", got, want)
	}
}

// memberNames lists the members by name; a learner has a star, one that
// never started a question mark.
func memberNames(t *testing.T, n *nodes.Node) string {
	t.Helper()
	var list struct {
		Members []struct {
			Name      string
			IsLearner bool
		}
	}
	text := etcdctl(t, n, "member", "list", "-w", "json")
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	var out []string
	for _, m := range list.Members {
		name := m.Name
		if name == "" {
			name = "?"
		}
		if m.IsLearner {
			name += "*"
		}
		out = append(out, name)
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

// healthyStatus wants nothing to need attention.
func healthyStatus(t *testing.T, n *nodes.Node) {
	s, o := statusOf(t, n)
	if o.code != 0 || len(s.NeedsAttention) > 0 {
		t.Errorf("exit code %d, attention %+v\n%s", o.code, s.NeedsAttention, o.stdout)
	}
}

// isClean wants nothing to be left on the node of what a join makes, but for
// the data of etcd, which is moved aside.
func isClean(t *testing.T, n *nodes.Node) {
	t.Helper()
	if left := must(t, n, "sh", "-c", "find /etc/kubernetes/manifests /etc/kubernetes/*.conf /etc/kubernetes/pki /var/lib/kubelet /var/lib/etcd/member -type f 2>/dev/null; true"); left != "" {
		t.Errorf("left on %s:\n%s", n.Name(), left)
	}
	if left := must(t, n, "ctr", "-n", "k8s.io", "containers", "list", "-q"); left != "" {
		t.Errorf("containers are left on %s: %s", n.Name(), must(t, n, "ctr", "-n", "k8s.io", "containers", "list"))
	}
	if o := run(t, n, "systemctl", "is-active", "kubelet"); o.code == 0 {
		t.Errorf("the kubelet of %s runs", n.Name())
	}
	if mounts := must(t, n, "sh", "-c", "grep -c ' /var/lib/kubelet/' /proc/mounts || true"); mounts != "0" {
		t.Errorf("%s mounts are left below /var/lib/kubelet of %s", mounts, n.Name())
	}
}
