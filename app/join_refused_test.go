package app

import (
	"maps"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd/api"

	"github.com/hactl/hactl/certs"
	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/discovery"
	"github.com/hactl/hactl/phases/host"
)

// refusedJoin runs join, which must be refused with the exit code and by all
// of the words, and change nothing.
func (w *joinWorld) refusedJoin(in JoinInput, code phases.Code, words ...string) {
	w.t.Helper()
	before := w.everything()
	_, _, err := w.join(w.t.Context(), in, nil)
	if err == nil {
		w.t.Error("join is not refused")
		return
	}
	x := Explain(err)
	if x.Code != code {
		w.t.Errorf("exit code %d, want %d: %s", x.Code, code, x)
	}
	if len(x.Fix) == 0 && !strings.Contains(x.String(), "fix ") {
		w.t.Errorf("no way out: %s", x)
	}
	for _, word := range words {
		if !strings.Contains(x.String(), word) {
			w.t.Errorf("the refusal does not say %q:\n%s", word, x)
		}
	}
	if diff := cmp.Diff(before, w.everything()); diff != "" {
		w.t.Errorf("refused, and something is changed: -before +after\n%s", diff)
	}
}

// otherCA is the certificate of another cluster's authority.
func (w *joinWorld) otherCA() []byte {
	key, err := certs.NewKey(certs.ECDSAP256)
	if err != nil {
		w.t.Fatal(err)
	}
	a, err := certs.NewAuthority(certs.AuthoritySpec{CommonName: "kubernetes"}, key, w.now())
	if err != nil {
		w.t.Fatal(err)
	}
	return certs.EncodeCert(a.Cert)
}

// foreign puts a kubeconfig of another cluster there.
func (w *joinWorld) foreign(file string) {
	c := kubeconfigOf("https://other:6443", w.otherCA(), &api.AuthInfo{Token: "other"})
	w.file(file, kubeconfigText(w.t, c), 0o600)
}

// node puts a node of that name and address into the cluster.
func (w *joinWorld) node(name, address string) {
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}
	n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}
	if address != "" {
		n.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: address}}
	}
	if err := w.api.Set(n); err != nil {
		w.t.Fatal(err)
	}
}

// edit changes the ClusterConfiguration in the cluster.
func (w *joinWorld) edit(old, with string) {
	w.t.Helper()
	m := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "kubeadm-config"}}
	if err := w.first.api.Get(w.t.Context(), m); err != nil {
		w.t.Fatal(err)
	}
	text := m.Data["ClusterConfiguration"]
	if !strings.Contains(text, old) {
		w.t.Fatalf("no %q in\n%s", old, text)
	}
	m.Data["ClusterConfiguration"] = strings.Replace(text, old, with, 1)
	if err := w.api.Set(m); err != nil {
		w.t.Fatal(err)
	}
}

// mounts gives kube-apiserver two files of the machine and a directory that
// is made where it is not.
func mounts() InitInput {
	in := input()
	in.Config.Cluster.APIServer.ExtraVolumes = []config.HostPathMount{
		{Name: "audit", HostPath: "/etc/audit/policy.yaml", MountPath: "/etc/audit/policy.yaml", PathType: corev1.HostPathFile},
		{Name: "oidc", HostPath: "/etc/oidc", MountPath: "/etc/oidc"},
		{Name: "logs", HostPath: "/var/log/audit", MountPath: "/var/log/audit", PathType: corev1.HostPathDirectoryOrCreate},
	}
	in.Config.Cluster.APIServer.ExtraArgs = []config.Arg{
		{Name: "oidc-ca-file", Value: "/etc/oidc/ca.crt"},
		{Name: "audit-log-path", Value: "/var/log/audit/audit.log"},
	}
	return in
}

// refusal is a join that is refused.
type refusal struct {
	reason string
	before func(*joinWorld)
	in     JoinInput
	code   phases.Code
	words  []string
}

// with changes the configuration of an input.
func with(in JoinInput, change func(*config.JoinNode)) JoinInput {
	change(in.Config)
	return in
}

// alonePhase runs one phase of an input only, and without leaves one out.
func alonePhase(in JoinInput, path string) JoinInput {
	in.Only = []string{path}
	return in
}

func without(in JoinInput, path string) JoinInput {
	in.Skip = []string{path}
	return in
}

// takenMachines are machines, or names, that belong to others.
func takenMachines() map[string]refusal {
	return map[string]refusal{
		"ForeignKubelet": {"the kubelet is in another cluster", func(w *joinWorld) { w.foreign(kubeletConf) }, worker(),
			phases.CodeUnsafe, []string{"node of another cluster", "hactl reset"}},
		"ForeignKubeletPlane": {"and so for a control plane", func(w *joinWorld) { w.foreign(kubeletConf) }, plane(),
			phases.CodeUnsafe, []string{"node of another cluster", "hactl reset"}},
		"ForeignUnchecked": {"nobody looks in preflight", func(w *joinWorld) { w.foreign(kubeletConf) }, without(plane(), "preflight"),
			phases.CodeUnsafe, []string{"node of another cluster", "hactl reset"}},
		"ForeignAlone": {"nor for a phase alone", func(w *joinWorld) { w.foreign(kubeletConf) }, alonePhase(plane(), "control-plane-prepare"),
			phases.CodeUnsafe, []string{"node of another cluster", "hactl reset"}},
		"ForeignBootstrap": {"a join of another cluster was begun", func(w *joinWorld) { w.foreign(bootstrapConf) }, worker(),
			phases.CodeUnsafe, []string{"node of another cluster", "hactl reset"}},
		"ForeignAdmin": {"an administrator's file of another cluster", func(w *joinWorld) { w.foreign("/etc/kubernetes/admin.conf") }, plane(),
			phases.CodeUnsafe, []string{"node of another cluster", "hactl reset"}},
		"ForeignCAWorker": {"another cluster's CA", func(w *joinWorld) { w.file("/etc/kubernetes/pki/ca.crt", string(w.otherCA()), 0o644) }, worker(),
			phases.CodePreflight, []string{"/etc/kubernetes/pki/ca.crt", "hactl reset"}},
		"ForeignCAPlane": {"the same where certificates are downloaded", func(w *joinWorld) { w.file("/etc/kubernetes/pki/ca.crt", string(w.otherCA()), 0o644) }, plane(),
			phases.CodePreflight, []string{"/etc/kubernetes/pki/ca.crt", "hactl reset"}},
		"OtherFound": {"the node is in, and discovery finds another cluster", func(w *joinWorld) {
			w.mustJoin(worker())
			w.found = func(f *discovery.Found) { f.CA = w.otherCA() }
		}, worker(), phases.CodeUnsafe, []string{"node of another cluster", "hactl reset"}},
		"Damaged": {"a file was cut short", func(w *joinWorld) { w.file(kubeletConf, "apiVersion: v1\n", 0o600) }, worker(),
			phases.CodeFailed, []string{kubeletConf, "move it away"}},
		"NameTaken": {"another machine has the name", func(w *joinWorld) { w.node("cp-2", "10.0.0.99") }, worker(),
			phases.CodePreflight, []string{"cp-2", "10.0.0.99", "--node-name", "hactl node remove cp-2"}},
		"NameTakenPlane": {"and so for a control plane", func(w *joinWorld) { w.node("cp-2", "10.0.0.99") }, plane(),
			phases.CodePreflight, []string{"cp-2", "10.0.0.99"}},
		"NameTakenNowhere": {"that tells no address", func(w *joinWorld) { w.node("cp-2", "") }, worker(),
			phases.CodePreflight, []string{"cp-2", "does not tell"}},
	}
}

// badClusters have, or lack, what a control plane cannot do with.
func badClusters() map[string]refusal {
	wrongKey := with(plane(), func(c *config.JoinNode) { c.ControlPlane.CertificateKey = config.Secret(strings.Repeat("ab", 32)) })
	return map[string]refusal{
		"Peers": {"etcd on the other control plane cannot be reached", func(w *joinWorld) { w.unreachable = ":2380" }, plane(),
			phases.CodePreflight, []string{"cp-1 (10.0.0.11)", "2380"}},
		"Key": {"a key that opens nothing", func(*joinWorld) {}, wrongKey, phases.CodePreflight, []string{"key"}},
		"NoKey": {"neither key nor certificates", func(*joinWorld) {}, onDisk(),
			phases.CodePreflight, []string{"/etc/kubernetes/pki/ca.crt", "--certificate-key"}},
		"NotMounted": {"files that the components are given", func(*joinWorld) {}, plane(),
			phases.CodePreflight, []string{"/etc/audit/policy.yaml, /etc/oidc, /etc/oidc/ca.crt", "extraVolumes"}},
		"NotInMount": {"files that an argument names in a directory", func(w *joinWorld) {
			w.file("/etc/audit/policy.yaml", "content", 0o600)
			w.file("/etc/oidc/other.crt", "content", 0o600)
		}, plane(), phases.CodePreflight, []string{"missing on this machine: /etc/oidc/ca.crt: "}},
		"NoEndpoint": {"a cluster of one address", func(w *joinWorld) { w.edit("controlPlaneEndpoint: lb.example.com:6443\n", "") }, plane(),
			phases.CodePreflight, []string{"no control-plane endpoint", "controlPlaneEndpoint"}},
	}
}

// badInputs are mistakes of the user.
func badInputs() map[string]refusal {
	nowhere := with(worker(), func(c *config.JoinNode) { c.Discovery = config.Discovery{} })
	return map[string]refusal{
		"Setting": {"a setting is not valid", func(*joinWorld) {}, with(worker(), func(c *config.JoinNode) { c.Node.Name = "-x-" }),
			phases.CodeUsage, []string{"nodeRegistration.name"}},
		"NoDiscovery": {"nothing says where the cluster is", func(*joinWorld) {}, nowhere, phases.CodeUsage, []string{"discovery"}},
		"NoDiscoveryAlone": {"nor does what is there, for a phase alone", func(*joinWorld) {}, alonePhase(nowhere, "kubelet-start"),
			phases.CodeUsage, []string{"how to find the cluster", "hactl token create"}},
		"WorkerPhase": {"a worker has no etcd", func(*joinWorld) {}, alonePhase(worker(), "etcd-join"), phases.CodeUsage, []string{"etcd-join", "--control-plane"}},
		"Phase":       {"there is no such phase", func(*joinWorld) {}, without(worker(), "etcd"), phases.CodeUsage, []string{"etcd-join"}},
	}
}

func TestJoinRefused(t *testing.T) {
	cases := takenMachines()
	maps.Copy(cases, badClusters())
	maps.Copy(cases, badInputs())
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				made := input()
				if strings.Contains(name, "Mount") {
					made = mounts()
				}
				w := newJoinWorldOf(t, made)
				c.before(w)
				w.refusedJoin(c.in, c.code, c.words...)
				c.in.Config.DryRun = true
				w.refusedJoin(c.in, c.code, c.words...)
			})
		})
	}
}

// What looks like trouble and is none.
func TestJoinNotRefused(t *testing.T) {
	cases := map[string]struct {
		reason string
		before func(*joinWorld)
		in     JoinInput
	}{
		"OwnNode":     {"the machine was wiped and comes back", func(w *joinWorld) { w.node("cp-2", "10.0.0.12") }, plane()},
		"NewMember":   {"a worker's cluster may have one address", func(w *joinWorld) { w.edit("controlPlaneEndpoint: lb.example.com:6443\n", "") }, worker()},
		"WorkerPeers": {"a worker speaks with no etcd", func(w *joinWorld) { w.unreachable = ":2380" }, worker()},
		"Mounted": {"the files are there", func(w *joinWorld) {
			for _, file := range []string{"/etc/audit/policy.yaml", "/etc/oidc/ca.crt"} {
				w.file(file, "content", 0o600)
			}
		}, plane()},
		"WorkerMounts": {"a worker mounts nothing", func(*joinWorld) {}, worker()},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				made := input()
				if strings.Contains(name, "Mount") {
					made = mounts()
				}
				w := newJoinWorldOf(t, made)
				c.before(w)
				if _, _, err := w.join(t.Context(), c.in, nil); err != nil {
					t.Errorf("%s: %v", c.reason, Explain(err))
				}
			})
		})
	}
}

// A ClusterConfiguration beside the JoinConfiguration must say what the
// cluster says, as far as it says anything.
func TestJoinMustMatch(t *testing.T) {
	cases := map[string]struct {
		reason string
		change func(*config.Cluster)
		words  []string // of the refusal; none if it must not be refused
	}{
		"Nothing": {"what is at its default asks for nothing", func(c *config.Cluster) { *c = config.Cluster{} }, nil},
		"Same":    {"all as it was for init", func(*config.Cluster) {}, nil},
		"Label":   {"a label names no version", func(c *config.Cluster) { c.Version = "stable-1" }, nil},
		"Version": {"another version", func(c *config.Cluster) { c.Version = "v1.36.2" },
			[]string{"kubernetesVersion: the file says v1.36.2, the cluster has v1.37.1"}},
		"Two": {"each difference is told", func(c *config.Cluster) {
			c.Networking.DNSDomain = "corp.example"
			c.APIServer.ExtraArgs = []config.Arg{{Name: "v", Value: "4"}}
		}, []string{"networking.dnsDomain: the file says corp.example, the cluster has cluster.local",
			"apiServer.extraArgs[v].value: the file says 4, the cluster does not set it"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newJoinWorld(t)
				in := plane()
				given := input().Config.Cluster
				c.change(&given)
				in.Given = &given
				if c.words != nil {
					w.refusedJoin(in, phases.CodePreflight, c.words...)
					return
				}
				if _, _, err := w.join(t.Context(), in, nil); err != nil {
					t.Errorf("%s: %v", c.reason, Explain(err))
				}
			})
		})
	}
}

// A node that init made joins nothing.
func TestJoinOfInitNode(t *testing.T) {
	cases := map[string]struct {
		reason string
		before func(*world) // the machine that joins
		code   phases.Code
		words  []string
	}{
		"Other": {"it is a cluster of its own", func(w *world) { w.must(input()) }, phases.CodeUnsafe, []string{"hactl init made", "hactl reset"}},
		"Begun": {"its init was interrupted", func(w *world) { w.stopAfter(input(), "certs/ca") }, phases.CodeUnsafe, []string{"hactl init made", "hactl reset"}},
		"Nothing": {"its init made nothing", func(w *world) {
			w.fuse.Store(2)
			if _, _, err := w.init(w.t.Context(), input(), nil); err == nil {
				w.t.Fatal("the fuse is not blown")
			}
			w.fuse.Store(0)
		}, 0, nil},
	}
	for name, c := range cases {
		for role, in := range map[string]func() JoinInput{"Worker": worker, "Plane": plane} {
			t.Run(name+role, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newJoinWorld(t)
					alone := newWorld(t)
					alone.host, alone.start = w.host, w.start
					alone.host.HandleService(config.KubeletUnit, func(a host.ServiceAction) error {
						if a != host.RestartService {
							return nil
						}
						return alone.boot()
					})
					c.before(alone)
					w.handleKubelet()
					if c.words == nil {
						w.mustJoin(in())
						return
					}
					w.refusedJoin(in(), c.code, c.words...)
				})
			})
		}
	}
}

// The first control plane is a member already. A phase alone may mend it.
func TestJoinOfFirstNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newJoinWorld(t)
		own := newMachineOf(w.first, "cp-1", "10.0.0.11")
		own.host, own.etcd = w.first.host, w.etcd
		own.running.Store(true)
		own.serving.Store(true)
		own.refusedJoin(plane(), phases.CodeUnsafe, "a member of the cluster already", "hactl status")
		own.refusedJoin(worker(), phases.CodeUnsafe, "a member of the cluster already", "hactl status")
		own.mustJoin(alonePhase(plane(), "control-plane-join/mark-control-plane"))
	})
}
