package etcdhost_test

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
	"sigs.k8s.io/yaml"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/etcd"
	"github.com/hactl/hactl/etcd/etcdtest"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/etcdhost"
	"github.com/hactl/hactl/phases/host"
	"github.com/hactl/hactl/templates/staticpod"
)

const (
	dataDir  = "/var/lib/etcd"
	manifest = config.ManifestsDir + "/etcd.yaml"
	segment  = dataDir + "/member/wal/0000000000000000-0000000000000000.wal"
	clusterA = etcdtest.MemoryClusterID
)

// world is a set of etcd hosts.
type world struct {
	t    *testing.T
	etcd *etcd.Memory

	mu      sync.Mutex
	crashes int // of etcd, for being told of other members than there are
}

// newWorld is a world with one member, etcd-1.
func newWorld(t *testing.T) *world {
	return &world{t: t, etcd: etcd.NewMemory("etcd-1", peer(1))}
}

func peer(n int) string   { return fmt.Sprintf("https://10.0.0.%d:2380", 30+n) }
func client(n int) string { return fmt.Sprintf("https://10.0.0.%d:2379", 30+n) }

// machine is a host with etcd, a kubelet and systemd.
type machine struct {
	*host.Memory
	w       *world
	n       int
	runtime etcdhost.Runtime
	// idle keeps etcd from starting.
	idle bool
	// fuse ends the process at that change; 0 never.
	fuse int
}

var errKilled = errors.New("the process was killed")

func (w *world) machine(n int, r etcdhost.Runtime) *machine {
	m := &machine{Memory: host.NewMemory(), w: w, n: n, runtime: r}
	for _, program := range []string{"etcd", "kubelet"} {
		m.must(m.Memory.WriteFile(w.t.Context(), "/usr/bin/"+program, nil, 0o755))
	}
	for _, name := range []string{"ca.crt", "server.crt", "server.key", "peer.crt", "peer.key"} {
		m.must(m.Memory.WriteFile(w.t.Context(), config.DefaultCertsDir+"/etcd/"+name, nil, 0o600))
	}
	m.Handle("/usr/bin/etcd", func([]string) ([]byte, error) { return []byte("etcd Version: 3.7.0\nGit SHA: x\n"), nil })
	m.SetService(config.KubeletUnit, host.ServiceStatus{Exists: true})
	m.HandleService(etcdhost.Unit, func(a host.ServiceAction) error {
		switch a {
		case host.RestartService:
			time.AfterFunc(time.Second, m.boot)
		case host.StopService:
			_ = w.etcd.Kill(m.name()) // if it runs
		}
		return nil
	})
	return m
}

func (m *machine) must(err error) {
	m.w.t.Helper()
	if err != nil {
		m.w.t.Fatal(err)
	}
}

func (m *machine) name() string { return fmt.Sprintf("etcd-%d", m.n) }

// task is one run's.
func (m *machine) task(endpoints ...string) *etcdhost.Task {
	t := &etcdhost.Task{
		Host: m, Name: m.name(), Address: netip.AddrFrom4([4]byte{10, 0, 0, byte(30 + m.n)}),
		CertDir: config.DefaultCertsDir, DataDir: dataDir, Manifests: config.ManifestsDir,
		Image: "registry.k8s.io/etcd:3.7.0-0", CRISocket: "unix:///run/containerd/containerd.sock",
		Endpoints: endpoints, Etcd: m.dial,
		Reach: func(context.Context, string) error { return nil },
	}
	t.Timeouts.Default()
	m.must(t.Settle(m.w.t.Context(), m.runtime, []string{"/usr/bin"}))
	return t
}

func (m *machine) dial(context.Context, []string) (etcd.Cluster, func() error, error) {
	return m.w.etcd, func() error { return nil }, nil
}

func (m *machine) burn() error {
	m.fuse--
	if m.fuse == 0 {
		return errKilled
	}
	return nil
}

// WriteFile lets systemd know a unit, and the kubelet see a manifest a second
// later.
func (m *machine) WriteFile(ctx context.Context, path string, data []byte, perm fs.FileMode) error {
	if err := m.burn(); err != nil {
		return err
	}
	err := m.Memory.WriteFile(ctx, path, data, perm)
	switch {
	case err != nil:
	case path == manifest:
		time.AfterFunc(time.Second, m.boot)
	case path == etcdhost.UnitFile:
		status, _ := m.Services().Status(ctx, etcdhost.Unit)
		status.Exists = true
		m.SetService(etcdhost.Unit, status)
	}
	return err
}

func (m *machine) Remove(ctx context.Context, path string) error {
	if path == manifest {
		_ = m.w.etcd.Kill(m.name()) // if it runs
	}
	return m.Memory.Remove(ctx, path)
}

// flags are those that this host's etcd is started with, nil without one.
func (m *machine) flags(ctx context.Context) func(string) string {
	if data, err := m.ReadFile(ctx, manifest); err == nil {
		pod := &corev1.Pod{}
		m.must(yaml.UnmarshalStrict(data, pod))
		return func(name string) string { v, _ := staticpod.Flag(pod, name); return v }
	}
	data, err := m.ReadFile(ctx, etcdhost.UnitFile)
	if err != nil {
		return nil
	}
	return func(name string) string {
		_, rest, _ := strings.Cut(string(data), "--"+name+"=")
		value, _, _ := strings.Cut(rest, "\n")
		return strings.TrimSuffix(value, ` \`)
	}
}

// boot is etcd: without data it wants to be told of all members, no more and
// no fewer.
func (m *machine) boot() {
	if m.idle {
		return
	}
	if err := m.start(context.Background()); err != nil {
		m.w.mu.Lock()
		m.w.crashes++
		m.w.mu.Unlock()
	}
}

func (m *machine) start(ctx context.Context) error {
	flag := m.flags(ctx)
	if flag == nil {
		return nil // it is gone again
	}
	if flag("initial-cluster-state") == "" { // it needs nobody
		m.must(m.w.etcd.Start(peer(m.n), m.name()))
	}
	members, err := m.w.etcd.Members(ctx)
	if err != nil {
		return err
	}
	if _, none := m.Stat(ctx, segment); errors.Is(none, fs.ErrNotExist) {
		told := flag("initial-cluster")
		if err := etcdtest.FirstStart(told, members); err != nil {
			return err
		}
		i := slices.IndexFunc(members, func(o etcd.Member) bool { return o.HasPeer(peer(m.n)) })
		err = m.Memory.WriteFile(ctx, segment, etcdtest.LogHead(members[i].ID, clusterA), 0o600)
	}
	if err := errors.Join(err, m.w.etcd.Start(peer(m.n), m.name())); err != nil {
		return err
	}
	return m.w.etcd.Sync(m.name())
}

// outcome is how a run ended and what it told.
type outcome struct {
	err    error
	end    map[string]phases.Kind // by phase
	told   []string               // progress and warnings
	undone bool
}

func (o outcome) tells(text string) bool { return strings.Contains(strings.Join(o.told, "\n"), text) }

// run runs phases over a task.
func run(ctx context.Context, task *etcdhost.Task, list ...phases.Phase[etcdhost.Task]) outcome {
	o := outcome{end: map[string]phases.Kind{}}
	o.err = phases.Run(ctx, list, task, phases.Options{Notify: func(e phases.Event) {
		switch e.Kind {
		case phases.Progress, phases.Warning:
			o.told = append(o.told, e.Reason)
		case phases.Undone:
			o.undone = true
		default:
			o.end[e.Phase] = e.Kind
		}
	}})
	return o
}

// join runs the phases of a join, with a fresh task.
func (m *machine) join(ctx context.Context) outcome {
	return run(ctx, m.task(client(1)), etcdhost.CheckPhase(), etcdhost.KubeletPhase(), etcdhost.JoinPhase(), etcdhost.WaitPhase())
}

// found runs the phases of an init.
func (m *machine) found(ctx context.Context) outcome {
	return run(ctx, m.task(), etcdhost.KubeletPhase(), etcdhost.MemberPhase(), etcdhost.WaitPhase())
}

// members describes the member list: "etcd-1 voter, etcd-2 learner".
func (w *world) members() string {
	w.t.Helper()
	list, err := w.etcd.Members(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return etcdtest.Roles(list)
}

func (m *machine) has(path string) bool {
	_, err := m.Stat(m.w.t.Context(), path)
	return err == nil
}
