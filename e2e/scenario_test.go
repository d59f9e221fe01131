//go:build e2e

package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hactl/hactl/e2e/nodes"
)

// TestScenarios is what users of today's tools get stuck with. The subtests
// run in order: the cluster grows and shrinks from one to the next, and the
// nodes join one after the other.
func TestScenarios(t *testing.T) {
	lab := start(t, nodes.Options{Name: "scenarios", ControlPlanes: 3, Workers: 1, LoadBalancers: 1})
	s := &scenarios{lab: lab, cp: lab.Node("cp-1")}
	for _, step := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"LoadBalancerOff", s.loadBalancerOff},
		{"PeerPortFiltered", s.peerPortFiltered},
		{"EtcdCannotStart", s.etcdCannotStart},
		{"Worker", s.worker},
		{"WipedComesBack", s.wipedComesBack},
		{"ResetCutOff", s.resetCutOff},
	} {
		if !t.Run(step.name, step.run) {
			return
		}
	}
}

type scenarios struct {
	lab *nodes.Lab
	cp  *nodes.Node
	r   initResult
}

// loadBalancerOff: the endpoint leads nowhere. Init ends all the same, and so
// does a join by another control plane's own address.
func (s *scenarios) loadBalancerOff(t *testing.T) {
	lb := s.lab.Node("lb-1")
	if err := lb.PowerOff(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.r = initialized(t, s.lab)
	own := s.cp.Address().String() + ":6443"
	command := strings.Replace(s.r.Join.ControlPlaneCommand, s.lab.Endpoint(), own, 1)
	o := run(t, s.lab.Node("cp-2"), strings.Fields(command)...)
	if o.code != 0 {
		t.Fatalf("exit code %d\n%s%s", o.code, o.stdout, o.stderr)
	}
	t.Logf("the join took %.1f s\n%s", o.took.Seconds(), o.stderr)
	healthyMembers(t, s.cp, "cp-1", "cp-2")
	if err := lb.Boot(t.Context()); err != nil {
		t.Fatal(err)
	}
	network(t, s.lab)
}

// peerPortFiltered: etcd's peers could not talk to each other.
func (s *scenarios) peerPortFiltered(t *testing.T) {
	n := s.lab.Node("cp-3")
	rule := []string{"INPUT", "-s", n.Address().String(), "-p", "tcp", "--dport", "2380", "-j", "DROP"}
	must(t, s.cp, append([]string{"iptables", "-I"}, rule...)...)
	before := machineFiles(t, n)
	o := joins(t, n, s.r)
	must(t, s.cp, append([]string{"iptables", "-D"}, rule...)...)
	if o.code != 3 || o.took > limitRefused || !strings.Contains(o.stderr, "2380") || !strings.Contains(o.stderr, "cp-1") {
		t.Errorf("exit code %d after %.1f s\n%s%s", o.code, o.took.Seconds(), o.stdout, o.stderr)
	}
	healthyMembers(t, s.cp, "cp-1", "cp-2")
	if diff := cmp.Diff(before, machineFiles(t, n)); diff != "" {
		t.Errorf("-before +after\n%s", diff)
	}
}

// brokenJoin is a JoinConfiguration whose etcd has an image that nobody has.
const brokenJoin = `apiVersion: kubeadm.k8s.io/v1beta4
kind: JoinConfiguration
discovery:
  bootstrapToken: {apiServerEndpoint: "%s", token: "%s", caCertHashes: ["%s"]}
controlPlane: {certificateKey: "%s"}
patches: {directory: /root/patches}
timeouts: {controlPlaneComponentHealthCheck: 12s}
`

// etcdCannotStart: the join takes its learner back, and is in nobody's way.
func (s *scenarios) etcdCannotStart(t *testing.T) {
	n := s.lab.Node("cp-3")
	config := fmt.Sprintf(brokenJoin, s.lab.Endpoint(), s.r.Join.Token, s.r.Join.CACertHash, s.r.CertificateKey)
	const patch = `{"spec": {"containers": [{"name": "etcd", "image": "hactl.lab/no-such-image:1"}]}}`
	for file, text := range map[string]string{"/root/join.yaml": config, "/root/patches/etcd+strategic.json": patch} {
		if err := n.WriteFile(t.Context(), file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	o := hactl(t, n, "join", "--config", "/root/join.yaml")
	if o.code != 4 || !strings.Contains(o.stderr, "etcd") {
		t.Errorf("exit code %d after %.1f s, want 4\n%s%s", o.code, o.took.Seconds(), o.stdout, o.stderr)
	}
	t.Logf("the join failed after %.1f s\n%s", o.took.Seconds(), o.stderr)
	healthyMembers(t, s.cp, "cp-1", "cp-2")
	// Patches of an earlier run are remembered; none are wanted now.
	must(t, n, "mkdir", "/root/no-patches")
	t.Logf("the next join took %.1f s", mustJoin(t, n, s.r, "--patches", "/root/no-patches").took.Seconds())
	healthyMembers(t, s.cp, "cp-1", "cp-2", "cp-3")
}

func (s *scenarios) worker(t *testing.T) {
	n := s.lab.Node("worker-1")
	dryJoinTellsAll(t, n, s.cp, joinCommand(s.r, n))
	network(t, s.lab)
	healthyStatus(t, s.cp)
}

// wipedComesBack: a node has lost its disk, and joins under its old name and
// address. Its new member takes the place of the old one.
func (s *scenarios) wipedComesBack(t *testing.T) {
	n := s.lab.Node("cp-3")
	before := memberID(t, s.cp, "cp-3")
	wipe(t, s.lab, n)
	t.Logf("it joined again in %.1f s", mustJoin(t, n, s.r).took.Seconds())
	healthyMembers(t, s.cp, "cp-1", "cp-2", "cp-3")
	if after := memberID(t, s.cp, "cp-3"); after == before {
		t.Errorf("the member has the ID %s as before", after)
	}
	network(t, s.lab)
	healthyStatus(t, s.cp)
}

// memberID is how etcd tells a member from all others.
func memberID(t *testing.T, cp *nodes.Node, name string) string {
	t.Helper()
	for line := range strings.Lines(etcdctl(t, cp, "member", "list")) {
		if f := strings.Split(line, ", "); len(f) > 2 && f[2] == name {
			return f[0]
		}
	}
	t.Fatalf("etcd has no member %s", name)
	return ""
}

// resetCutOff: the member cannot be taken out, so its data stays. Once the
// others can be reached, the same command ends well.
func (s *scenarios) resetCutOff(t *testing.T) {
	n := s.lab.Node("cp-3")
	if err := n.CutOff(t.Context()); err != nil {
		t.Fatal(err)
	}
	const sums = "cd /var/lib/etcd/member && find . -name '*.snap' -o -name '*.wal' | sort | xargs stat -c '%n %i'; ls /etc/kubernetes/manifests"
	before := must(t, n, "sh", "-c", sums)
	answer := []string{"sh", "-c", "echo y | hactl reset"}
	o := run(t, n, answer...)
	if err := n.Reconnect(t.Context()); err != nil {
		t.Fatal(err)
	}
	if o.code == 0 {
		t.Errorf("exit code 0\n%s%s", o.stdout, o.stderr)
	}
	t.Logf("the reset failed after %.1f s with exit code %d\n%s", o.took.Seconds(), o.code, o.stderr)
	if diff := cmp.Diff(before, must(t, n, "sh", "-c", sums)); diff != "" {
		t.Errorf("-before +after\n%s", diff)
	}
	healthyMembers(t, s.cp, "cp-1", "cp-2", "cp-3")
	if o := run(t, n, answer...); o.code != 0 {
		t.Errorf("with the others in reach: exit code %d\n%s%s", o.code, o.stdout, o.stderr)
	}
	isClean(t, n)
	healthyMembers(t, s.cp, "cp-1", "cp-2")
}
