package journal_test

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/host"
	"github.com/hactl/hactl/phases/journal"
)

const documents = `apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
bootstrapTokens:
- token: abcdef.0123456789abcdef
certificateKey: secret-key
localAPIEndpoint: {bindPort: 6443}
nodeRegistration:
  taints: []
  kubeletExtraArgs:
  - {name: v, value: "2"}
  - {name: v, value: "4"}
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
apiServer:
  certSANs: [a, b]
  extraEnvs:
  - {name: PASSWORD, value: hunter2}
dns: {}
networking: {podSubnet: 10.244.0.0/16}
proxy: {disabled: true}
scheduler: null
---
kind: KubeletConfiguration
staticPodURLHeader: {Authorization: [hunter2]}
`

func TestFlatten(t *testing.T) {
	got, err := journal.Flatten([]byte(documents), "initConfiguration.bootstrapTokens", "initConfiguration.certificateKey")
	if err != nil {
		t.Fatal(err)
	}
	const print = "sha256:f52fbd32b2b3b86f" // of hunter2
	want := map[string]string{
		"initConfiguration.localAPIEndpoint.bindPort":                    "6443",
		"initConfiguration.nodeRegistration.kubeletExtraArgs[v].name":    "v",
		"initConfiguration.nodeRegistration.kubeletExtraArgs[v].value":   "2",
		"initConfiguration.nodeRegistration.kubeletExtraArgs[v#2].name":  "v",
		"initConfiguration.nodeRegistration.kubeletExtraArgs[v#2].value": "4",
		"clusterConfiguration.apiServer.certSANs":                        "a,b",
		"clusterConfiguration.apiServer.extraEnvs[PASSWORD].name":        "PASSWORD",
		"clusterConfiguration.apiServer.extraEnvs[PASSWORD].value":       print,
		"clusterConfiguration.networking.podSubnet":                      "10.244.0.0/16",
		"clusterConfiguration.proxy.disabled":                            "true",
		"kubeletConfiguration.staticPodURLHeader.Authorization":          print,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func FuzzFlatten(f *testing.F) {
	f.Add(documents)
	f.Add("kind: A\nb: [[1], {c: ~}]\n")
	f.Fuzz(func(t *testing.T, text string) {
		got, err := journal.Flatten([]byte(text), "a.secret")
		if err != nil {
			return
		}
		for p, v := range got {
			if v == "" || strings.HasPrefix(p, "a.secret.") {
				t.Errorf("%q is %q", p, v)
			}
		}
	})
}

func record() journal.Record {
	return journal.Record{
		Use: journal.UseInit, Node: "cp-1", EtcdDataDir: "/var/lib/etcd",
		Config:  map[string]string{"clusterConfiguration.networking.podSubnet": "10.244.0.0/16", "clusterConfiguration.clusterName": "a"},
		Patches: map[string]string{"etcd.yaml": "metadata: {}", "kube-scheduler.yaml": "x"},
	}
}

func TestWriteAndRead(t *testing.T) {
	files := host.NewMemory()
	if r, err := journal.Read(t.Context(), files); r != nil || err != nil {
		t.Fatalf("without a record: %v, %v", r, err)
	}
	if err := journal.Write(t.Context(), files, record()); err != nil {
		t.Fatal(err)
	}
	info, err := files.Stat(t.Context(), journal.Path)
	if err != nil || info.Mode.Perm() != 0o600 {
		t.Errorf("mode %v, %v; want 0600", info.Mode, err)
	}
	got, err := journal.Read(t.Context(), files)
	if err != nil {
		t.Fatal(err)
	}
	want := record()
	want.Version = 1
	if diff := cmp.Diff(&want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestReadRefuses(t *testing.T) {
	for name, c := range map[string]struct{ reason, data string }{
		"Damaged": {"no YAML", "\tversion: hunter2"},
		"Foreign": {"no record", "hunter2: true\n"},
		"Newer":   {"a format that is not known yet", "version: 2\nuse: init\n"},
	} {
		t.Run(name, func(t *testing.T) {
			files := host.NewMemory()
			if err := files.WriteFile(t.Context(), journal.Path, []byte(c.data), 0o600); err != nil {
				t.Fatal(err)
			}
			r, err := journal.Read(t.Context(), files)
			var fault *phases.Fault
			if r != nil || !errors.As(err, &fault) || len(fault.Fixes) == 0 {
				t.Errorf("%s: %v, %v; want a fault with a fix", c.reason, r, err)
			}
			if err != nil && strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%s: the error quotes the file: %v", c.reason, err)
			}
		})
	}
	if _, err := journal.Read(t.Context(), failing{}); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("a file that may not be read: %v", err)
	}
}

type failing struct{ host.Files }

func (failing) ReadFile(context.Context, string) ([]byte, error) { return nil, fs.ErrPermission }

func TestDiffer(t *testing.T) {
	for name, c := range map[string]struct {
		reason string
		change func(*journal.Record)
		want   []string
	}{
		"Same":    {"nothing differs", func(*journal.Record) {}, nil},
		"Changed": {"a value", func(r *journal.Record) { r.Config["clusterConfiguration.clusterName"] = "b" }, []string{"clusterConfiguration.clusterName was a and is now b"}},
		"Removed": {"a setting that is left out", func(r *journal.Record) { delete(r.Config, "clusterConfiguration.clusterName") }, []string{"clusterConfiguration.clusterName was a and is now not set"}},
		"Added":   {"a further setting", func(r *journal.Record) { r.Config["z"] = "1" }, []string{"z was not set and is now 1"}},
		"Patch": {"a patch is named, not quoted", func(r *journal.Record) { r.Patches["etcd.yaml"] = "spec: {}" },
			nil},
		"Node": {"what follows from the configuration does not count", func(r *journal.Record) { r.Node, r.Use = "cp-2", journal.UseJoin }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			old, now := record(), record()
			c.change(&now)
			var got []string
			for _, d := range journal.Differ(&old, &now) {
				got = append(got, d.String())
			}
			if name == "Patch" && len(got) == 1 { // the digests are not the point
				if !strings.HasPrefix(got[0], "patches/etcd.yaml was sha256:") || strings.Contains(got[0], "spec") {
					t.Errorf("%s: %v", c.reason, got)
				}
				return
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("%s: -want +got\n%s", c.reason, diff)
			}
		})
	}
}

func TestPhase(t *testing.T) {
	files := host.NewMemory()
	run := func(task journal.Task) (kinds []phases.Kind) {
		t.Helper()
		list := []phases.Phase[journal.Task]{journal.Phase()}
		if err := phases.Run(t.Context(), list, &task, phases.Options{Notify: func(e phases.Event) { kinds = append(kinds, e.Kind) }}); err != nil {
			t.Fatal(err)
		}
		return kinds[len(kinds)-1:]
	}
	for _, c := range []struct {
		reason string
		change func(*journal.Record)
		want   phases.Kind
	}{
		{"a run of one phase has nothing to note", func(r *journal.Record) { r.Use = "" }, phases.Skipped},
		{"the first run notes", func(*journal.Record) {}, phases.Finished},
		{"the second finds it", func(*journal.Record) {}, phases.Unchanged},
		{"other patches are noted", func(r *journal.Record) { r.Patches = nil }, phases.Finished},
	} {
		r := record()
		c.change(&r)
		if diff := cmp.Diff([]phases.Kind{c.want}, run(journal.Task{Files: files, Record: r})); diff != "" {
			t.Errorf("%s: -want +got\n%s", c.reason, diff)
		}
	}
}
