package app

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/config/goldentest"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/bundle"
)

func silent(phases.Event) {}

// What a node shares, and which files its API server names besides, is told
// by its static pods, without an API server that answers.
func TestCertsTravelFromTheManifests(t *testing.T) {
	const enc = "/etc/kubernetes/enc.yaml"
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		in := input()
		in.Config.Cluster.APIServer.ExtraArgs = []config.Arg{{Name: "encryption-provider-config", Value: enc}}
		in.Config.Cluster.APIServer.ExtraVolumes = []config.HostPathMount{{Name: "enc", HostPath: enc, MountPath: enc, ReadOnly: true}}
		w.file(enc, "kind: EncryptionConfiguration", 0o600)
		if _, _, err := w.init(t.Context(), in, nil); err != nil {
			t.Fatal(Explain(err))
		}
		before := w.snapshot()
		r, err := certsExportOver(t.Context(), w.ports(), CertsExportInput{Directory: "/root/certs"}, silent)
		if err != nil {
			t.Fatal(Explain(err))
		}
		if diff := cmp.Diff([]string{enc}, r.AlsoNeeded); diff != "" {
			t.Errorf("also needed: -want +got\n%s", diff)
		}
		if want := "ca.crt ca.key front-proxy-ca.crt front-proxy-ca.key sa.pub sa.key etcd/ca.crt etcd/ca.key"; strings.Join(r.Files, " ") != want {
			t.Errorf("exported %v, want %s", r.Files, want)
		}
		after := w.snapshot()
		for name := range after {
			if strings.HasPrefix(name, "/root/certs") {
				delete(after, name)
			}
		}
		delete(after, "/root")
		delete(before, "/root")
		if diff := cmp.Diff(before, after); diff != "" {
			t.Errorf("export changes something: -before +after\n%s", diff)
		}
		// On the node itself all of it is right, also its own certificates.
		v, err := certsVerifyOver(t.Context(), w.ports(), CertsVerifyInput{})
		if err != nil || !v.Good || v.Directory != "/etc/kubernetes/pki" {
			t.Errorf("verify on the node itself: %+v, %v", v, err)
		}
	})
}

func TestClusterHere(t *testing.T) {
	const manifest = `apiVersion: v1
kind: Pod
metadata: {name: kube-apiserver}
spec:
  containers:
  - name: kube-apiserver
    command:
    - kube-apiserver
    - --client-ca-file=/srv/pki/ca.crt
    - --etcd-servers=https://10.0.0.31:2379
    - --etcd-cafile=/srv/etcd/ca.crt
    - --etcd-certfile=/srv/pki/etcd.crt
    - --etcd-keyfile=/srv/pki/etcd.key
`
	cases := map[string]struct {
		reason   string
		local    bool // a static pod of etcd is there
		certDir  string
		external *config.ExternalEtcd
		dir      string
	}{
		"External": {"no member here", false, "", &config.ExternalEtcd{CAFile: "/srv/etcd/ca.crt", CertFile: "/srv/pki/etcd.crt", KeyFile: "/srv/pki/etcd.key"}, "/srv/pki"},
		"Stacked":  {"a member here", true, "", nil, "/srv/pki"},
		"CertDir":  {"the user knows better", true, "/root/pki", nil, "/root/pki"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.file("/etc/kubernetes/manifests/kube-apiserver.yaml", manifest, 0o600)
				if c.local {
					w.file("/etc/kubernetes/manifests/etcd.yaml", "kind: Pod", 0o600)
				}
				m := newMachine(w.ports(), false)
				defer m.close()
				got, err := m.clusterHere(t.Context(), c.certDir)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(c.external, got.Etcd.External); diff != "" || got.CertificatesDir != c.dir {
					t.Errorf("%s: certificates in %s, want %s; external etcd -want +got:\n%s", c.reason, got.CertificatesDir, c.dir, diff)
				}
			})
		})
	}
}

// Everything was copied by mistake: another node refuses it with the list.
func TestCertsOfAnotherNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		if _, _, err := w.init(t.Context(), input(), nil); err != nil {
			t.Fatal(Explain(err))
		}
		cp2 := newWorld(t)
		for name, content := range w.snapshot() {
			if below, ok := strings.CutPrefix(name, "/etc/kubernetes/pki/"); ok && content[0] != 'd' {
				data, err := w.host.ReadFile(t.Context(), name)
				if err != nil {
					t.Fatal(err)
				}
				cp2.file("/root/copy/"+below, string(data), 0o600)
			}
		}
		node := CertsNode{Name: "cp-2", Address: input().Config.Local.Address.Next()}
		before := cp2.snapshot()
		_, err := certsImportOver(t.Context(), cp2.ports(), CertsImportInput{CertsNode: node, From: "/root/copy", Allow: []string{config.KubernetesDir}}, silent)
		var findings bundle.Findings
		if !errors.As(err, &findings) || Explain(err).Code != phases.CodeUnsafe {
			t.Fatalf("import of everything: %v", err)
		}
		for _, want := range []string{"apiserver.crt", "apiserver.key", "etcd/server.crt", "etcd/peer.key", "front-proxy-client.crt"} {
			if !slices.ContainsFunc(findings, func(f bundle.Finding) bool { return f.File == want && f.State == bundle.Unwanted }) {
				t.Errorf("the list lacks %s:\n%v", want, findings)
			}
		}
		if diff := cmp.Diff(before, cp2.snapshot()); diff != "" {
			t.Errorf("what was refused changes something: -before +after\n%s", diff)
		}
	})
}

func TestCertsResults(t *testing.T) {
	files := []string{"ca.crt", "ca.key"}
	imported := CertsImportResult{From: "/root/hactl-certs.age", Files: []ImportedFile{{"/etc/kubernetes/pki/ca.crt", "unchanged"}, {"/etc/kubernetes/pki/ca.key", "installed"}}, etcd: "stacked"}
	dry := imported
	dry.DryRun, dry.ExternalCA = true, true
	address, end := netip.MustParseAddr("10.0.0.11"), time.Date(2027, 11, 21, 4, 0, 0, 0, time.UTC)
	good := CertsVerifyResult{
		Directory: "/etc/kubernetes/pki", Node: "cp-1", Address: &address, Etcd: "stacked", Good: true,
		Files: bundle.Findings{{File: "ca.crt", State: bundle.Good, Expires: &end}, {File: "ca.key", State: bundle.Good}},
	}
	bad := good
	bad.Good, bad.Address = false, nil
	bad.Files = append(slices.Clone(good.Files), bundle.Finding{File: "apiserver.crt", State: bundle.Unwanted, Problem: true, Why: "each node makes its own", Fix: "rm /etc/kubernetes/pki/apiserver.crt"})
	var all strings.Builder
	for _, c := range []struct {
		name, reason string
		result       interface{ Text(io.Writer) error }
	}{
		{"Archive", "encrypted", &CertsExportResult{File: "/root/hactl-certs.age", Files: files, etcd: "stacked"}},
		{"Directory", "in the clear, with another file that is needed", &CertsExportResult{Directory: "/root/certs", etcd: "stacked", Files: files, AlsoNeeded: []string{"/etc/kubernetes/enc.yaml"}}},
		{"ExternalCA", "without the key, with the extra file", &CertsExportResult{File: "/root/x.age", Files: files[:1], ExternalCA: true, Extra: []string{"/etc/kubernetes/enc.yaml"}, etcd: "external"}},
		{"Imported", "one file was there", &imported},
		{"WouldImport", "a dry run, of an external CA", &dry},
		{"Good", "nothing to do", &good},
		{"Bad", "one file too many", &bad},
	} {
		fmt.Fprintf(&all, "# %s: %s\n", c.name, c.reason)
		if err := c.result.Text(&all); err != nil {
			t.Fatal(err)
		}
		data, err := json.MarshalIndent(c.result, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&all, "%s\n\n", data)
	}
	goldentest.Check(t, "certsfiles.golden", all.String())
}
