package app

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hactl/hactl/certs"
	"github.com/hactl/hactl/etcd"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/etcdhost"
	"github.com/hactl/hactl/phases/host"
)

const pkiDir = "/etc/kubernetes/pki"

// etcdWorld is an etcd cluster and hosts that run it as a service.
type etcdWorld struct {
	t     *testing.T
	etcd  *etcd.Memory
	start time.Time
}

func newEtcdWorld(t *testing.T) *etcdWorld {
	w := &etcdWorld{t: t, etcd: etcd.NewMemory("etcd-1", "https://10.0.0.31:2380"), start: time.Now()}
	if err := w.etcd.Kill("etcd-1"); err != nil { // it is to be started
		t.Fatal(err)
	}
	return w
}

// etcdMachine is a host with its ports.
type etcdMachine struct {
	*world
	w       *etcdWorld
	name    string
	address netip.Addr
}

func (w *etcdWorld) host(name, address string) *etcdMachine {
	m := &etcdMachine{world: newWorld(w.t), w: w, name: name, address: netip.MustParseAddr(address)}
	m.file("/usr/bin/etcd", "", 0o755)
	m.world.host.Handle("/usr/bin/etcd", func([]string) ([]byte, error) { return []byte("etcd Version: 3.7.0\n"), nil })
	m.world.host.SetService(etcdhost.Unit, host.ServiceStatus{})
	m.world.host.HandleService(etcdhost.Unit, func(a host.ServiceAction) error {
		if a == host.RestartService {
			peer := "https://" + address + ":2380"
			return errors.Join(w.etcd.Start(peer, name), w.etcd.Sync(name))
		}
		return nil
	})
	return m
}

func (m *etcdMachine) ports() etcdHostPorts {
	p := m.world.ports()
	p.hostname = func() (string, error) { return m.name, nil }
	p.address = func() (netip.Addr, error) { return m.address, nil }
	p.now = func() time.Time { return time.Date(2026, 11, 21, 4, 0, 0, 0, time.UTC).Add(time.Since(m.w.start)) }
	p.dialEtcd = func(ctx context.Context, files host.Files, certDir string, _ []string) (etcd.Cluster, func() error, error) {
		if _, err := files.ReadFile(ctx, path.Join(certDir, "etcd/healthcheck-client.crt")); err != nil {
			return nil, nil, err
		}
		return m.w.etcd, func() error { return nil }, nil
	}
	return etcdHostPorts{
		ports: p, programs: []string{"/usr/bin"},
		sync:  func(context.Context, string) (time.Duration, error) { return time.Millisecond, nil },
		reach: func(context.Context, string) error { return nil },
	}
}

// run is EtcdInit, or EtcdJoin with endpoints. The interface of world has the
// address 10.0.0.11 only, which is not what is tested here.
func (m *etcdMachine) run(in EtcdHostInput) (*EtcdHostResult, error) {
	list := EtcdInitPhases()
	if len(in.Endpoints) > 0 {
		list = EtcdJoinPhases()
	}
	in.Ignore = []string{"AdvertiseAddress"}
	return etcdHostOver(m.t.Context(), m.ports(), list, in, func(string) {}, func(phases.Event) {})
}

// carry copies a directory from one host to another, as scp would.
func (m *etcdMachine) carry(to *etcdMachine, dir, into string) {
	m.t.Helper()
	for file := range m.snapshot() {
		name, ok := strings.CutPrefix(file, dir+"/")
		if info, err := m.world.host.Stat(m.t.Context(), file); ok && err == nil && info.Mode.IsRegular() {
			to.file(path.Join(into, name), string(m.read(file)), 0o600)
		}
	}
}

func TestEtcdHosts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newEtcdWorld(t)
		first, second := w.host("etcd-1", "10.0.0.31"), w.host("etcd-2", "10.0.0.32")
		if r, err := first.run(EtcdHostInput{}); err != nil || r.Voters != 1 || r.Runtime != "systemd" {
			t.Fatalf("init: %+v, %v", r, err)
		}
		before := first.snapshot()
		if _, err := first.run(EtcdHostInput{}); err != nil {
			t.Errorf("init again: %v", err)
		}
		if diff := cmp.Diff(before, first.snapshot()); diff != "" {
			t.Errorf("init again: -before +after\n%s", diff)
		}

		join := EtcdHostInput{Endpoints: []string{"10.0.0.31"}}
		if x := Explain(errOf(second.run(join))); !strings.Contains(strings.Join(x.Fix, "\n"), "--for-member etcd-2=10.0.0.32") {
			t.Errorf("without certificates: %+v", x)
		}
		export := EtcdExportInput{Directory: "/root/etcd-2", Member: "etcd-2=10.0.0.32"}
		r, err := etcdExportOver(t.Context(), first.ports(), export, func(phases.Event) {})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{
			"etcd/ca.crt", "etcd/server.crt", "etcd/server.key", "etcd/peer.crt", "etcd/peer.key",
			"etcd/healthcheck-client.crt", "etcd/healthcheck-client.key",
		}, r.Files); diff != "" {
			t.Errorf("exported: -want +got\n%s", diff)
		}
		if _, err := etcdExportOver(t.Context(), first.ports(), export, func(phases.Event) {}); Explain(err).Code != phases.CodeUnsafe {
			t.Errorf("exported twice into one directory: %v", err)
		}
		first.carry(second, "/root/etcd-2", pkiDir)
		if r, err := second.run(join); err != nil || r.Voters != 2 || r.Before != 1 {
			t.Fatalf("join: %+v, %v", r, err)
		}
		if _, err := second.world.host.Stat(t.Context(), pkiDir+"/etcd/ca.key"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the key of the CA is on the second host: %v", err)
		}
	})
}

func errOf[T any](_ T, err error) error { return err }

func TestEtcdDryRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newEtcdWorld(t)
		m := w.host("etcd-1", "10.0.0.31")
		before := m.snapshot()
		r, err := m.run(EtcdHostInput{DryRun: true})
		if err != nil || r.DryRun == nil {
			t.Fatalf("%+v, %v", r, err)
		}
		if diff := cmp.Diff(before, m.snapshot()); diff != "" {
			t.Errorf("the dry run has changed: -before +after\n%s", diff)
		}
		var text bytes.Buffer
		if err := r.Text(&text); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(text.String(), etcdhost.UnitFile) || strings.Contains(text.String(), "PRIVATE KEY") {
			t.Errorf("the dry run tells\n%s", text.String())
		}
	})
}

// TestEtcdJoinDryRun: the member that is added starts when its unit is
// written, and etcd knows of none of it.
func TestEtcdJoinDryRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newEtcdWorld(t)
		first, second := w.host("etcd-1", "10.0.0.31"), w.host("etcd-2", "10.0.0.32")
		if _, err := first.run(EtcdHostInput{}); err != nil {
			t.Fatal(err)
		}
		export := EtcdExportInput{Directory: "/root/etcd-2", Member: "etcd-2=10.0.0.32"}
		if _, err := etcdExportOver(t.Context(), first.ports(), export, func(phases.Event) {}); err != nil {
			t.Fatal(err)
		}
		first.carry(second, "/root/etcd-2", pkiDir)
		before := second.snapshot()
		r, err := second.run(EtcdHostInput{Endpoints: []string{"10.0.0.31"}, DryRun: true})
		if err != nil {
			t.Fatal(err)
		}
		var members []ObjectChange
		for _, o := range r.DryRun.Objects {
			if o.Kind == "etcd member" {
				members = append(members, o)
			}
		}
		want := []ObjectChange{
			{Verb: "add learner", Kind: "etcd member", Name: "https://10.0.0.32:2380"},
			{Verb: "promote", Kind: "etcd member", Name: "etcd-2"},
		}
		if diff := cmp.Diff(want, members); diff != "" {
			t.Errorf("members: -want +got\n%s", diff)
		}
		if diff := cmp.Diff(before, second.snapshot()); diff != "" {
			t.Errorf("the dry run has changed: -before +after\n%s", diff)
		}
		if list, err := w.etcd.Members(t.Context()); len(list) != 1 || err != nil {
			t.Errorf("etcd has %d members, %v", len(list), err)
		}
	})
}

func TestEtcdClientExport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newEtcdWorld(t)
		m := w.host("etcd-1", "10.0.0.31")
		in := EtcdExportInput{Directory: "/root/client"}
		if _, err := etcdExportOver(t.Context(), m.ports(), in, func(phases.Event) {}); err == nil {
			t.Error("exported from a host without etcd")
		}
		if _, err := m.run(EtcdHostInput{}); err != nil {
			t.Fatal(err)
		}
		r, err := etcdExportOver(t.Context(), m.ports(), in, func(phases.Event) {})
		if err != nil {
			t.Fatal(err)
		}
		ca, err := certs.ParseCerts(m.read("/root/client/etcd/ca.crt"))
		if err != nil {
			t.Fatal(err)
		}
		leaf, err := certs.ParseCerts(m.read("/root/client/apiserver-etcd-client.crt"))
		if err != nil || leaf[0].CheckSignatureFrom(ca[0]) != nil {
			t.Errorf("the client's certificate is not of the CA: %v", err)
		}
		var text bytes.Buffer
		if err := r.Text(&text); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"- https://10.0.0.31:2379", "caFile: " + pkiDir + "/etcd/ca.crt", "keyFile: " + pkiDir + "/apiserver-etcd-client.key"} {
			if !strings.Contains(text.String(), want) {
				t.Errorf("the text lacks %q:\n%s", want, text.String())
			}
		}
	})
}

func TestEtcdStatusAndRemove(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newEtcdWorld(t)
		m := w.host("etcd-1", "10.0.0.31")
		if _, err := m.run(EtcdHostInput{}); err != nil {
			t.Fatal(err)
		}
		w.etcd.Join("etcd-2", "https://10.0.0.32:2380")
		w.etcd.Join("etcd-3", "https://10.0.0.33:2380")
		if r, err := etcdStatusOver(t.Context(), m.ports(), EtcdHostInput{}); err != nil || !r.Healthy || r.Tolerance != 1 {
			t.Errorf("three that answer: %+v, %v", r, err)
		}
		remove := EtcdRemoveInput{Member: "etcd-3"}
		if x := Explain(errOf(etcdRemoveOver(t.Context(), m.ports(), remove))); x.Code != phases.CodeUnsafe {
			t.Errorf("one that is alive: %+v", x)
		}
		if err := w.etcd.Kill("etcd-3"); err != nil {
			t.Fatal(err)
		}
		r, err := etcdStatusOver(t.Context(), m.ports(), EtcdHostInput{})
		if err != nil || r.Healthy || !strings.Contains(strings.Join(r.Problems, "\n"), "hactl etcd remove etcd-3") {
			t.Errorf("one of three dead: %+v, %v", r, err)
		}
		for _, found := range []bool{true, false} {
			if r, err := etcdRemoveOver(t.Context(), m.ports(), remove); err != nil || r.Found != found || r.Voters != 2 {
				t.Errorf("remove: %+v, %v, want found %v", r, err, found)
			}
		}
		if err := w.etcd.Kill("etcd-2"); err != nil {
			t.Fatal(err)
		}
		if x := Explain(errOf(etcdRemoveOver(t.Context(), m.ports(), EtcdRemoveInput{Member: "10.0.0.31", Force: true}))); x.Code != phases.CodeUnsafe {
			t.Errorf("the last that answers: %+v", x)
		}
	})
}

// The disk is measured without a trace: what preflight looks at next must not
// be there because of it.
func TestSyncLatency(t *testing.T) {
	dir := t.TempDir()
	took, err := syncLatency(t.Context(), dir)
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skip("the file system has no files without names")
	}
	left, readErr := os.ReadDir(dir)
	if err != nil || took <= 0 || readErr != nil || len(left) > 0 {
		t.Errorf("%s, %v; left behind: %v, %v", took, err, left, readErr)
	}
	if _, err := syncLatency(t.Context(), dir+"/none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of no directory: %v", err)
	}
}
