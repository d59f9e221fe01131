//go:build e2e

package e2e

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hactl/hactl/e2e/nodes"
)

// TestTampered gives join what is wrong, or what somebody has changed: it is
// refused with a message that says what it is, and nothing is written.
func TestTampered(t *testing.T) {
	lab := start(t, nodes.Options{Name: "tampered", ControlPlanes: 2})
	tm := &tampering{cp: lab.Node("cp-1"), node: lab.Node("cp-2"), r: initialized(t, lab)}
	eventually(t, time.Minute, "cluster-info is signed", func() (bool, string) {
		data := kubectl(t, tm.cp, "get", "cm", "cluster-info", "-n", "kube-public", "-o", "jsonpath={.data}")
		return strings.Contains(data, "jws-kubeconfig-"+id(tm.r.Join.Token)), data
	})
	tm.before = machineFiles(t, tm.node)
	t.Run("Discovery", tm.discovery)
	t.Run("Certificates", tm.certificates)
	t.Run("CertificateKey", tm.certificateKey)
	t.Run("ClusterInfo", tm.clusterInfo)
}

// tampering is a cluster, and a node that shall not join it.
type tampering struct {
	cp, node *nodes.Node
	r        initResult
	before   map[string]string // the node's files
}

// refused joins with the changed command: code and words are those that are
// wanted, and nothing has happened.
func (tm *tampering) refused(t *testing.T, reason string, code int, says []string, change ...string) {
	t.Helper()
	command := strings.NewReplacer(change...).Replace(tm.r.Join.ControlPlaneCommand)
	if len(change) > 0 && command == tm.r.Join.ControlPlaneCommand {
		t.Fatalf("%s: the command is as before", reason)
	}
	o := run(t, tm.node, strings.Fields(command)...)
	if o.code != code || o.took > limitRefused {
		t.Errorf("%s: exit code %d after %.1f s, want %d\n%s%s", reason, o.code, o.took.Seconds(), code, o.stdout, o.stderr)
	}
	for _, want := range says {
		if !strings.Contains(o.stderr, want) {
			t.Errorf("%s: no %q in\n%s", reason, want, o.stderr)
		}
	}
	if _, after, ok := strings.Cut(o.stderr, "error: "); ok {
		t.Logf("%s (%.1f s): %s", reason, o.took.Seconds(), after)
	}
	if diff := cmp.Diff(tm.before, machineFiles(t, tm.node)); diff != "" {
		t.Errorf("%s: the node was changed: -before +after\n%s", reason, diff)
	}
	healthyMembers(t, tm.cp, "cp-1")
	if got := kubectl(t, tm.cp, "get", "nodes", "-o", "name"); got != "node/cp-1" {
		t.Errorf("%s: the nodes are %s", reason, got)
	}
}

func (tm *tampering) discovery(t *testing.T) {
	j := tm.r.Join
	tm.refused(t, "a wrong pin", 5, []string{"is not the one of the join command", j.CACertHash},
		j.CACertHash, "sha256:"+strings.Repeat("0", 64))
	tm.refused(t, "a token of another cluster", 1, []string{`no token "abcdef"`, "hactl token create"}, j.Token, "abcdef.0123456789abcdef")
	tm.refused(t, "the secret part of another token", 5, []string{"the token is not the cluster's"}, j.Token, id(j.Token)+".0123456789abcdef")

	value := ok(t, tm.cp, "token", "create")
	patchSecret(t, tm.cp, "bootstrap-token-"+id(value), "expiration", []byte(time.Now().Add(-time.Minute).UTC().Format(time.RFC3339)))
	eventually(t, time.Minute, "cluster-info is no longer signed with the expired token", func() (bool, string) {
		data := kubectl(t, tm.cp, "get", "cm", "cluster-info", "-n", "kube-public", "-o", "jsonpath={.data}")
		return !strings.Contains(data, "jws-kubeconfig-"+id(value)), data
	})
	tm.refused(t, "an expired token", 1, []string{fmt.Sprintf("no token %q", id(value)), "expired", "hactl token create"}, j.Token, value)
}

// patchSecret sets one value of a Secret in kube-system.
func patchSecret(t *testing.T, cp *nodes.Node, name, key string, value []byte) {
	t.Helper()
	patchSecrets(t, cp, name, map[string]string{key: base64.StdEncoding.EncodeToString(value)})
}

func patchSecrets(t *testing.T, cp *nodes.Node, name string, data map[string]string) {
	t.Helper()
	patch, err := json.Marshal(map[string]any{"data": data})
	if err != nil {
		t.Fatal(err)
	}
	kubectl(t, cp, "patch", "secret", name, "-n", "kube-system", "-p", string(patch))
}

// certificates changes what was uploaded, in a way that each value still has
// its shape.
func (tm *tampering) certificates(t *testing.T) {
	data := tm.uploaded(t)
	swap := func(pairs ...string) map[string]string {
		out := map[string]string{}
		for i := 0; i < len(pairs); i += 2 {
			out[pairs[i]], out[pairs[i+1]] = data[pairs[i+1]], data[pairs[i]]
		}
		return out
	}
	flip := func(key string) map[string]string {
		raw, err := base64.StdEncoding.DecodeString(data[key])
		if err != nil {
			t.Fatal(err)
		}
		raw[len(raw)/2] ^= 1
		return map[string]string{key: base64.StdEncoding.EncodeToString(raw)}
	}
	const trust = "the uploaded certificates cannot be trusted"
	for _, c := range []struct {
		reason string
		change map[string]string
		says   []string
	}{
		{"one key in the place of another", swap("ca.key", "sa.key"), []string{trust}},
		{"the cluster's CA and that of etcd have changed places", swap("ca.crt", "etcd-ca.crt", "ca.key", "etcd-ca.key"), []string{trust}},
		{"etcd's CA and the front proxy's have changed places", swap("front-proxy-ca.crt", "etcd-ca.crt", "front-proxy-ca.key", "etcd-ca.key"), []string{trust}},
		{"a flipped bit in a certificate", flip("ca.crt"), []string{"ca.crt"}},
		{"a flipped bit in a key", flip("sa.key"), []string{"sa.key"}},
	} {
		patchSecrets(t, tm.cp, "kubeadm-certs", c.change)
		tm.refused(t, c.reason, 3, c.says)
		patchSecrets(t, tm.cp, "kubeadm-certs", data)
	}
}

func (tm *tampering) uploaded(t *testing.T) map[string]string {
	t.Helper()
	var s struct{ Data map[string]string }
	if err := json.Unmarshal([]byte(kubectl(t, tm.cp, "get", "secret", "kubeadm-certs", "-n", "kube-system", "-o", "json")), &s); err != nil {
		t.Fatal(err)
	}
	return s.Data
}

// certificateKey is what goes wrong with the key: each has its own message.
func (tm *tampering) certificateKey(t *testing.T) {
	key := tm.r.CertificateKey
	tm.refused(t, "a wrong key", 3, []string{"the certificate key is wrong", "hactl init phase upload-certs --upload-certs"}, key, strings.Repeat("ab", 32))
	tm.refused(t, "no key", 3, []string{"--certificate-key"}, " --certificate-key "+key, "")
	ok(t, tm.cp, "init", "phase", "upload-certs", "--upload-certs")
	tm.refused(t, "the key of an earlier upload", 3, []string{"earlier upload", "hactl init phase upload-certs --upload-certs"})
	kubectl(t, tm.cp, "delete", "secret", "kubeadm-certs", "-n", "kube-system")
	tm.refused(t, "the uploaded certificates have ended", 3, []string{"there are no uploaded certificates", "hactl init phase upload-certs --upload-certs"})
}

// clusterInfo changes what the cluster tells of itself to strangers. The
// controller-manager would sign that, too: it is stopped.
func (tm *tampering) clusterInfo(t *testing.T) {
	must(t, tm.cp, "mv", "/etc/kubernetes/manifests/kube-controller-manager.yaml", "/root/")
	eventually(t, time.Minute, "the controller-manager has ended", func() (bool, string) {
		return run(t, tm.cp, "pgrep", "kube-controller").code == 1, ""
	})
	conf := kubectl(t, tm.cp, "get", "cm", "cluster-info", "-n", "kube-public", "-o", "jsonpath={.data.kubeconfig}")
	patch := func(conf string) {
		t.Helper()
		data, err := json.Marshal(map[string]any{"data": map[string]string{"kubeconfig": conf}})
		if err != nil {
			t.Fatal(err)
		}
		kubectl(t, tm.cp, "patch", "cm", "cluster-info", "-n", "kube-public", "-p", string(data))
	}
	server := tm.cp.Address().String()
	changed := strings.ReplaceAll(conf, server, nodes.SpareAddress.String())
	ca := base64.StdEncoding.EncodeToString([]byte(must(t, tm.cp, "cat", "/etc/kubernetes/pki/front-proxy-ca.crt") + "\n"))
	before, after, found := strings.Cut(conf, "certificate-authority-data: ")
	_, rest, _ := strings.Cut(after, "\n")
	if changed == conf || !found {
		t.Fatalf("cluster-info is %s", conf)
	}
	patch(changed)
	tm.refused(t, "cluster-info names another server", 5, []string{"was changed"})
	patch(before + "certificate-authority-data: " + ca + "\n" + rest)
	tm.refused(t, "cluster-info names another CA", 5, []string{"another cluster", "sha256:"})
	tm.refused(t, "cluster-info names another CA, and there is no pin", 5, []string{"was changed"},
		"--discovery-token-ca-cert-hash "+tm.r.Join.CACertHash, "--discovery-token-unsafe-skip-ca-verification")
	patch(conf)
}
