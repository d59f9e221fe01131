//go:build e2e

package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hactl/hactl/e2e/nodes"
)

// guide is the configuration of the widely read guide to highly available
// clusters, with its addresses filled in and nothing else changed: an API
// version that kubeadm has not read since v1.23, and external etcd.
const guide = `---
apiVersion: kubeadm.k8s.io/v1beta2
kind: ClusterConfiguration
kubernetesVersion: stable
controlPlaneEndpoint: "%s" # change this (see below)
etcd:
  external:
    endpoints:
      - https://%s:2379 # change ETCD_0_IP appropriately
      - https://%s:2379 # change ETCD_1_IP appropriately
      - https://%s:2379 # change ETCD_2_IP appropriately
    caFile: /etc/kubernetes/pki/etcd/ca.crt
    certFile: /etc/kubernetes/pki/apiserver-etcd-client.crt
    keyFile: /etc/kubernetes/pki/apiserver-etcd-client.key
`

// TestGuide follows the guide's section on external etcd with its file.
func TestGuide(t *testing.T) {
	lab := start(t, nodes.Options{Name: "guide", ControlPlanes: 1, Workers: 3, LoadBalancers: 1})
	cp := lab.Node("cp-1")
	hosts := []*nodes.Node{lab.Node("worker-1"), lab.Node("worker-2"), lab.Node("worker-3")}
	externalEtcd(t, hosts)
	for _, file := range []string{"etcd/ca.crt", "apiserver-etcd-client.crt", "apiserver-etcd-client.key"} {
		hand(t, hosts[0], cp, "/etc/kubernetes/pki/"+file)
	}
	file := fmt.Sprintf(guide, lab.Endpoint(), hosts[0].Address(), hosts[1].Address(), hosts[2].Address())
	if err := cp.WriteFile(t.Context(), "/root/kubeadm-config.yaml", []byte(file), 0o644); err != nil {
		t.Fatal(err)
	}
	o := hactl(t, cp, "init", "--config", "/root/kubeadm-config.yaml", "--upload-certs")
	if o.code != 0 {
		t.Fatalf("exit code %d\n%s%s", o.code, o.stdout, o.stderr)
	}
	t.Logf("init took %.1f s\n%s", o.took.Seconds(), o.stderr)
	if err := lab.PodNetwork(t.Context(), podCIDR); err != nil {
		t.Fatal(err)
	}
	kubectl(t, cp, "wait", "--for=condition=Ready", "node/cp-1", "--timeout=60s")
	if manifests := must(t, cp, "ls", "/etc/kubernetes/manifests"); strings.Contains(manifests, "etcd") {
		t.Errorf("a local etcd beside the external one: %s", manifests)
	}
	keys := kubectl(t, cp, "get", "secret", "kubeadm-certs", "-n", "kube-system", "-o", "jsonpath={.data}")
	for _, want := range []string{"external-etcd-ca.crt", "external-etcd.crt", "external-etcd.key"} {
		if !strings.Contains(keys, want) {
			t.Errorf("the uploaded certificates lack %s", want)
		}
	}
	if stored := kubectl(t, cp, "get", "cm", "kubeadm-config", "-n", "kube-system", "-o", "jsonpath={.data.ClusterConfiguration}"); !strings.Contains(stored, "kubeadm.k8s.io/v1beta4") {
		t.Errorf("kubeadm-config is not of v1beta4:\n%s", stored)
	}
	// kubeadm reads what hactl has stored.
	must(t, cp, "kubeadm", "certs", "check-expiration")
	t.Run("Reset", func(t *testing.T) { resetKeepsEtcd(t, cp) })
}

// externalEtcd runs an etcd cluster on hosts that have no control plane, by
// hand, as a user without a tool for it would.
func externalEtcd(t *testing.T, hosts []*nodes.Node) {
	t.Helper()
	certs := func(n *nodes.Node, phases ...string) {
		for _, p := range phases {
			if o := hactl(t, n, "init", "phase", "certs", p); o.code != 0 {
				t.Fatalf("exit code %d\n%s%s", o.code, o.stdout, o.stderr)
			}
		}
	}
	certs(hosts[0], "etcd-ca", "apiserver-etcd-client")
	var members []string
	for _, n := range hosts {
		members = append(members, fmt.Sprintf("%s=https://%s:2380", n.Name(), n.Address()))
	}
	for i, n := range hosts {
		if i > 0 {
			hand(t, hosts[0], n, "/etc/kubernetes/pki/etcd/ca.crt")
			hand(t, hosts[0], n, "/etc/kubernetes/pki/etcd/ca.key")
		}
		certs(n, "etcd-server", "etcd-peer")
		const pki = "/etc/kubernetes/pki/etcd/"
		client, peer := fmt.Sprintf("https://%s:2379", n.Address()), fmt.Sprintf("https://%s:2380", n.Address())
		must(t, n, "systemd-run", "-q", "--unit=etcd", "etcd", "--name="+n.Name(), "--data-dir=/var/lib/etcd",
			"--listen-client-urls="+client, "--advertise-client-urls="+client, "--listen-peer-urls="+peer, "--initial-advertise-peer-urls="+peer,
			"--initial-cluster="+strings.Join(members, ","), "--client-cert-auth", "--peer-client-cert-auth",
			"--trusted-ca-file="+pki+"ca.crt", "--cert-file="+pki+"server.crt", "--key-file="+pki+"server.key",
			"--peer-trusted-ca-file="+pki+"ca.crt", "--peer-cert-file="+pki+"peer.crt", "--peer-key-file="+pki+"peer.key")
	}
	eventually(t, 30*time.Second, "the etcd cluster is healthy", func() (bool, string) {
		o := run(t, hosts[0], "etcdctl", "--endpoints=https://"+hosts[0].Address().String()+":2379", "--cacert=/etc/kubernetes/pki/etcd/ca.crt",
			"--cert=/etc/kubernetes/pki/apiserver-etcd-client.crt", "--key=/etc/kubernetes/pki/apiserver-etcd-client.key", "endpoint", "health", "--cluster")
		return o.code == 0, o.stderr
	})
}

// hand copies a file from one node to another, as scp would.
func hand(t *testing.T, from, to *nodes.Node, file string) {
	t.Helper()
	data, err := from.ReadFile(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	if err := to.WriteFile(t.Context(), file, data, 0o600); err != nil {
		t.Fatal(err)
	}
}
