package pki

import (
	"context"
	"crypto/x509"
	"errors"
	"io/fs"
	"net/netip"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hactl/hactl/certs"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/host"
)

var epoch = time.Date(2026, 9, 1, 12, 0, 0, 0, time.UTC)

func newTask() *Task {
	return &Task{
		Host: host.NewMemory(), Dir: "/etc/kubernetes/pki", Algorithm: certs.ECDSAP256,
		NodeName: "cp1", AdvertiseAddress: netip.MustParseAddr("10.0.0.1"), EndpointHost: "lb.example.com",
		ServiceDomain: "cluster.local", FirstServiceIPs: []netip.Addr{netip.MustParseAddr("10.96.0.1")},
		APIServerSANs: []string{"192.0.2.7", "api.example.com"}, EtcdPeerSANs: []string{"peer.example.com"},
		Now: func() time.Time { return epoch },
	}
}

// run returns the last thing that happened to each phase that is no group.
func run(t *testing.T, p phases.Phase[Task], task *Task, only ...string) (map[string]phases.Kind, error) {
	t.Helper()
	kinds := map[string]phases.Kind{}
	err := phases.Run(t.Context(), []phases.Phase[Task]{p}, task, phases.Options{
		Only: only,
		Notify: func(e phases.Event) {
			if !e.Group {
				kinds[strings.TrimPrefix(e.Phase, "certs/")] = e.Kind
			}
		},
	})
	return kinds, err
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// snapshot reads every file of the certificates directory.
func snapshot(t *testing.T, task *Task) map[string]string {
	t.Helper()
	files := map[string]string{}
	for _, dir := range []string{"", "etcd"} {
		info, err := task.Host.Stat(t.Context(), path.Join(task.Dir, dir))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		must(t, err)
		for _, name := range info.Names {
			name = path.Join(dir, name)
			if data, err := task.Host.ReadFile(t.Context(), task.path(name)); err == nil {
				files[name] = string(data)
			}
		}
	}
	return files
}

func remove(t *testing.T, task *Task, names ...string) {
	t.Helper()
	for _, name := range names {
		must(t, task.Host.Remove(t.Context(), task.path(name)))
	}
}

func write(t *testing.T, task *Task, name string, data []byte) {
	t.Helper()
	must(t, task.Host.WriteFile(t.Context(), task.path(name), data, 0o600))
}

func loadPair(t *testing.T, task *Task, name string) certs.Pair {
	t.Helper()
	it, ok := lookup(name)
	if !ok {
		t.Fatalf("no item %q", name)
	}
	p, err := task.load(t.Context(), it)
	must(t, err)
	return p
}

func TestPhaseMakesEverythingOnce(t *testing.T) {
	task := newTask()
	var order []string
	phases.Walk([]phases.Phase[Task]{Phase()}, func(path string, p *phases.Phase[Task]) {
		order = append(order, path)
		if p.Title == "" || (len(p.Phases) == 0 && len(p.Writes) == 0) {
			t.Errorf("%s says too little about itself", path)
		}
	})
	want := []string{"certs", "certs/ca", "certs/apiserver", "certs/apiserver-kubelet-client", "certs/front-proxy-ca",
		"certs/front-proxy-client", "certs/etcd-ca", "certs/etcd-server", "certs/etcd-peer",
		"certs/etcd-healthcheck-client", "certs/apiserver-etcd-client", "certs/sa"}
	if diff := cmp.Diff(want, order); diff != "" {
		t.Errorf("phases -want +got\n%s", diff)
	}
	kinds, err := run(t, Phase(), task)
	must(t, err)
	for name, kind := range kinds {
		if kind != phases.Finished {
			t.Errorf("first run: %s is %s", name, kind)
		}
	}
	first := snapshot(t, task)
	if len(first) != 22 {
		t.Errorf("%d files, want 22", len(first))
	}
	kinds, err = run(t, Phase(), task)
	must(t, err)
	for name, kind := range kinds {
		if kind != phases.Unchanged {
			t.Errorf("second run: %s is %s", name, kind)
		}
	}
	if diff := cmp.Diff(first, snapshot(t, task)); diff != "" {
		t.Error("the second run changed a file")
	}
}

func TestPermissions(t *testing.T) {
	task := newTask()
	_, err := run(t, Phase(), task)
	must(t, err)
	for name := range snapshot(t, task) {
		info, err := task.Host.Stat(t.Context(), task.path(name))
		must(t, err)
		want := fs.FileMode(0o600)
		if strings.HasSuffix(name, ".crt") {
			want = 0o644
		}
		if info.Mode != want {
			t.Errorf("%s has mode %v, want %v", name, info.Mode, want)
		}
	}
	for _, dir := range []string{task.Dir, task.path("etcd")} {
		info, err := task.Host.Stat(t.Context(), dir)
		must(t, err)
		if info.Mode.Perm() != 0o700 {
			t.Errorf("%s has mode %v", dir, info.Mode)
		}
	}
}

func TestSubjectsAndNames(t *testing.T) {
	task := newTask()
	_, err := run(t, Phase(), task)
	must(t, err)
	type cert struct {
		Issuer, CN string
		DNS, IPs   []string
		Usage      []x509.ExtKeyUsage
	}
	client := []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	both := []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	want := map[string]cert{
		"ca": {Issuer: "kubernetes", CN: "kubernetes", DNS: []string{"kubernetes"}},
		"apiserver": {"kubernetes", "kube-apiserver",
			[]string{"api.example.com", "cp1", "kubernetes", "kubernetes.default", "kubernetes.default.svc",
				"kubernetes.default.svc.cluster.local", "lb.example.com"},
			[]string{"10.0.0.1", "10.96.0.1", "192.0.2.7"}, both[:1]},
		"apiserver-kubelet-client": {Issuer: "kubernetes", CN: "kube-apiserver-kubelet-client", Usage: client},
		"front-proxy-ca":           {Issuer: "front-proxy-ca", CN: "front-proxy-ca", DNS: []string{"front-proxy-ca"}},
		"front-proxy-client":       {Issuer: "front-proxy-ca", CN: "front-proxy-client", Usage: client},
		"etcd-ca":                  {Issuer: "etcd-ca", CN: "etcd-ca", DNS: []string{"etcd-ca"}},
		"etcd-server": {"etcd-ca", "cp1", []string{"cp1", "localhost"},
			[]string{"10.0.0.1", "127.0.0.1", "::1"}, both},
		"etcd-peer": {"etcd-ca", "cp1", []string{"cp1", "localhost", "peer.example.com"},
			[]string{"10.0.0.1", "127.0.0.1", "::1"}, both},
		"etcd-healthcheck-client": {Issuer: "etcd-ca", CN: "kube-etcd-healthcheck-client", Usage: client},
		"apiserver-etcd-client":   {Issuer: "etcd-ca", CN: "kube-apiserver-etcd-client", Usage: client},
	}
	got := map[string]cert{}
	for name := range want {
		c := loadPair(t, task, name).Cert
		g := cert{Issuer: c.Issuer.CommonName, CN: c.Subject.CommonName, DNS: c.DNSNames, Usage: c.ExtKeyUsage}
		for _, ip := range c.IPAddresses {
			g.IPs = append(g.IPs, ip.String())
		}
		slices.Sort(g.IPs)
		got[name] = g
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestExternalEtcdLeavesEtcdOut(t *testing.T) {
	task := newTask()
	task.ExternalEtcd = true
	kinds, err := run(t, Phase(), task)
	must(t, err)
	if kinds["etcd-server"] != phases.Skipped || kinds["apiserver-etcd-client"] != phases.Skipped {
		t.Errorf("got %v", kinds)
	}
	for name := range snapshot(t, task) {
		if strings.Contains(name, "etcd") {
			t.Errorf("%s was made", name)
		}
	}
}

// cut is a disk that fails after some writes, as a killed process does.
type cut struct {
	host.Files
	left int
}

var errCut = errors.New("killed")

func (c *cut) WriteFile(ctx context.Context, path string, data []byte, perm fs.FileMode) error {
	if c.left == 0 {
		return errCut
	}
	c.left--
	return c.Files.WriteFile(ctx, path, data, perm)
}

func TestEveryInterruptionCanBeResumed(t *testing.T) {
	for writes := range 22 {
		task := newTask()
		memory := task.Host
		task.Host = &cut{memory, writes}
		if _, err := run(t, Phase(), task); !errors.Is(err, errCut) {
			t.Fatalf("after %d writes: %v", writes, err)
		}
		task.Host = memory
		before := snapshot(t, task)
		if p := Problems(t.Context(), task); len(p) > 0 {
			t.Fatalf("after %d writes: %v", writes, p)
		}
		_, err := run(t, Phase(), task)
		if err != nil {
			t.Fatalf("after %d writes: %v", writes, err)
		}
		after := snapshot(t, task)
		for name, data := range before {
			if after[name] != data {
				t.Errorf("after %d writes: %s was made anew", writes, name)
			}
		}
	}
}

func TestExpiry(t *testing.T) {
	task := newTask()
	_, err := run(t, Phase(), task)
	must(t, err)
	remove(t, task, "etcd/ca.key", "front-proxy-client.crt")
	list, err := Expiry(t.Context(), task)
	must(t, err)
	if len(list) != 9 {
		t.Fatalf("%d certificates, want 9", len(list))
	}
	want := []Certificate{
		{Name: "ca", Path: "/etc/kubernetes/pki/ca.crt", NotAfter: epoch.Add(certs.DefaultCAValidity)},
		{Name: "apiserver", Path: "/etc/kubernetes/pki/apiserver.crt", NotAfter: epoch.Add(certs.DefaultValidity), Authority: "ca"},
	}
	if diff := cmp.Diff(want, list[:2]); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	last := list[len(list)-1]
	if last.Name != "apiserver-etcd-client" || !last.External {
		t.Errorf("got %+v", last)
	}
}
