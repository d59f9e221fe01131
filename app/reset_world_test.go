package app

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/etcd"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/cri"
	"github.com/hactl/hactl/phases/host"
	"github.com/hactl/hactl/phases/kube"
)

// resetWorld is a control-plane node that init made, in a cluster with etcd
// members on three.
type resetWorld struct {
	*world
	etcd   *etcd.Memory
	asked  []string
	answer bool
	// isolated makes every way to the cluster a mistake of the test.
	isolated bool
}

// newResetWorld must be called in a bubble of testing/synctest.
func newResetWorld(t *testing.T) *resetWorld {
	w := &resetWorld{world: newWorld(t), etcd: etcd.NewMemory("cp-1", "https://10.0.0.11:2380"), answer: true}
	if _, _, err := w.init(t.Context(), input(), nil); err != nil {
		t.Fatal(Explain(err))
	}
	for i, name := range []string{"cp-2", "cp-3"} {
		w.etcd.Join(name, fmt.Sprintf("https://10.0.0.%d:2380", 12+i))
	}
	w.run()
	return w
}

// newWorkerWorld makes a worker of another tool.
func newWorkerWorld(t *testing.T) *resetWorld {
	w := &resetWorld{world: newWorld(t), etcd: etcd.NewMemory("cp-1", "https://10.0.0.11:2380"), answer: true, isolated: true}
	w.file("/etc/kubernetes/kubelet.conf", "credentials", 0o600)
	w.file("/etc/kubernetes/pki/ca.crt", "certificate", 0o644)
	w.file("/var/lib/kubelet/config.yaml", "settings", 0o644)
	w.file("/var/lib/etcd/member/wal/0.wal", "another cluster's", 0o600)
	w.run()
	return w
}

// run is what the kubelet does: pods, their volumes, the data of etcd.
func (w *resetWorld) run() {
	if _, err := w.host.ReadFile(w.t.Context(), "/etc/kubernetes/manifests/etcd.yaml"); err == nil {
		w.file("/var/lib/etcd/member/wal/0.wal", "log", 0o600)
	}
	for i, name := range []string{"etcd", "kube-apiserver", "kube-proxy"} {
		w.runtime.SetSandbox(cri.Sandbox{ID: fmt.Sprint("s", i), Namespace: "kube-system", Pod: name + "-cp-1", Ready: true})
	}
	w.host.SetMount("/var/lib/kubelet/pods/1/volumes/token")
	w.host.SetService(config.KubeletUnit, host.ServiceStatus{Active: true, Enabled: true, Detail: "active/running"})
}

func (w *resetWorld) reset(ctx context.Context, in ResetInput) (*ResetResult, *log, error) {
	p := w.ports()
	p.host = resetHost{counted{w.host, w.world}}
	dialAPI := p.dialAPI
	p.dialAPI = func(files host.Files, server string, list []string) kube.API {
		w.mayDial("the API")
		return dialAPI(files, server, list)
	}
	p.dialEtcd = func(context.Context, host.Files, string, []string) (etcd.Cluster, func() error, error) {
		w.mayDial("etcd")
		return w.etcd, func() error { return nil }, nil
	}
	if in.Ask == nil {
		in.Ask = func(_ context.Context, text string) (bool, error) {
			w.asked = append(w.asked, text)
			return w.answer, nil
		}
	}
	l := &log{}
	r, err := resetOver(ctx, p, in, func(s string) { l.titles = append(l.titles, s) }, func(e phases.Event) { l.events = append(l.events, e) })
	return r, l, err
}

func (w *resetWorld) mayDial(what string) {
	if w.isolated {
		w.t.Errorf("the reset asks %s", what)
	}
}

// resetHost counts what only a reset does.
type resetHost struct{ counted }

func (h resetHost) RemoveAll(ctx context.Context, p string) error {
	if err := h.w.change(); err != nil {
		return err
	}
	return h.Memory.RemoveAll(ctx, p)
}

func (h resetHost) Rename(ctx context.Context, from, to string) error {
	if err := h.w.change(); err != nil {
		return err
	}
	return h.Memory.Rename(ctx, from, to)
}

func (h resetHost) Unmount(ctx context.Context, p string, flags ...host.UnmountFlag) error {
	if err := h.w.change(); err != nil {
		return err
	}
	return h.Memory.Unmount(ctx, p, flags...)
}

func (w *resetWorld) members() []string {
	w.t.Helper()
	w.etcd.Intercept(nil)
	list, err := w.etcd.Members(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	var names []string
	for _, m := range list {
		names = append(names, m.Name)
	}
	return names
}

// traces are what is left on the machine of a node.
func (w *resetWorld) traces() []string {
	var list []string
	for name := range w.snapshot() {
		if strings.HasPrefix(name, "/etc/kubernetes/") || strings.HasPrefix(name, "/var/lib/") {
			list = append(list, name)
		}
	}
	slices.Sort(list)
	return list
}
