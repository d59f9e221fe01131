package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"path"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/cri"
	"github.com/hactl/hactl/phases/host"
	"github.com/hactl/hactl/phases/kube"
	"github.com/hactl/hactl/phases/preflight"
)

// What the user gives, to be looked for where it must not stand.
const (
	knownToken = "abcdef.0123456789abcdef"
	knownKey   = "5ec2e7c0ffee5ec2e7c0ffee5ec2e7c0ffee5ec2e7c0ffee5ec2e7c0ffee5ec2"
)

// world is a machine in memory with systemd, containerd and a kubelet, which
// brings the control plane up from its manifests once it is started.
type world struct {
	t       *testing.T
	host    *host.Memory
	api     *kube.Memory
	runtime *cri.Memory
	start   time.Time // of the bubble
	up      atomic.Bool
	holder  atomic.Pointer[string] // of the lock
	// nodeName is that of the node that the kubelet registers.
	nodeName string
	// balancer is who answers at the control-plane endpoint, nil for the
	// machine's own API server.
	balancer func(context.Context) (net.Conn, error)

	// Each change counts; the one that brings fuse to 0 fails. With dead set,
	// all later ones do, too: the process has died.
	changes atomic.Int64
	fuse    atomic.Int64
	dead    atomic.Bool
}

var errFuse = errors.New("the fuse is blown")

// newWorld must be called in a bubble of testing/synctest.
func newWorld(t *testing.T) *world {
	w := &world{t: t, host: host.NewMemory(), api: kube.NewMemory(), runtime: cri.NewMemory(), start: time.Now(), nodeName: "cp-1"}
	w.file("/proc/self/status", "Uid:\t0\t0\t0\t0\nCpus_allowed_list:\t0-3\n", 0o444)
	w.file("/proc/meminfo", "MemTotal: 8000000 kB\n", 0o444)
	w.file("/proc/swaps", "Filename Type Size Used Priority\n", 0o444)
	w.file("/proc/sys/net/ipv4/ip_forward", "1\n", 0o644)
	for _, tool := range []string{"losetup", "mount", "cp"} {
		w.file("/usr/bin/"+tool, "", 0o755)
	}
	w.host.Handle("kubelet", func([]string) ([]byte, error) { return []byte("Kubernetes v1.37.1\n"), nil })
	w.host.SetService(config.KubeletUnit, host.ServiceStatus{})
	w.host.HandleService(config.KubeletUnit, func(a host.ServiceAction) error {
		if err := w.change(); err != nil {
			return err
		}
		if a == host.RestartService {
			return w.boot()
		}
		return nil
	})
	w.api.Intercept(func(v kube.Verb, _ runtime.Object) error {
		if !w.up.Load() {
			return &url.Error{Op: "Get", URL: "https://10.0.0.11:6443", Err: syscall.ECONNREFUSED}
		}
		if v == kube.Get || v == kube.List {
			return nil
		}
		return w.change()
	})
	w.api.HandleRaw("/readyz", func() ([]byte, error) { return nil, w.healthy(t.Context(), "") })
	return w
}

// boot is the kubelet: it wants its files and gives what a control plane
// gives.
func (w *world) boot() error {
	for _, f := range []string{"/var/lib/kubelet/config.yaml", "/etc/kubernetes/kubelet.conf", "/etc/kubernetes/manifests/kube-apiserver.yaml"} {
		if _, err := w.host.ReadFile(w.t.Context(), f); err != nil {
			return err
		}
	}
	w.file("/var/lib/kubelet/pki/kubelet-client-current.pem", "certificate and key", 0o600)
	time.AfterFunc(3*time.Second, func() { w.up.Store(true) })
	time.AfterFunc(4*time.Second, func() {
		_ = w.api.Set(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: w.nodeName}})
	})
	return nil
}

func (w *world) healthy(context.Context, string) error {
	if w.up.Load() {
		return nil
	}
	return syscall.ECONNREFUSED
}

// change counts, and fails if it is the fuse's.
func (w *world) change() error {
	w.changes.Add(1)
	if left := w.fuse.Add(-1); left == 0 || left < 0 && w.dead.Load() {
		return errFuse
	}
	return nil
}

func (w *world) file(path, content string, perm fs.FileMode) {
	w.t.Helper()
	if err := w.host.WriteFile(w.t.Context(), path, []byte(content), perm); err != nil {
		w.t.Fatal(err)
	}
}

// now is the clock: that of a bubble begins too long ago for preflight.
func (w *world) now() time.Time {
	return time.Date(2026, 11, 21, 4, 0, 0, 0, time.UTC).Add(time.Since(w.start))
}

func (w *world) ports() ports {
	return ports{
		host:        counted{w.host, w},
		dialAPI:     func(host.Files, string, []string) kube.API { return w.api },
		dialRuntime: func(string) (cri.Runtime, func()) { return w.runtime, func() {} },
		healthy:     w.healthy,
		hostname:    func() (string, error) { return "cp-1", nil },
		address:     func() (netip.Addr, error) { return netip.MustParseAddr("10.0.0.11"), nil },
		addresses:   func() ([]netip.Prefix, error) { return []netip.Prefix{netip.MustParsePrefix("10.0.0.11/24")}, nil },
		dialTCP:     w.dialTCP,
		resolve: func(context.Context, string) ([]netip.Addr, error) {
			return []netip.Addr{netip.MustParseAddr("10.0.0.5")}, nil
		},
		release: func(context.Context, string) (string, error) { return "", errors.New("no network") },
		now:     w.now,
		lock:    w.lock,
		checks: func(t *preflight.Task) {
			t.Resolve = func(context.Context, string) ([]netip.Addr, error) {
				return []netip.Addr{netip.MustParseAddr("10.0.0.5")}, nil
			}
			t.Interfaces = func() ([]netip.Prefix, error) {
				return []netip.Prefix{netip.MustParsePrefix("10.0.0.11/24")}, nil
			}
			t.Listen = func(string) error { return nil }
			t.Verify = func(context.Context, string) (warnings, problems []error) { return nil, nil }
			t.Proxy = func(*http.Request) (*url.URL, error) { return nil, nil }
			t.Path = []string{"/usr/bin"}
		},
	}
}

// lock is that of the machine.
func (w *world) lock(_ context.Context, holder string) (func() error, error) {
	if !w.holder.CompareAndSwap(nil, &holder) {
		return nil, &host.LockedError{Path: host.LockPath, Holder: *w.holder.Load()}
	}
	return func() error { w.holder.Store(nil); return nil }, nil
}

// counted is the machine with every change of a file counted.
type counted struct {
	*host.Memory
	w *world
}

func (c counted) WriteFile(ctx context.Context, path string, data []byte, perm fs.FileMode) error {
	if err := c.w.change(); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return c.Memory.WriteFile(ctx, path, data, perm)
}

func (c counted) Mkdir(ctx context.Context, path string, perm fs.FileMode) error {
	if _, err := c.Stat(ctx, path); err != nil {
		if err := c.w.change(); err != nil {
			return fmt.Errorf("make %s: %w", path, err)
		}
	}
	return c.Memory.Mkdir(ctx, path, perm)
}

func (c counted) Remove(ctx context.Context, path string) error {
	if err := c.w.change(); err != nil {
		return err
	}
	return c.Memory.Remove(ctx, path)
}

func (c counted) Exec(context.Context, ...string) ([]byte, error) {
	return nil, errors.New("init runs no program that changes the machine")
}

// input is that of an ordinary highly available cluster.
func input() InitInput {
	c := &config.Init{}
	c.Cluster.Version = "v1.37.1"
	c.Cluster.EncryptionAlgorithm = "ECDSA-P256" // its keys are made fast
	c.Cluster.ControlPlaneEndpoint = config.HostPort{Host: "lb.example.com", Port: 6443}
	c.Cluster.Networking.PodSubnets = []netip.Prefix{netip.MustParsePrefix("10.244.0.0/16")}
	c.Tokens = []config.Token{{Value: knownToken, TTL: config.DefaultTokenTTL}}
	c.CertificateKey = knownKey
	return InitInput{Config: c, UploadCerts: true}
}

// log is what a run told.
type log struct {
	titles []string
	events []phases.Event
}

// ends are how the phases ended, by their paths.
func (l *log) ends() map[string]phases.Kind {
	ends := map[string]phases.Kind{}
	for _, e := range l.events {
		switch e.Kind {
		case phases.Finished, phases.Unchanged, phases.Skipped, phases.Failed:
			if !e.Group {
				ends[e.Phase] = e.Kind
			}
		}
	}
	return ends
}

// init runs Init in the world; watch, if not nil, sees every event.
func (w *world) init(ctx context.Context, in InitInput, watch func(phases.Event)) (*InitResult, *log, error) {
	l := &log{}
	r, err := initOver(ctx, w.ports(), in, func(s string) { l.titles = append(l.titles, s) }, func(e phases.Event) {
		l.events = append(l.events, e)
		if watch != nil {
			watch(e)
		}
	})
	return r, l, err
}

// snapshot is the content of the machine and the cluster: files with their
// modes, objects with their versions.
func (w *world) snapshot() map[string]string {
	found := map[string]string{}
	var walk func(string)
	walk = func(p string) {
		info, err := w.host.Stat(w.t.Context(), p)
		if err != nil {
			w.t.Fatal(err)
		}
		if !info.Mode.IsDir() {
			data, err := w.host.ReadFile(w.t.Context(), p)
			if err != nil {
				w.t.Fatal(err)
			}
			found[p] = fmt.Sprintf("%s %s", info.Mode, data)
			return
		}
		found[p] = info.Mode.String()
		for _, name := range info.Names {
			walk(path.Join(p, name))
		}
	}
	walk("/")
	for name, version := range w.objects() {
		found[name] = version
	}
	return found
}

// names are those of what the world has.
func (w *world) names() []string {
	var list []string
	for name := range w.snapshot() {
		// The owner of the uploaded certificates has a random name.
		if !strings.HasPrefix(name, "Secret kube-system/bootstrap-token-") || strings.Contains(name, "abcdef") {
			list = append(list, name)
		}
	}
	return list
}
