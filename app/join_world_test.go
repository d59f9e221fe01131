package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"

	"github.com/hactl/hactl/certs"
	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/etcd"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/discovery"
	"github.com/hactl/hactl/phases/host"
	"github.com/hactl/hactl/phases/kube"
	"github.com/hactl/hactl/phases/preflight"
)

// joinWorld is a machine that joins the cluster that init made on cp-1: the
// cluster is shared, the machine is another. Its changes are those of its
// own process, of the machine and of the cluster.
type joinWorld struct {
	*world
	first *world // cp-1
	etcd  *etcd.Memory
	addr  string // of this machine

	running atomic.Bool // the kubelet
	serving atomic.Bool // this machine's API server

	// lost is why discovery finds nothing, nil if it does.
	lost error
	// found changes what discovery finds.
	found func(*discovery.Found)
	// unreachable are the ports of peers that do not answer (":2380").
	unreachable string

	mu   sync.Mutex
	done map[string]bool // the changes by name, such as "write /a"
}

// newJoinWorld must be called in a bubble of testing/synctest.
func newJoinWorld(t *testing.T) *joinWorld { return newJoinWorldOf(t, input()) }

// newJoinWorldOf makes a world whose cluster init made of the input.
func newJoinWorldOf(t *testing.T, in InitInput) *joinWorld {
	first := newWorld(t)
	first.must(in)
	return newJoinWorldBeside(first)
}

// newJoinWorldBeside is a world whose cluster is that of its first machine.
func newJoinWorldBeside(first *world) *joinWorld {
	w := newMachineOf(first, "cp-2", "10.0.0.12")
	w.etcd = etcd.NewMemory("cp-1", "https://10.0.0.11:2380")
	w.etcd.MaxLearners(4)
	w.shareEtcd()
	for _, name := range []string{"etcd", "kube-apiserver"} {
		w.mirror(first.host, "cp-1", name)
	}
	return w
}

// newMachineOf is a machine that knows nothing of the cluster yet.
func newMachineOf(first *world, name, addr string) *joinWorld {
	w := &joinWorld{world: newWorld(first.t), first: first, addr: addr, done: map[string]bool{}}
	w.start, w.nodeName, w.api = first.start, name, first.api
	w.up.Store(true)
	w.balancer = func(context.Context) (net.Conn, error) { return first.serve(), nil }
	w.handleKubelet()
	first.api.Intercept(func(v kube.Verb, obj runtime.Object) error {
		if v == kube.Get || v == kube.List {
			return nil
		}
		return w.changed(string(v) + " " + nameOf(obj))
	})
	return w
}

// handleKubelet gives the machine its kubelet.
func (w *joinWorld) handleKubelet() {
	w.host.HandleService(config.KubeletUnit, func(a host.ServiceAction) error {
		if err := w.changed(string(a) + " " + config.KubeletUnit); err != nil {
			return err
		}
		if a == host.RestartService {
			w.running.Store(true)
			w.later()
		}
		return nil
	})
}

// shareEtcd makes the changes of etcd's members those of this machine.
func (w *joinWorld) shareEtcd() {
	changes := map[etcd.Method]string{
		etcd.MethodAddLearner: "add learner etcd member https://" + w.addr + ":2380",
		etcd.MethodPromote:    "promote etcd member " + w.nodeName,
		etcd.MethodRemove:     "remove etcd member " + w.nodeName,
	}
	w.etcd.Intercept(func(m etcd.Method) error {
		if name, ok := changes[m]; ok {
			return w.changed(name)
		}
		return nil
	})
}

// changed notes and counts a change.
func (w *joinWorld) changed(name string) error {
	if err := w.change(); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.done[name] = true
	return nil
}

// nameOf is the kind and name of an object.
func nameOf(obj runtime.Object) string {
	o, ok := obj.(kube.Object)
	if !ok {
		return fmt.Sprintf("%T", obj)
	}
	kind := strings.TrimPrefix(fmt.Sprintf("%T", obj), "*v1.")
	return strings.Replace(kind+" "+o.GetNamespace()+"/"+o.GetName(), " /", " ", 1)
}

func (w *joinWorld) ports() ports {
	p := w.world.ports()
	p.host = joinHost{counted{w.host, w.world}, w}
	p.hostname = func() (string, error) { return w.nodeName, nil }
	p.address = func() (netip.Addr, error) { return netip.MustParseAddr(w.addr), nil }
	p.addresses = func() ([]netip.Prefix, error) { return []netip.Prefix{netip.MustParsePrefix(w.addr + "/24")}, nil }
	p.healthy = w.healthy
	p.discovery = w.discovery
	p.dial = func(func(context.Context) (*rest.Config, error)) kube.API { return w.api }
	p.dialAPI = func(_ host.Files, server string, _ []string) kube.API {
		if strings.Contains(server, w.addr) {
			return ownServer{w.api, w}
		}
		return w.api
	}
	p.dialEtcd = func(context.Context, host.Files, string, []string) (etcd.Cluster, func() error, error) {
		return w.etcd, func() error { return nil }, nil
	}
	checks := p.checks
	p.checks = func(t *preflight.Task) {
		checks(t)
		t.Interfaces = p.addresses
		t.Dial = func(_ context.Context, _ netip.Addr, address string) error {
			if w.unreachable != "" && strings.HasSuffix(address, w.unreachable) {
				return errors.New("i/o timeout")
			}
			return nil
		}
	}
	return p
}

// discovery finds the cluster of cp-1.
func (w *joinWorld) discovery(context.Context, *discovery.Task) (*discovery.Found, error) {
	if w.lost != nil {
		return nil, w.lost
	}
	f := &discovery.Found{
		Server: "https://lb.example.com:6443", Endpoint: "https://lb.example.com:6443",
		CA: w.read(w.first.host, "/etc/kubernetes/pki/ca.crt"), Token: knownToken,
	}
	if w.found != nil {
		w.found(f)
	}
	f.Kubeconfig = kubeconfigOf(f.Server, f.CA, &api.AuthInfo{Token: knownToken})
	return f, nil
}

func kubeconfigOf(server string, ca []byte, user *api.AuthInfo) *api.Config {
	c := api.NewConfig()
	c.Clusters["c"] = &api.Cluster{Server: server, CertificateAuthorityData: ca}
	c.AuthInfos["u"] = user
	c.Contexts["x"] = &api.Context{Cluster: "c", AuthInfo: "u"}
	c.CurrentContext = "x"
	return c
}

func (w *joinWorld) read(files host.Files, name string) []byte {
	w.t.Helper()
	data, err := files.ReadFile(w.t.Context(), name)
	if err != nil {
		w.t.Fatal(err)
	}
	return data
}

// healthy tells of the kubelet and of this node's control plane.
func (w *joinWorld) healthy(_ context.Context, url string) error {
	if strings.Contains(url, ":10248") && w.running.Load() || w.serving.Load() {
		return nil
	}
	return syscall.ECONNREFUSED
}

// join runs Join in the world; watch, if not nil, sees every event.
func (w *joinWorld) join(ctx context.Context, in JoinInput, watch func(phases.Event)) (*Joined, *log, error) {
	l := &log{}
	r, err := joinOver(ctx, w.ports(), in, func(s string) { l.titles = append(l.titles, s) }, func(e phases.Event) {
		l.events = append(l.events, e)
		if watch != nil {
			watch(e)
		}
	})
	return r, l, err
}

// mustJoin runs a join that must end well.
func (w *joinWorld) mustJoin(in JoinInput) *log {
	w.t.Helper()
	_, l, err := w.join(w.t.Context(), in, nil)
	if err != nil {
		w.t.Fatal(Explain(err))
	}
	return l
}

// worker is the input of an ordinary worker.
func worker() JoinInput {
	return JoinInput{Config: &config.JoinNode{Discovery: config.Discovery{Token: &config.TokenDiscovery{
		Token: knownToken, Endpoint: config.HostPort{Host: "lb.example.com", Port: 6443}, UnsafeSkipCAVerification: true,
	}}}}
}

// plane is the input of a control plane that has the certificate key.
func plane() JoinInput {
	in := worker()
	in.Config.ControlPlane = &config.JoinControlPlane{CertificateKey: knownKey}
	return in
}

// onDisk is the input of a control plane that has the certificates.
func onDisk() JoinInput {
	in := plane()
	in.Config.ControlPlane.CertificateKey = ""
	return in
}

// carry brings the shared certificates to the machine by hand.
func (w *joinWorld) carry(except ...string) {
	w.t.Helper()
	for _, name := range []string{"ca.crt", "ca.key", "front-proxy-ca.crt", "front-proxy-ca.key", "etcd/ca.crt", "etcd/ca.key", "sa.pub", "sa.key"} {
		if !strings.Contains(strings.Join(except, " "), name) {
			file := path.Join("/etc/kubernetes/pki", name)
			w.file(file, string(w.read(w.first.host, file)), 0o600)
		}
	}
}

// authority is the cluster's CA with its key.
func (w *joinWorld) authority() *certs.Authority {
	list, err := certs.ParseCerts(w.read(w.first.host, "/etc/kubernetes/pki/ca.crt"))
	if err != nil {
		w.t.Fatal(err)
	}
	key, err := certs.ParseKey(w.read(w.first.host, "/etc/kubernetes/pki/ca.key"))
	if err != nil {
		w.t.Fatal(err)
	}
	return &certs.Authority{Cert: list[0], Key: key}
}

// later is a moment of the kubelet, a second from now.
func (w *joinWorld) later() { time.AfterFunc(time.Second, w.kubelet) }

// members tells the members of etcd: "cp-1 voter, cp-2 learner".
func (w *joinWorld) members() string {
	w.t.Helper()
	list, err := w.etcd.Members(context.Background())
	if err != nil {
		w.t.Fatal(err)
	}
	var words []string
	for _, m := range list {
		role := " voter"
		if m.Learner {
			role = " learner"
		}
		words = append(words, m.Name+role)
	}
	return strings.Join(words, ", ")
}

// everything is the snapshot with the members of etcd.
func (w *joinWorld) everything() map[string]string {
	s := w.snapshot()
	s["members of etcd"] = w.members()
	return s
}

// kubeconfigText is a kubeconfig as it is in a file.
func kubeconfigText(t *testing.T, c *api.Config) string {
	t.Helper()
	data, err := clientcmd.Write(*c)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// carrySigned brings what others signed for the machine, whose cluster's CA
// keeps its key elsewhere.
func (w *joinWorld) carrySigned() {
	w.t.Helper()
	w.carry()
	in := onDisk()
	in.Only = []string{"control-plane-prepare"}
	w.mustJoin(in)
	for _, file := range []string{"/etc/kubernetes/pki/ca.key", kubeletConf, "/etc/kubernetes/manifests/kube-apiserver.yaml"} {
		if err := w.host.Remove(w.t.Context(), file); err != nil {
			w.t.Fatal(err)
		}
	}
	w.changes.Store(0)
}
