package bundle

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/host"
)

const archiveFile = "/root/hactl-certs.age"

func clock() time.Time { return now }

// ends runs phases and returns how each ended.
func ends[S any](t *testing.T, list []phases.Phase[S], s *S) (map[string]phases.Kind, error) {
	t.Helper()
	got := map[string]phases.Kind{}
	err := phases.Run(t.Context(), list, s, phases.Options{Now: clock, Notify: func(e phases.Event) {
		if e.Kind != phases.Started {
			got[e.Phase] = e.Kind
		}
	}})
	return got, err
}

// cp1 is a machine with all that init leaves.
func cp1(t *testing.T) (*host.Memory, node) {
	t.Helper()
	m, n := host.NewMemory(), controlPlane(t)
	n.put(t, m, dir)
	return m, n
}

func stackedCluster() *config.Cluster { return &config.Cluster{CertificatesDir: dir} }

func exportOf(m host.Files, c *config.Cluster) *Export {
	lock := quick()
	return &Export{Host: m, Cluster: c, To: archiveFile, Lock: &lock, Now: clock}
}

// carry brings a file from one machine to another.
func carry(t *testing.T, from, to host.Files, file string) {
	t.Helper()
	data, err := from.ReadFile(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	if err := to.WriteFile(t.Context(), file, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func importOf(m host.Files, from string) *Import {
	return &Import{
		Host: m, From: from, Key: keyFor(knownPassphrase), Dir: dir, Leaves: leavesOf("cp-2", "10.0.0.12"),
		Allow: []string{"/etc/kubernetes"}, Now: clock,
	}
}

func TestArchiveTravels(t *testing.T) {
	m, n := cp1(t)
	before := snapshot(t, m, dir)
	if _, err := ends(t, ExportPhases(), exportOf(m, stackedCluster())); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, snapshot(t, m, dir)); diff != "" {
		t.Errorf("export changes the certificates: -before +after\n%s", diff)
	}
	info, err := m.Stat(t.Context(), archiveFile)
	if err != nil || info.Mode.Perm() != 0o600 {
		t.Errorf("the archive has mode %s, %v", info.Mode, err)
	}
	sealed, err := m.ReadFile(t.Context(), archiveFile)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range n.secrets() {
		if strings.Contains(string(sealed), s) {
			t.Error("the archive shows a key")
		}
	}
	var fault *phases.Fault
	if _, err := ends(t, ExportPhases(), exportOf(m, stackedCluster())); !errors.As(err, &fault) || fault.Exit != phases.CodeUnsafe {
		t.Errorf("a second export over the first: %v, want a refusal", err)
	}

	cp2 := host.NewMemory()
	carry(t, m, cp2, archiveFile)
	got, err := ends(t, ImportPhases(), importOf(cp2, archiveFile))
	if err != nil || got["install"] != phases.Finished {
		t.Fatalf("import: %v, %v", got, err)
	}
	want := maps.Clone(before)
	maps.DeleteFunc(want, func(name, _ string) bool { return !stacked(dir).knows(name) })
	if diff := cmp.Diff(want, snapshot(t, cp2, dir)); diff != "" {
		t.Errorf("the second node, -want +got:\n%s", diff)
	}
	if got, err := ends(t, ImportPhases(), importOf(cp2, archiveFile)); err != nil || got["install"] != phases.Unchanged {
		t.Errorf("import again: %v, %v, want nothing to change", got, err)
	}
	// The same content with a mode that lets others read is put right.
	if err := cp2.WriteFile(t.Context(), dir+"/ca.key", n["ca.key"], 0o644); err != nil {
		t.Fatal(err)
	}
	again := importOf(cp2, archiveFile)
	if _, err := ends(t, ImportPhases(), again); err != nil || !slices.Equal(again.Installed, []string{dir + "/ca.key"}) {
		t.Errorf("a key that others can read: %v, wrote %v", err, again.Installed)
	}
	if diff := cmp.Diff(want, snapshot(t, cp2, dir)); diff != "" {
		t.Errorf("the second node, -want +got:\n%s", diff)
	}
}

func TestDirectoryTravels(t *testing.T) {
	const out = "/root/certs"
	m, _ := cp1(t)
	e := &Export{Host: m, Cluster: stackedCluster(), To: out, Now: clock}
	if _, err := ends(t, ExportPhases(), e); err != nil {
		t.Fatal(err)
	}
	if info, err := m.Stat(t.Context(), out); err != nil || info.Mode.Perm() != 0o700 {
		t.Errorf("the directory has mode %s, %v", info.Mode, err)
	}
	for name, content := range snapshot(t, m, out) {
		if !strings.HasPrefix(content, "-rw------- ") {
			t.Errorf("%s has mode %s", name, content[:10])
		}
	}
	if got, err := ends(t, ExportPhases(), e); err != nil || got["write"] != phases.Unchanged {
		t.Errorf("export again: %v, %v", got, err)
	}
	cp2 := host.NewMemory()
	for name := range snapshot(t, m, out) {
		carry(t, m, cp2, out+"/"+name)
	}
	if _, err := ends(t, ImportPhases(), importOf(cp2, out)); err != nil {
		t.Fatal(err)
	}
	if got := slices.Sorted(maps.Keys(snapshot(t, cp2, dir))); len(got) != 8 {
		t.Errorf("the second node has %v", got)
	}
	// What else is in the directory is not to be taken for part of it.
	if err := m.WriteFile(t.Context(), out+"/other", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var fault *phases.Fault
	if _, err := ends(t, ExportPhases(), e); !errors.As(err, &fault) || fault.Exit != phases.CodeUnsafe {
		t.Errorf("export into a directory with something else: %v", err)
	}
}

func TestExtraFilesTravel(t *testing.T) {
	const enc, audit = "/etc/kubernetes/enc.yaml", "/etc/audit/policy.yaml"
	m, _ := cp1(t)
	for file, content := range map[string]string{enc: "secret: x", audit: "kind: Policy", "/var/log/audit.log": "x", "/etc/kubernetes/admin.conf": "x"} {
		if err := m.WriteFile(t.Context(), file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c := stackedCluster()
	c.APIServer.ExtraArgs = []config.Arg{
		{Name: "encryption-provider-config", Value: enc},
		{Name: "audit-policy-file", Value: "/in/pod/policy.yaml"},
		{Name: "audit-log-path", Value: "/var/log/audit.log"},
		{Name: "tls-cert-file", Value: dir + "/apiserver.crt"},
		{Name: "oidc-ca-file", Value: "/not/there"},
		{Name: "v", Value: "2"},
	}
	c.APIServer.ExtraVolumes = []config.HostPathMount{{HostPath: "/etc/audit", MountPath: "/in/pod", ReadOnly: true}}
	c.ControllerManager.ExtraArgs = []config.Arg{{Name: "kubeconfig", Value: "/etc/kubernetes/admin.conf"}}
	told := exportOf(m, c)
	if _, err := ends(t, ExportPhases(), told); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{audit, enc}, told.Needed); diff != "" {
		t.Errorf("files that are needed, too, -want +got:\n%s", diff)
	}
	if extras := told.Bundle.Extras(); len(extras) > 0 {
		t.Errorf("taken along without being asked: %v", extras)
	}
	if err := m.Remove(t.Context(), archiveFile); err != nil {
		t.Fatal(err)
	}
	taken := exportOf(m, c)
	taken.Extra = true
	if _, err := ends(t, ExportPhases(), taken); err != nil {
		t.Fatal(err)
	}
	cp2 := host.NewMemory()
	carry(t, m, cp2, archiveFile)
	var fault *phases.Fault
	if _, err := ends(t, ImportPhases(), importOf(cp2, archiveFile)); !errors.As(err, &fault) || !strings.Contains(fault.Why.Error(), audit) || strings.Contains(fault.Why.Error(), enc) {
		t.Errorf("a file outside of what is allowed: %v", err)
	}
	allowed := importOf(cp2, archiveFile)
	allowed.Allow = append(allowed.Allow, "/etc/audit")
	if _, err := ends(t, ImportPhases(), allowed); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{enc, audit} {
		if info, err := cp2.Stat(t.Context(), file); err != nil || info.Mode.Perm() != 0o600 {
			t.Errorf("%s: %v, mode %s", file, err, info.Mode)
		}
	}
}

// An archive for recipients may be written by anybody, so what it puts
// outside the certificates directory is limited even where it is allowed.
func TestPlacing(t *testing.T) {
	cases := map[string]struct {
		reason string
		name   string
		ok     bool
	}{
		"Encryption":  {"what it is for", "outside/etc/kubernetes/enc.yaml", true},
		"InPKI":       {"a file of the users in the certificates directory", "outside/etc/kubernetes/pki/enc.yaml", true},
		"Manifest":    {"the kubelet would run it", "outside/etc/kubernetes/manifests/evil.yaml", false},
		"Kubeconfig":  {"each node has its own", "outside/etc/kubernetes/admin.conf", false},
		"Certificate": {"around the judgement", "outside/etc/kubernetes/pki/ca.crt", false},
		"Leaf":        {"around the judgement", "outside/etc/kubernetes/pki/apiserver.key", false},
		"Elsewhere":   {"not asked for", "outside/etc/cron.d/evil", false},
		"Sibling":     {"only begins alike", "outside/etc/kubernetes-evil/x", false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			err := placing(stacked(dir), Files{c.name: {}}, []string{"/etc/kubernetes"})
			if (err == nil) != c.ok {
				t.Errorf("%s: placing(%s) = %v", c.reason, c.name, err)
			}
		})
	}
}

func TestExternalCATravels(t *testing.T) {
	m, _ := cp1(t)
	if err := m.Remove(t.Context(), dir+"/ca.key"); err != nil {
		t.Fatal(err)
	}
	e := exportOf(m, stackedCluster())
	if _, err := ends(t, ExportPhases(), e); err != nil || !e.Bundle.ExternalCA {
		t.Fatalf("export without the key of the CA: %v, external %v", err, e.Bundle.ExternalCA)
	}
	cp2 := host.NewMemory()
	carry(t, m, cp2, archiveFile)
	i := importOf(cp2, archiveFile)
	if _, err := ends(t, ImportPhases(), i); err != nil || !i.Bundle.ExternalCA {
		t.Errorf("the archive says so itself: %v", err)
	}
}

func TestExternalEtcdTravels(t *testing.T) {
	m, _ := cp1(t)
	c := stackedCluster()
	c.Etcd.External = defaultExternal(dir)
	if _, err := ends(t, ExportPhases(), exportOf(m, c)); err != nil {
		t.Fatal(err)
	}
	cp2 := host.NewMemory()
	carry(t, m, cp2, archiveFile)
	other := importOf(cp2, archiveFile)
	other.Dir = "/srv/pki" // another directory than on the first node
	if _, err := ends(t, ImportPhases(), other); err != nil {
		t.Fatal(err)
	}
	got := snapshot(t, cp2, "/srv/pki")
	if _, ok := got["etcd/ca.key"]; ok || got["apiserver-etcd-client.key"] == "" || len(got) != 9 {
		t.Errorf("the second node has %v", slices.Sorted(maps.Keys(got)))
	}
}

func TestImportRefuses(t *testing.T) {
	cases := map[string]struct {
		reason string
		change func(t *testing.T, cp2 *host.Memory, i *Import)
		says   string
	}{
		"Everything": {"all of /etc/kubernetes/pki was copied", func(t *testing.T, cp2 *host.Memory, i *Import) {
			i.From = "/root/copy"
			controlPlane(t).put(t, cp2, i.From)
		}, "apiserver.crt: unwanted"},
		"Foreign": {"another cluster's file is there", func(t *testing.T, cp2 *host.Memory, _ *Import) {
			if err := cp2.WriteFile(t.Context(), dir+"/sa.pub", []byte("other"), 0o600); err != nil {
				t.Fatal(err)
			}
		}, dir + "/sa.pub"},
		"Hash":       {"another cluster's CA", func(_ *testing.T, _ *host.Memory, i *Import) { i.Pins = []string{"sha256:00"} }, "another cluster"},
		"Passphrase": {"a slip", func(_ *testing.T, _ *host.Memory, i *Import) { i.Key = keyFor("something else") }, "passphrase"},
		"NotThere":   {"a slip", func(_ *testing.T, _ *host.Memory, i *Import) { i.From = "/root/x" }, "there is no /root/x"},
		"Itself":     {"from and to are one", func(_ *testing.T, _ *host.Memory, i *Import) { i.From, i.Dir = "/root", "/root" }, "certs verify"},
		"Tampered": {"one bit", func(t *testing.T, cp2 *host.Memory, _ *Import) {
			data, err := cp2.ReadFile(t.Context(), archiveFile)
			if err != nil {
				t.Fatal(err)
			}
			data[len(data)/2] ^= 1
			if err := cp2.WriteFile(t.Context(), archiveFile, data, 0o600); err != nil {
				t.Fatal(err)
			}
		}, "changed"},
		"Later": {"the CAs have ended meanwhile", func(_ *testing.T, _ *host.Memory, i *Import) {
			i.Now = func() time.Time { return now.AddDate(11, 0, 0) }
		}, "expired"},
	}
	m, _ := cp1(t)
	if _, err := ends(t, ExportPhases(), exportOf(m, stackedCluster())); err != nil {
		t.Fatal(err)
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			cp2 := host.NewMemory()
			carry(t, m, cp2, archiveFile)
			i := importOf(cp2, archiveFile)
			c.change(t, cp2, i)
			before := snapshot(t, cp2, "/")
			_, err := ends(t, ImportPhases(), i)
			var fault *phases.Fault
			if !errors.As(err, &fault) || len(fault.Fixes) == 0 || !strings.Contains(fault.Error()+strings.Join(fault.Fixes, " "), c.says) {
				t.Errorf("%s: %v, want a fault with a fix that says %q", c.reason, err, c.says)
			}
			if diff := cmp.Diff(before, snapshot(t, cp2, "/")); diff != "" {
				t.Errorf("what was refused changes something: -before +after\n%s", diff)
			}
		})
	}
}

// full is a disk on which one file cannot be written.
type full struct {
	*host.Memory
	file string
}

var errFull = errors.New("no space left")

func (f full) WriteFile(ctx context.Context, path string, data []byte, perm fs.FileMode) error {
	if path == f.file {
		return errFull
	}
	return f.Memory.WriteFile(ctx, path, data, perm)
}

func TestAllOrNothing(t *testing.T) {
	m, n := cp1(t)
	if _, err := ends(t, ExportPhases(), exportOf(m, stackedCluster())); err != nil {
		t.Fatal(err)
	}
	cp2 := host.NewMemory()
	carry(t, m, cp2, archiveFile)
	// This one was there before, and stays.
	n.keep("ca.crt").put(t, cp2, dir)
	before := snapshot(t, cp2, "/")
	if _, err := ends(t, ImportPhases(), importOf(full{cp2, dir + "/sa.key"}, archiveFile)); !errors.Is(err, errFull) {
		t.Fatalf("import on a full disk: %v", err)
	}
	if diff := cmp.Diff(before, snapshot(t, cp2, "/")); diff != "" {
		t.Errorf("half a set is left: -before +after\n%s", diff)
	}
}

func TestExportRefuses(t *testing.T) {
	m, n := cp1(t)
	if err := m.WriteFile(t.Context(), dir+"/etcd/ca.key", n["ca.key"], 0o600); err != nil {
		t.Fatal(err)
	}
	var fault *phases.Fault
	if _, err := ends(t, ExportPhases(), exportOf(m, stackedCluster())); !errors.As(err, &fault) || !strings.Contains(err.Error(), "etcd/ca.key: wrong") {
		t.Errorf("a key that does not fit: %v", err)
	}
	if _, err := m.Stat(t.Context(), archiveFile); !errors.Is(err, fs.ErrNotExist) {
		t.Error("it is exported in spite of that")
	}
}
