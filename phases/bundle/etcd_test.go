package bundle

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hactl/hactl/certs"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/host"
)

const etcdArchive = "/root/hactl-etcd.age"

// etcd1 is a machine with all that the first etcd host has.
func etcd1(t *testing.T) (*host.Memory, *certs.Authority) {
	t.Helper()
	n, m := node{}, host.NewMemory()
	ca := n.authority(t, "etcd/ca", "etcd-ca", 0)
	for _, p := range []Purpose{ForClient, ForMember} {
		for _, i := range p.issued() {
			base := strings.TrimSuffix(i.cert, ".crt")
			n.issue(t, ca, Leaf{Base: base, Want: certs.Leaf{CommonName: base, Usages: i.usages}})
		}
	}
	n.put(t, m, dir)
	return m, ca
}

func etcdExport(m host.Files, p Purpose) *Export {
	lock, l := quick(), EtcdLayout(dir, p)
	return &Export{Host: m, Layout: &l, To: etcdArchive, Lock: &lock, Now: clock}
}

func etcdImport(m host.Files) *Import {
	return &Import{Host: m, From: etcdArchive, Key: keyFor(knownPassphrase), Dir: dir, Etcd: true, Now: clock}
}

func TestEtcdCredentialsTravel(t *testing.T) {
	cases := map[Purpose][]string{
		ForClient: {"apiserver-etcd-client.crt", "apiserver-etcd-client.key", "etcd/ca.crt"},
		ForMember: {
			"etcd/ca.crt", "etcd/healthcheck-client.crt", "etcd/healthcheck-client.key", "etcd/peer.crt", "etcd/peer.key",
			"etcd/server.crt", "etcd/server.key",
		},
	}
	for purpose, want := range cases {
		t.Run(string(purpose), func(t *testing.T) {
			m, ca := etcd1(t)
			before := snapshot(t, m, dir)
			if _, err := ends(t, ExportPhases(), etcdExport(m, purpose)); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(before, snapshot(t, m, dir)); diff != "" {
				t.Errorf("export changes the certificates: -before +after\n%s", diff)
			}
			to := host.NewMemory()
			carry(t, m, to, etcdArchive)
			i := etcdImport(to)
			i.Pins = []string{certs.Pin(ca.Cert)}
			if _, err := ends(t, ImportPhases(), i); err != nil {
				t.Fatal(err)
			}
			got := snapshot(t, to, dir)
			if diff := cmp.Diff(want, slices.Sorted(maps.Keys(got))); diff != "" {
				t.Errorf("installed: -want +got\n%s", diff)
			}
			for name, content := range got {
				if content != before[name] {
					t.Errorf("%s has changed on the way", name)
				}
			}
			if got, err := ends(t, ImportPhases(), etcdImport(to)); err != nil || got["install"] != phases.Unchanged {
				t.Errorf("import again: %v, %v, want nothing to change", got, err)
			}
		})
	}
}

func TestEtcdCredentialsInADirectory(t *testing.T) {
	const out = "/root/etcd-2"
	for _, purpose := range []Purpose{ForClient, ForMember} {
		m, _ := etcd1(t)
		e := etcdExport(m, purpose)
		e.To, e.Lock = out, nil
		if _, err := ends(t, ExportPhases(), e); err != nil {
			t.Fatal(err)
		}
		to := host.NewMemory()
		for name := range snapshot(t, m, out) {
			carry(t, m, to, out+"/"+name)
		}
		i := etcdImport(to)
		i.From = out
		if _, err := ends(t, ImportPhases(), i); err != nil {
			t.Errorf("%s: %v", purpose, err)
		}
		if got := snapshot(t, to, dir); len(got) != len(EtcdLayout(dir, purpose).Names()) {
			t.Errorf("%s: installed %v", purpose, slices.Sorted(maps.Keys(got)))
		}
	}
}

func TestEtcdImportRefuses(t *testing.T) {
	other, _ := etcd1(t)
	cases := map[string]struct {
		reason string
		change func(t *testing.T, m *host.Memory, i *Import)
		says   string
	}{
		"OtherEtcd": {"an archive for recipients may be anybody's", func(_ *testing.T, _ *host.Memory, i *Import) { i.Pins = []string{"sha256:00"} }, "another cluster"},
		"Foreign": {"the credentials of another etcd are there", func(t *testing.T, m *host.Memory, _ *Import) {
			carry(t, other, m, dir+"/etcd/ca.crt")
		}, dir + "/etcd/ca.crt"},
		"KeyOfCA": {"all of the first host was copied", func(t *testing.T, m *host.Memory, i *Import) {
			i.From = "/root/copy"
			fill(t, m, i.From, map[string]string{"etcd/ca.crt": "", "etcd/ca.key": "", "apiserver-etcd-client.crt": "", "apiserver-etcd-client.key": ""})
		}, "stays on the first etcd host"},
		"OtherCA": {"the pair of another etcd", func(t *testing.T, m *host.Memory, i *Import) {
			i.From = "/root/copy"
			fill(t, m, i.From, map[string]string{"etcd/ca.crt": "", "apiserver-etcd-client.crt": ""})
			data, err := other.ReadFile(t.Context(), dir+"/apiserver-etcd-client.key")
			if err == nil {
				err = m.WriteFile(t.Context(), i.From+"/apiserver-etcd-client.key", data, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		}, "not the private key"},
		"NoKey": {"half of a pair", func(t *testing.T, m *host.Memory, i *Import) {
			i.From = "/root/copy"
			fill(t, m, i.From, map[string]string{"etcd/ca.crt": "", "apiserver-etcd-client.crt": ""})
		}, "apiserver-etcd-client.key: missing"},
		"Shared": {"the archive of control planes", func(t *testing.T, m *host.Memory, i *Import) {
			cp, _ := cp1(t)
			if _, err := ends(t, ExportPhases(), exportOf(cp, stackedCluster())); err != nil {
				t.Fatal(err)
			}
			carry(t, cp, m, archiveFile)
			i.From = archiveFile
		}, "hactl certs import " + archiveFile},
		"Taken": {"the other command", func(_ *testing.T, _ *host.Memory, i *Import) { i.Etcd = false }, "hactl etcd credentials import " + etcdArchive},
	}
	source, _ := etcd1(t)
	if _, err := ends(t, ExportPhases(), etcdExport(source, ForClient)); err != nil {
		t.Fatal(err)
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			m := host.NewMemory()
			carry(t, source, m, etcdArchive)
			i := etcdImport(m)
			c.change(t, m, i)
			before := snapshot(t, m, "/")
			_, err := ends(t, ImportPhases(), i)
			var fault *phases.Fault
			if !errors.As(err, &fault) || len(fault.Fixes) == 0 || !strings.Contains(fault.Error()+strings.Join(fault.Fixes, " "), c.says) {
				t.Errorf("%s: %v, want a fault with a fix that says %q", c.reason, err, c.says)
			}
			if diff := cmp.Diff(before, snapshot(t, m, "/")); diff != "" {
				t.Errorf("%s: something was written: -before +after\n%s", c.reason, diff)
			}
		})
	}
}

// fill writes files of an etcd host into a directory; where there is no
// content, that of a new etcd host.
func fill(t *testing.T, m *host.Memory, into string, files map[string]string) {
	t.Helper()
	from, _ := etcd1(t)
	for name, content := range files {
		data := []byte(content)
		if content == "" {
			var err error
			if data, err = from.ReadFile(t.Context(), dir+"/"+name); err != nil {
				t.Fatal(err)
			}
		}
		if err := m.WriteFile(t.Context(), into+"/"+name, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
