package cleanup

import (
	"context"
	"errors"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/cri"
	"github.com/hactl/hactl/phases/host"
)

const unit = "kubelet.service"

// stacked and external are the manifests as kubeadm v1.37 writes them, as far
// as they matter here.
const (
	stackedServer  = "--etcd-servers=https://127.0.0.1:2379"
	externalServer = "--etcd-servers=https://10.0.0.31:2379,https://10.0.0.32:2379"
)

func manifest(name string, flags ...string) string {
	s := "apiVersion: v1\nkind: Pod\nmetadata:\n  name: " + name + "\nspec:\n  containers:\n  - name: " + name + "\n    command:\n    - " + name + "\n"
	for _, f := range flags {
		s += "    - " + f + "\n"
	}
	return s
}

// node is a machine in memory.
type node struct {
	t       *testing.T
	host    *host.Memory
	runtime *cri.Memory
	resists string // ID of a pod that does not stop
	gone    bool   // etcd counts no member of this node any more
	asked   []string
	answer  bool
}

// newNode makes a machine that has never been a node.
func newNode(t *testing.T) *node {
	n := &node{t: t, host: host.NewMemory(), runtime: cri.NewMemory(), gone: true, answer: true}
	n.files("/proc/self/status", "Uid:\t0\t0\t0\t0\n")
	n.host.SetService(unit, host.ServiceStatus{Enabled: true, Detail: "inactive/dead"})
	return n
}

func (n *node) files(pairs ...string) {
	n.t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		if err := n.host.WriteFile(n.t.Context(), pairs[i], []byte(pairs[i+1]), 0o600); err != nil {
			n.t.Fatal(err)
		}
	}
}

// worker makes it one, with two pods and a volume.
func (n *node) worker() *node {
	n.files(
		"/etc/kubernetes/kubelet.conf", "credentials",
		"/etc/kubernetes/pki/ca.crt", "certificate",
		"/var/lib/kubelet/config.yaml", "settings",
		"/var/lib/kubelet/hactl.yaml", "record",
		"/var/lib/kubelet/pki/kubelet-client-current.pem", "key",
		"/etc/cni/net.d/10-net.conflist", "network",
	)
	n.host.SetMount("/var/lib/kubelet/pods/1/volumes/kubernetes.io~secret/token")
	n.host.SetMount("/var/lib/kubelet/pods/1/volumes/kubernetes.io~csi/disk/mount")
	n.files("/var/lib/kubelet/pods/1/volumes/kubernetes.io~csi/disk/mount/file", "a user's data")
	n.host.SetService(unit, host.ServiceStatus{Enabled: true, Active: true, Detail: "active/running"})
	n.pod("s1", "default", "web")
	n.pod("s2", "kube-system", "kube-proxy-x")
	return n
}

func (n *node) pod(id, namespace, name string) {
	n.runtime.SetSandbox(cri.Sandbox{ID: id, Namespace: namespace, Pod: name, Ready: true})
	n.runtime.SetContainer(cri.Container{ID: id + "c", Namespace: namespace, Pod: name, Name: name, State: cri.Running})
}

// controlPlane makes it one, with etcd on it unless the server flag says
// otherwise.
func (n *node) controlPlane(server ...string) *node {
	n.worker()
	for _, name := range certNames(pairs) {
		n.files("/etc/kubernetes/pki/"+name, name)
	}
	n.files("/etc/kubernetes/pki/sa.key", "key", "/etc/kubernetes/pki/sa.pub", "key")
	for _, c := range confs {
		n.files("/etc/kubernetes/"+c, "credentials")
	}
	for _, c := range []string{"kube-apiserver", "kube-controller-manager", "kube-scheduler"} {
		n.files("/etc/kubernetes/manifests/"+c+".yaml", manifest(c, server...))
		n.pod("s-"+c, "kube-system", c+"-cp-1")
	}
	return n
}

// stacked makes it a control plane with a member of etcd.
func (n *node) stacked() *node {
	n.controlPlane(stackedServer)
	for _, name := range certNames(etcdPairs) {
		n.files("/etc/kubernetes/pki/etcd/"+name, name)
	}
	n.files("/etc/kubernetes/manifests/etcd.yaml", manifest("etcd", "--data-dir=/var/lib/etcd"),
		"/var/lib/etcd/member/snap/db", "data", "/var/lib/etcd/member/wal/0.wal", "log")
	n.pod("s-etcd", "kube-system", "etcd-cp-1")
	return n
}

func (n *node) task(h host.Host) *Task {
	return &Task{
		Host: h, Runtime: stubborn{n.runtime, n.resists}, NodeName: "cp-1",
		Dir: "/etc/kubernetes", CertDir: "/etc/kubernetes/pki", KubeletDir: "/var/lib/kubelet",
		Unit: unit, Record: "/var/lib/kubelet/hactl.yaml", Limit: time.Minute,
		MemberGone: func(context.Context) (bool, error) { return n.gone, nil },
		Ask: func(_ context.Context, text string) (bool, error) {
			n.asked = append(n.asked, text)
			return n.answer, nil
		},
		Now: func() time.Time { return time.Date(2026, 11, 21, 4, 5, 6, 0, time.UTC) },
	}
}

// stubborn is a runtime that cannot stop one of its pods.
type stubborn struct {
	*cri.Memory
	id string
}

func (s stubborn) StopSandbox(ctx context.Context, id string) error {
	if id == s.id {
		return errors.New("the process does not end")
	}
	return s.Memory.StopSandbox(ctx, id)
}

func (s stubborn) RemoveSandbox(ctx context.Context, id string) error {
	if id == s.id {
		return errors.New("the pod runs")
	}
	return s.Memory.RemoveSandbox(ctx, id)
}

// snapshot is every file with its content, every mount and every pod.
func (n *node) snapshot() map[string]string {
	n.t.Helper()
	all := map[string]string{}
	var walk func(string)
	walk = func(p string) {
		info, err := n.host.Stat(n.t.Context(), p)
		if err != nil {
			n.t.Fatal(err)
		}
		if !info.Mode.IsDir() {
			data, err := n.host.ReadFile(n.t.Context(), p)
			if err != nil {
				n.t.Fatal(err)
			}
			all[p] = string(data)
			return
		}
		all[p] = "directory"
		for _, name := range info.Names {
			walk(path.Join(p, name))
		}
	}
	walk("/")
	points, err := n.host.MountPoints(n.t.Context(), "/")
	pods, podErr := n.runtime.Sandboxes(n.t.Context())
	status, statusErr := n.host.Services().Status(n.t.Context(), unit)
	if err := errors.Join(err, podErr, statusErr); err != nil {
		n.t.Fatal(err)
	}
	for _, p := range points {
		all["mount "+p] += "."
	}
	for _, p := range pods {
		all["pod "+p.ID] = p.Name()
	}
	all["kubelet"] = status.Detail
	return all
}

// events are the warnings and the end of a run.
type events struct{ warnings []string }

func (e *events) notify(v phases.Event) {
	if v.Kind == phases.Warning {
		e.warnings = append(e.warnings, v.Reason)
	}
}

func run(ctx context.Context, t *Task, list ...phases.Phase[Task]) ([]string, error) {
	e := &events{}
	err := phases.Run(ctx, list, t, phases.Options{Notify: e.notify})
	return e.warnings, err
}

// names are the keys below dir, of a snapshot.
func below(all map[string]string, dir string) []string {
	var list []string
	for p := range all {
		if strings.HasPrefix(p, dir+"/") {
			list = append(list, strings.TrimPrefix(p, dir+"/"))
		}
	}
	slices.Sort(list)
	return list
}
