package app

import (
	"bytes"
	"strings"
	"testing"
	"testing/synctest"

	"filippo.io/age"
	"github.com/google/go-cmp/cmp"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/bundle"
	"github.com/hactl/hactl/phases/pki"
)

// TestEtcdArchive brings the credentials to a control plane and to a further
// host as archives for a public key.
func TestEtcdArchive(t *testing.T) {
	key, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		w := newEtcdWorld(t)
		first := w.host("etcd-1", "10.0.0.31")
		if _, err := first.run(EtcdHostInput{}); err != nil {
			t.Fatal(err)
		}
		const archive = "/root/hactl-etcd.age"
		for name, member := range map[string]string{"cp-1": "", "etcd-2": "etcd-2=10.0.0.32"} {
			export := EtcdExportInput{File: archive, Recipients: []string{key.Recipient().String()}, Member: member}
			r, err := etcdExportOver(t.Context(), first.ports(), export, func(phases.Event) {})
			if err != nil {
				t.Fatal(err)
			}
			var text bytes.Buffer
			if err := r.Text(&text); err != nil {
				t.Fatal(err)
			}
			if want := "hactl etcd credentials import hactl-etcd.age --ca-cert-hash " + r.CACertHash; !strings.Contains(text.String(), want) {
				t.Errorf("the text lacks %q:\n%s", want, text.String())
			}
			if _, err := etcdExportOver(t.Context(), first.ports(), export, func(phases.Event) {}); Explain(err).Code != phases.CodeUnsafe {
				t.Errorf("exported twice into one archive: %v", err)
			}
			second := w.host(name, "10.0.0.32")
			second.file(archive, string(first.read(archive)), 0o600)
			in := EtcdImportInput{From: archive, Identities: []config.Secret{config.Secret(key.String())}, Pins: []string{r.CACertHash}, DryRun: true}
			before := second.snapshot()
			if _, err := etcdImportOver(t.Context(), second.ports().ports, in, func(phases.Event) {}); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(before, second.snapshot()); diff != "" {
				t.Errorf("the dry run has changed: -before +after\n%s", diff)
			}
			in.DryRun = false
			got, err := etcdImportOver(t.Context(), second.ports().ports, in, func(phases.Event) {})
			if err != nil || len(got.Files) != len(r.Files) {
				t.Fatalf("import: %+v, %v", got, err)
			}
			for _, f := range got.Files {
				if f.State != "installed" || len(second.read(f.Path)) == 0 {
					t.Errorf("%s is %s", f.Path, f.State)
				}
			}
			if err := first.world.host.Remove(t.Context(), archive); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// TestEtcdFiles: those that travel are those that are made.
func TestEtcdFiles(t *testing.T) {
	for purpose, want := range map[bundle.Purpose][]string{bundle.ForClient: pki.EtcdClientFiles(), bundle.ForMember: pki.EtcdMemberFiles()} {
		if diff := cmp.Diff(want, bundle.EtcdLayout(pkiDir, purpose).Names()); diff != "" {
			t.Errorf("%s: -made +travels\n%s", purpose, diff)
		}
	}
}
