//go:build e2e

package e2e

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hactl/hactl/e2e/nodes"
)

// TestInit makes one cluster and looks at it from all sides. The subtests
// run in order: each leaves the cluster as the next expects it.
func TestInit(t *testing.T) {
	lab := start(t, nodes.Options{Name: "init", ControlPlanes: 2, Workers: 1, LoadBalancers: 1})
	cp := lab.Node("cp-1")
	if !t.Run("BadInput", func(t *testing.T) { badInput(t, lab, cp) }) {
		return
	}
	flags := []string{"init", "--control-plane-endpoint", lab.Endpoint(), "--upload-certs", "--pod-network-cidr", podCIDR}
	t.Run("DryRun", func(t *testing.T) { dryRun(t, cp, flags) })
	var result initResult
	if !t.Run("Init", func(t *testing.T) { result = firstInit(t, cp, flags) }) {
		return
	}
	if err := lab.PodNetwork(t.Context(), podCIDR); err != nil {
		t.Fatal(err)
	}
	t.Run("Ready", func(t *testing.T) {
		kubectl(t, cp, "wait", "--for=condition=Ready", "node/cp-1", "--timeout=60s")
		kubectl(t, cp, "rollout", "status", "deployment/coredns", "-n", "kube-system", "--timeout=90s")
		kubectl(t, cp, "wait", "--for=condition=Ready", "pods", "--all", "-n", "kube-system", "--timeout=60s")
	})
	t.Run("Files", func(t *testing.T) { files(t, cp) })
	t.Run("Objects", func(t *testing.T) { objects(t, cp) })
	t.Run("LoadBalancer", func(t *testing.T) {
		url := "https://" + lab.Endpoint() + "/readyz"
		if got := must(t, lab.Node("worker-1"), "curl", "-sk", url); got != "ok" {
			t.Errorf("%s answers %q", url, got)
		}
	})
	t.Run("Images", func(t *testing.T) {
		if o := hactl(t, cp, "config", "images", "pull", "--kubernetes-version", lab.Versions().Kubernetes); o.code != 0 {
			t.Errorf("exit code %d\n%s%s", o.code, o.stdout, o.stderr)
		}
	})
	t.Run("Again", func(t *testing.T) { again(t, cp, flags) })
	t.Run("UploadedCerts", func(t *testing.T) { uploadedCerts(t, cp, result.CertificateKey) })
	t.Run("KubeadmJoins", func(t *testing.T) { kubeadmJoins(t, lab, result) })
	t.Run("Workload", func(t *testing.T) { workload(t, cp) })
	t.Run("Tokens", func(t *testing.T) { tokens(t, cp) })
	t.Run("Ports", func(t *testing.T) { ports(t, cp) })
	t.Run("TokenExpires", func(t *testing.T) { tokenExpires(t, cp) })
}

// initResult is what the tests need of the JSON result.
type initResult struct {
	Node, Endpoint, CertificateKey string
	Join                           struct{ Token, CACertHash, ControlPlaneCommand, WorkerCommand string }
	Certificates                   []struct {
		Path    string
		Expires time.Time
	}
}

func firstInit(t *testing.T, cp *nodes.Node, flags []string) initResult {
	o, peak := measured(t, cp, append(flags, "-o", "json")...)
	if o.code != 0 {
		t.Fatalf("exit code %d\n%s%s", o.code, o.stdout, o.stderr)
	}
	t.Logf("init took %.1f s and peaked at %.0f MB", o.took.Seconds(), float64(peak)/1e6)
	if limit := int64(100e6); peak > limit || peak < 5e6 {
		t.Errorf("init peaked at %d bytes of memory, the limit is %d", peak, limit)
	}
	var result initResult
	var finished []string
	for line := range strings.Lines(o.stdout) {
		var l struct {
			Type, Phase, Kind string
			Result            json.RawMessage
		}
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatalf("%v in line %s", err, line)
		}
		if l.Kind == "finished" && !strings.Contains(l.Phase, "/") {
			finished = append(finished, l.Phase)
		}
		if l.Type == "result" {
			if err := json.Unmarshal(l.Result, &result); err != nil {
				t.Fatal(err)
			}
		}
	}
	want := []string{
		"preflight", "certs", "kubeconfig", "etcd", "control-plane", "kubelet-start", "wait-control-plane", "upload-config",
		"upload-certs", "mark-control-plane", "bootstrap-token", "kubelet-finalize", "addon", "show-join-command",
	}
	if diff := cmp.Diff(want, finished); diff != "" {
		t.Errorf("finished phases: -want +got\n%s", diff)
	}
	if key, err := hex.DecodeString(result.CertificateKey); err != nil || len(key) != 32 {
		t.Errorf("certificate key %q is not 32 bytes in hexadecimal", result.CertificateKey)
	}
	return result
}

// files compares the files and their modes with those that kubeadm v1.37
// leaves behind.
func files(t *testing.T, cp *nodes.Node) {
	want := strings.Fields(`
		600:/etc/kubernetes/admin.conf
		600:/etc/kubernetes/controller-manager.conf
		600:/etc/kubernetes/kubelet.conf
		600:/etc/kubernetes/manifests/etcd.yaml
		600:/etc/kubernetes/manifests/kube-apiserver.yaml
		600:/etc/kubernetes/manifests/kube-controller-manager.yaml
		600:/etc/kubernetes/manifests/kube-scheduler.yaml
		644:/etc/kubernetes/pki/apiserver-etcd-client.crt
		600:/etc/kubernetes/pki/apiserver-etcd-client.key
		644:/etc/kubernetes/pki/apiserver-kubelet-client.crt
		600:/etc/kubernetes/pki/apiserver-kubelet-client.key
		644:/etc/kubernetes/pki/apiserver.crt
		600:/etc/kubernetes/pki/apiserver.key
		644:/etc/kubernetes/pki/ca.crt
		600:/etc/kubernetes/pki/ca.key
		644:/etc/kubernetes/pki/etcd/ca.crt
		600:/etc/kubernetes/pki/etcd/ca.key
		644:/etc/kubernetes/pki/etcd/healthcheck-client.crt
		600:/etc/kubernetes/pki/etcd/healthcheck-client.key
		644:/etc/kubernetes/pki/etcd/peer.crt
		600:/etc/kubernetes/pki/etcd/peer.key
		644:/etc/kubernetes/pki/etcd/server.crt
		600:/etc/kubernetes/pki/etcd/server.key
		644:/etc/kubernetes/pki/front-proxy-ca.crt
		600:/etc/kubernetes/pki/front-proxy-ca.key
		644:/etc/kubernetes/pki/front-proxy-client.crt
		600:/etc/kubernetes/pki/front-proxy-client.key
		600:/etc/kubernetes/pki/sa.key
		600:/etc/kubernetes/pki/sa.pub
		600:/etc/kubernetes/scheduler.conf
		600:/etc/kubernetes/super-admin.conf
		644:/var/lib/kubelet/config.yaml
		644:/var/lib/kubelet/instance-config.yaml
		644:/var/lib/kubelet/kubeadm-flags.env`)
	got := strings.Fields(must(t, cp, "find", "/etc/kubernetes", "/var/lib/kubelet/config.yaml", "/var/lib/kubelet/instance-config.yaml",
		"/var/lib/kubelet/kubeadm-flags.env", "-path", "/etc/kubernetes/kubelet.conf.d", "-prune", "-o", "-type", "f", "-printf", "%m:%p\n"))
	byPath := func(a, b string) int { return strings.Compare(a[4:], b[4:]) }
	slices.SortFunc(got, byPath)
	slices.SortFunc(want, byPath)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("files: -want +got\n%s", diff)
	}
	for dir, mode := range map[string]string{"/etc/kubernetes/manifests": "700", "/etc/kubernetes/pki": "700", "/var/lib/etcd": "700"} {
		if got := must(t, cp, "stat", "-c", "%a", dir); got != mode {
			t.Errorf("%s has mode %s, want %s", dir, got, mode)
		}
	}
	if conf := must(t, cp, "cat", "/etc/kubernetes/kubelet.conf"); !strings.Contains(conf, "client-certificate: /var/lib/kubelet/pki/kubelet-client-current.pem") {
		t.Error("kubelet.conf does not use the certificate that the kubelet renews")
	}
}

// objects looks for everything that kubeadm v1.37 puts into a cluster.
func objects(t *testing.T, cp *nodes.Node) {
	namespaced := map[string][]string{
		"kube-system": strings.Fields(`
			configmap/kubeadm-config configmap/kubelet-config configmap/kube-proxy configmap/coredns
			secret/kubeadm-certs serviceaccount/coredns serviceaccount/kube-proxy
			role/kubeadm:nodes-kubeadm-config role/kubeadm:kubelet-config role/kubeadm:kubeadm-certs role/kube-proxy
			rolebinding/kubeadm:nodes-kubeadm-config rolebinding/kubeadm:kubelet-config rolebinding/kubeadm:kubeadm-certs rolebinding/kube-proxy
			deployment/coredns service/kube-dns daemonset/kube-proxy
			pod/etcd-cp-1 pod/kube-apiserver-cp-1 pod/kube-controller-manager-cp-1 pod/kube-scheduler-cp-1`),
		"kube-public": strings.Fields(`configmap/cluster-info role/kubeadm:bootstrap-signer-clusterinfo rolebinding/kubeadm:bootstrap-signer-clusterinfo`),
	}
	cluster := strings.Fields(`
		clusterrole/kubeadm:get-nodes clusterrole/system:coredns
		clusterrolebinding/kubeadm:get-nodes clusterrolebinding/kubeadm:kubelet-bootstrap clusterrolebinding/kubeadm:node-autoapprove-bootstrap
		clusterrolebinding/kubeadm:node-autoapprove-certificate-rotation clusterrolebinding/kubeadm:apiserver-kubelet-client
		clusterrolebinding/kubeadm:cluster-admins clusterrolebinding/kubeadm:node-proxier clusterrolebinding/system:coredns`)
	kubectl(t, cp, append([]string{"get"}, cluster...)...)
	for namespace, names := range namespaced {
		kubectl(t, cp, append([]string{"get", "-n", namespace}, names...)...)
	}
	if data := kubectl(t, cp, "get", "cm", "cluster-info", "-n", "kube-public", "-o", "jsonpath={.data}"); !strings.Contains(data, "jws-kubeconfig-") {
		eventually(t, 30*time.Second, "cluster-info is signed", func() (bool, string) {
			data := kubectl(t, cp, "get", "cm", "cluster-info", "-n", "kube-public", "-o", "jsonpath={.data}")
			return strings.Contains(data, "jws-kubeconfig-"), data
		})
	}
	node := kubectl(t, cp, "get", "node", "cp-1", "-o", "jsonpath={.metadata.labels}{.spec.taints}")
	for _, want := range []string{"node-role.kubernetes.io/control-plane", "node.kubernetes.io/exclude-from-external-load-balancers", `"effect":"NoSchedule"`} {
		if !strings.Contains(node, want) {
			t.Errorf("node cp-1 lacks %s: %s", want, node)
		}
	}
}

// again runs the same command a second time: it ends well and changes
// nothing on disk.
func again(t *testing.T, cp *nodes.Node, flags []string) {
	sums := func() string {
		return must(t, cp, "sh", "-c", "find /etc/kubernetes /var/lib/kubelet/*.yaml /var/lib/kubelet/*.env -type f | sort | xargs sha256sum")
	}
	before := sums()
	o := hactl(t, cp, flags...)
	if o.code != 0 {
		t.Fatalf("exit code %d\n%s%s", o.code, o.stdout, o.stderr)
	}
	if diff := cmp.Diff(before, sums()); diff != "" {
		t.Errorf("files changed: -before +after\n%s", diff)
	}
	for _, phase := range []string{"certs", "kubeconfig", "etcd", "control-plane", "kubelet-start", "upload-config", "mark-control-plane", "bootstrap-token", "kubelet-finalize", "addon"} {
		if !strings.Contains(o.stderr, fmt.Sprintf("  %-20s unchanged", phase)) {
			t.Errorf("phase %s is not reported as unchanged:\n%s", phase, o.stderr)
		}
	}
}

// uploadedCerts opens the Secret with the printed key, as another tool would.
func uploadedCerts(t *testing.T, cp *nodes.Node, key string) {
	// The run before this one had no key given, and uploaded anew.
	o := hactl(t, cp, "init", "phase", "upload-certs", "--upload-certs", "--certificate-key-file", writeKey(t, cp, key))
	if o.code != 0 {
		t.Fatalf("exit code %d\n%s%s", o.code, o.stdout, o.stderr)
	}
	var secret struct {
		Data     map[string]string
		Metadata struct {
			OwnerReferences []struct {
				Kind, Name string
				Controller bool
			}
		}
	}
	if err := json.Unmarshal([]byte(kubectl(t, cp, "get", "secret", "kubeadm-certs", "-n", "kube-system", "-o", "json")), &secret); err != nil {
		t.Fatal(err)
	}
	for name, file := range map[string]string{
		"ca.crt": "ca.crt", "ca.key": "ca.key", "sa.key": "sa.key", "sa.pub": "sa.pub", "front-proxy-ca.crt": "front-proxy-ca.crt",
		"front-proxy-ca.key": "front-proxy-ca.key", "etcd-ca.crt": "etcd/ca.crt", "etcd-ca.key": "etcd/ca.key",
	} {
		if got, want := open(t, key, secret.Data[name]), must(t, cp, "cat", "/etc/kubernetes/pki/"+file); strings.TrimSpace(got) != want {
			t.Errorf("%s in the Secret is not %s on disk", name, file)
		}
	}
	if len(secret.Data) != 8 {
		t.Errorf("the Secret has %d keys, want 8", len(secret.Data))
	}
	owners := secret.Metadata.OwnerReferences
	if len(owners) != 1 || !owners[0].Controller || !strings.HasPrefix(owners[0].Name, "bootstrap-token-") {
		t.Fatalf("the Secret's owners are %v, want one bootstrap token", owners)
	}
	expires, err := time.Parse(time.RFC3339, secretField(t, cp, owners[0].Name, "expiration"))
	if left := time.Until(expires); err != nil || left < 115*time.Minute || left > 2*time.Hour {
		t.Errorf("the owning token has %s left (%v), want two hours", left, err)
	}
}

func writeKey(t *testing.T, n *nodes.Node, key string) string {
	t.Helper()
	const file = "/root/certificate-key"
	if err := n.WriteFile(t.Context(), file, []byte(key+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// open opens a value of the Secret: AES-256-GCM with the nonce in front.
func open(t *testing.T, key, value string) string {
	t.Helper()
	raw, err := hex.DecodeString(key)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := base64.StdEncoding.DecodeString(value)
	if err != nil {
		t.Fatal(err)
	}
	block, err := aes.NewCipher(raw)
	if err != nil {
		t.Fatal(err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := gcm.Open(nil, sealed[:gcm.NonceSize()], sealed[gcm.NonceSize():], nil)
	if err != nil {
		t.Fatal(err)
	}
	return string(plain)
}

func secretField(t *testing.T, cp *nodes.Node, name, field string) string {
	t.Helper()
	raw, err := base64.StdEncoding.DecodeString(kubectl(t, cp, "get", "secret", name, "-n", "kube-system", "-o", "jsonpath={.data."+field+"}"))
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// kubeadmJoins joins a control plane and a worker by kubeadm, with the
// commands that hactl gave.
func kubeadmJoins(t *testing.T, lab *nodes.Lab, result initResult) {
	for name, command := range map[string]string{"cp-2": result.Join.ControlPlaneCommand, "worker-1": result.Join.WorkerCommand} {
		command = "kubeadm" + strings.TrimPrefix(command, "hactl")
		argv := append(strings.Fields(command), "--ignore-preflight-errors="+lab.IgnoredChecks())
		if r, err := lab.Node(name).Run(t.Context(), argv...); err != nil {
			t.Fatalf("%v\n%s", err, r.Stdout)
		}
	}
	if err := lab.PodNetwork(t.Context(), podCIDR); err != nil {
		t.Fatal(err)
	}
	kubectl(t, lab.Node("cp-1"), "wait", "--for=condition=Ready", "nodes", "--all", "--timeout=120s")
}

// workload runs a Deployment and asks it by its Service's name.
func workload(t *testing.T, cp *nodes.Node) {
	kubectl(t, cp, "create", "deployment", "echo", "--image=hactl.lab/echo:1", "--replicas=2")
	kubectl(t, cp, "expose", "deployment", "echo", "--port=80", "--target-port=8080")
	kubectl(t, cp, "rollout", "status", "deployment/echo", "--timeout=90s")
	kubectl(t, cp, "run", "ask", "--image=hactl.lab/echo:1", "--restart=Never", "--", "get", "http://echo.default.svc.cluster.local/")
	kubectl(t, cp, "wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/ask", "--timeout=60s")
	if got := kubectl(t, cp, "logs", "ask"); !strings.HasPrefix(got, "echo-") {
		t.Errorf("the Service answers %q, want the name of a pod of the Deployment", got)
	}
}

// tokenExpires ends the token that owns the Secret and sees both go.
func tokenExpires(t *testing.T, cp *nodes.Node) {
	owner := kubectl(t, cp, "get", "secret", "kubeadm-certs", "-n", "kube-system", "-o", "jsonpath={.metadata.ownerReferences[0].name}")
	past := base64.StdEncoding.EncodeToString([]byte(time.Now().Add(-time.Minute).UTC().Format(time.RFC3339)))
	kubectl(t, cp, "patch", "secret", owner, "-n", "kube-system", "-p", fmt.Sprintf(`{"data":{"expiration":%q}}`, past))
	eventually(t, 90*time.Second, "the token and the uploaded certificates are gone", func() (bool, string) {
		left := kubectl(t, cp, "get", "secret", owner, "kubeadm-certs", "-n", "kube-system", "--ignore-not-found", "-o", "name")
		return left == "", left
	})
}

// dryRun changes nothing and names what it would.
func dryRun(t *testing.T, cp *nodes.Node, flags []string) {
	before := machineState(t, cp)
	o := hactl(t, cp, append(flags, "--dry-run")...)
	if o.code != 0 {
		t.Fatalf("exit code %d\n%s%s", o.code, o.stdout, o.stderr)
	}
	for _, want := range []string{"/etc/kubernetes/pki/ca.key", "/etc/kubernetes/manifests/kube-apiserver.yaml", "kubelet.service", "kube-system/kubeadm-config", "kube-system/coredns"} {
		if !strings.Contains(o.stdout, want) {
			t.Errorf("the dry run does not name %s:\n%s", want, o.stdout)
		}
	}
	if diff := cmp.Diff(before, machineState(t, cp)); diff != "" {
		t.Errorf("the dry run changed the machine: -before +after\n%s", diff)
	}
}

// machineState is what init writes to, before it has run.
func machineState(t *testing.T, n *nodes.Node) string {
	t.Helper()
	return must(t, n, "sh", "-c", "find /etc/kubernetes /var/lib/kubelet /var/lib/etcd 2>/dev/null | sort; systemctl show kubelet -p MainPID")
}
