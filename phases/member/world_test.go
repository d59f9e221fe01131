package member_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/etcd"
	"github.com/hactl/hactl/etcd/etcdtest"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/host"
	"github.com/hactl/hactl/phases/kube"
	"github.com/hactl/hactl/phases/member"
	"github.com/hactl/hactl/templates/staticpod"
)

const (
	manifest = dir + "/etcd.yaml"
	wal      = "/var/lib/etcd/member/wal"
	segment  = wal + "/0000000000000000-0000000000000000.wal"
	clusterA = etcdtest.MemoryClusterID
)

// world is a cluster whose first node, cp-1, runs etcd.
type world struct {
	t     *testing.T
	etcd  *etcd.Memory
	api   *kube.Memory
	flags []string // of every node's etcd

	mu      sync.Mutex
	crashes int // of etcd, for being told of other members than there are
}

func newWorld(t *testing.T, flags ...string) *world {
	w := &world{t: t, etcd: etcd.NewMemory("cp-1", peer(1)), api: kube.NewMemory(), flags: flags}
	w.pod("cp-1", 1)
	return w
}

func peer(n int) string   { return fmt.Sprintf("https://10.0.0.%d:2380", 10+n) }
func client(n int) string { return fmt.Sprintf("https://10.0.0.%d:2379", 10+n) }

// pod shows a node's etcd in the API.
func (w *world) pod(node string, n int) {
	err := w.api.Set(&corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "kube-system", Name: "etcd-" + node,
			Labels:      map[string]string{"component": "etcd", "tier": "control-plane"},
			Annotations: map[string]string{"kubeadm.kubernetes.io/etcd.advertise-client-urls": client(n)},
		},
		Spec: corev1.PodSpec{NodeName: node, Containers: []corev1.Container{{Name: "etcd", Command: append([]string{"etcd"}, w.flags...)}}},
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// voter adds a node that has long been a member.
func (w *world) voter(n int) {
	w.etcd.Join(fmt.Sprintf("cp-%d", n), peer(n))
	w.pod(fmt.Sprintf("cp-%d", n), n)
}

// node is a machine of the world, with a kubelet.
type node struct {
	*host.Memory
	w *world
	n int
	// idle keeps the kubelet from starting anything.
	idle bool
	// runs says that the kubelet knows a pod of etcd.
	runs bool
	// step runs before each call of a port, and may fail it.
	step func(call string) error
	// after runs after each call of a port that changed something.
	after func(call string) error
}

func (w *world) node(n int) *node {
	free := func(string) error { return nil }
	return &node{Memory: host.NewMemory(), w: w, n: n, step: free, after: free}
}

func (n *node) name() string { return fmt.Sprintf("cp-%d", n.n) }

// task is one run's.
func (n *node) task() *member.JoinTask {
	c := load(n.w.t, "default")
	t := &member.JoinTask{
		Task: member.Task{Files: n, Cluster: &c.Cluster, Local: c.Local, NodeName: n.name(), Timeouts: c.Timeouts, Dir: dir},
		API:  api{n.w.api, n}, Etcd: n.dial, Forget: n.forget,
	}
	for _, flag := range n.w.flags {
		name, value, _ := strings.Cut(strings.TrimPrefix(flag, "--"), "=")
		t.Cluster.Etcd.Local.ExtraArgs = append(t.Cluster.Etcd.Local.ExtraArgs, config.Arg{Name: name, Value: value})
	}
	t.Local.Address = netip.AddrFrom4([4]byte{10, 0, 0, byte(10 + n.n)})
	return t
}

func (n *node) dial(context.Context, []string) (etcd.Cluster, func() error, error) {
	return cluster{n.w.etcd, n}, func() error { return nil }, n.step("dial")
}

// do runs a call between step and after.
func (n *node) do(call string, f func() error) error {
	if err := n.step(call); err != nil {
		return err
	}
	if err := f(); err != nil {
		return err
	}
	return n.after(call)
}

func (n *node) Mkdir(ctx context.Context, path string, perm fs.FileMode) error {
	return n.do("mkdir", func() error { return n.Memory.Mkdir(ctx, path, perm) })
}

// WriteFile lets the kubelet see a manifest, a second later.
func (n *node) WriteFile(ctx context.Context, path string, data []byte, perm fs.FileMode) error {
	return n.do("write", func() error {
		err := n.Memory.WriteFile(ctx, path, data, perm)
		if err == nil && path == manifest {
			time.AfterFunc(time.Second, n.kubelet)
		}
		return err
	})
}

func (n *node) Remove(ctx context.Context, path string) error {
	return n.do("remove", func() error { return n.Memory.Remove(ctx, path) })
}

func (n *node) RemoveAll(ctx context.Context, path string) error {
	return n.do("remove all", func() error { return n.Memory.RemoveAll(ctx, path) })
}

// forget ends etcd and starts the kubelet anew.
func (n *node) forget(context.Context, bool) error {
	return n.do("forget", func() error {
		_ = n.w.etcd.Kill(n.name()) // if it runs
		n.w.mu.Lock()
		n.runs = false
		n.w.mu.Unlock()
		time.AfterFunc(time.Second, n.kubelet)
		return nil
	})
}

// holds says whether the kubelet has a pod already: it has no API server yet,
// and so never ends it for another.
func (n *node) holds() bool {
	n.w.mu.Lock()
	defer n.w.mu.Unlock()
	had := n.runs
	n.runs = true
	return had
}

// kubelet starts the etcd of the manifest, if there still is one.
func (n *node) kubelet() {
	if n.idle {
		return
	}
	ctx := context.Background()
	data, err := n.ReadFile(ctx, manifest)
	if err != nil {
		return // it is gone again
	}
	if n.holds() {
		return
	}
	pod := &corev1.Pod{}
	if err := yaml.UnmarshalStrict(data, pod); err != nil {
		n.w.t.Error(err)
		return
	}
	if err := n.boot(ctx, pod); err != nil {
		n.w.mu.Lock()
		n.w.crashes++
		n.w.mu.Unlock()
	}
}

// boot is etcd: without data it wants to be told of all members, no more and
// no fewer.
func (n *node) boot(ctx context.Context, pod *corev1.Pod) error {
	members, err := n.w.etcd.Members(ctx)
	if err != nil {
		return err
	}
	if _, none := n.Stat(ctx, segment); errors.Is(none, fs.ErrNotExist) {
		told, _ := staticpod.Flag(pod, "initial-cluster")
		if err := etcdtest.FirstStart(told, members); err != nil {
			return err
		}
		i := slices.IndexFunc(members, func(o etcd.Member) bool { return o.HasPeer(peer(n.n)) })
		err = n.Memory.WriteFile(ctx, segment, etcdtest.LogHead(members[i].ID, clusterA), 0o600)
	}
	if err := errors.Join(err, n.w.etcd.Start(peer(n.n), n.name())); err != nil {
		return err
	}
	n.w.pod(n.name(), n.n)
	return n.w.etcd.Sync(n.name())
}

// api and cluster are the ports as this node's hactl sees them.
type api struct {
	kube.API
	n *node
}

func (a api) Get(ctx context.Context, obj kube.Object) error {
	return a.n.do("get", func() error { return a.API.Get(ctx, obj) })
}

func (a api) List(ctx context.Context, list runtime.Object, namespace, selector string) error {
	return a.n.do("list", func() error { return a.API.List(ctx, list, namespace, selector) })
}

func (a api) Put(ctx context.Context, obj kube.Object) error {
	return a.n.do("put", func() error { return a.API.Put(ctx, obj) })
}

func (a api) Update(ctx context.Context, obj kube.Object) error {
	return a.n.do("update", func() error { return a.API.Update(ctx, obj) })
}

type cluster struct {
	etcd.Cluster
	n *node
}

func (c cluster) Members(ctx context.Context) (list []etcd.Member, err error) {
	err = c.n.do("members", func() (err error) { list, err = c.Cluster.Members(ctx); return err })
	return list, err
}

func (c cluster) Health(ctx context.Context) (r etcd.Report, err error) {
	err = c.n.do("health", func() (err error) { r, err = c.Cluster.Health(ctx); return err })
	return r, err
}

func (c cluster) Serves(ctx context.Context, clientURL string) error {
	return c.n.do("serves", func() error { return c.Cluster.Serves(ctx, clientURL) })
}

func (c cluster) AddLearner(ctx context.Context, peerURL string) (m etcd.Member, err error) {
	err = c.n.do("add", func() (err error) { m, err = c.Cluster.AddLearner(ctx, peerURL); return err })
	return m, err
}

func (c cluster) Promote(ctx context.Context, id uint64) error {
	return c.n.do("promote", func() error { return c.Cluster.Promote(ctx, id) })
}

func (c cluster) Remove(ctx context.Context, id uint64) error {
	return c.n.do("take out", func() error { return c.Cluster.Remove(ctx, id) })
}

var (
	_ kube.API     = api{}
	_ etcd.Cluster = cluster{}
)

// outcome is how a run ended and what it told.
type outcome struct {
	err    error
	end    phases.Kind
	told   []string // progress and warnings
	undone bool
}

func (o outcome) tells(text string) bool { return strings.Contains(strings.Join(o.told, "\n"), text) }

// do runs one phase over a task.
func do[T any](ctx context.Context, p phases.Phase[T], task *T) outcome {
	var o outcome
	o.err = phases.Run(ctx, []phases.Phase[T]{p}, task, phases.Options{Notify: func(e phases.Event) {
		switch e.Kind {
		case phases.Progress, phases.Warning:
			o.told = append(o.told, e.Reason)
		case phases.Undone:
			o.undone = true
		default:
			o.end = e.Kind
		}
	}})
	return o
}

// join runs phase etcd-join on the node, with a fresh task.
func (n *node) join(ctx context.Context) outcome { return do(ctx, member.JoinPhase(), n.task()) }

// members describes the member list: "cp-1 voter, 10.0.0.12 learner".
func (w *world) members() string {
	w.t.Helper()
	list, err := w.etcd.Members(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return etcdtest.Roles(list)
}

func exists(t *testing.T, files host.Files, path string) bool {
	t.Helper()
	_, err := files.Stat(t.Context(), path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return err == nil
}
