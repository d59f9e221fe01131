package app

import (
	"strings"
	"testing"
	"testing/synctest"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases/journal"
)

const etcdManifest = "/etc/kubernetes/manifests/etcd.yaml"

// learnersIn says which values the flag has in the manifest of etcd and in the
// uploaded configuration, "" for none.
func (w *world) learnersIn() (manifest, uploaded string) {
	w.t.Helper()
	data, err := w.host.ReadFile(w.t.Context(), etcdManifest)
	if err == nil {
		_, rest, _ := strings.Cut(string(data), "--max-learners=")
		manifest, _, _ = strings.Cut(rest, "\n")
	}
	m := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "kubeadm-config"}}
	if err := w.api.Get(w.t.Context(), m); err == nil {
		_, rest, _ := strings.Cut(m.Data["ClusterConfiguration"], "- name: max-learners\n      value: ")
		uploaded, _, _ = strings.Cut(rest, "\n")
	}
	return manifest, strings.Trim(uploaded, `"`)
}

// forget takes the flag out of a file, as an earlier hactl or kubeadm made it.
func (w *world) forget(file string) {
	w.t.Helper()
	data, err := w.host.ReadFile(w.t.Context(), file)
	if err != nil {
		w.t.Fatal(err)
	}
	var kept []string
	for line := range strings.Lines(string(data)) {
		if !strings.Contains(line, "max-learners") {
			kept = append(kept, line)
		}
	}
	w.file(file, strings.Join(kept, ""), 0o600)
}

// alone is the input of phases alone with a configuration file.
func alone(only ...string) InitInput {
	in := input()
	in.Only = only
	return in
}

// TestLearners: only a cluster that is new, or was new with this hactl, takes
// several learners at a time.
func TestLearners(t *testing.T) {
	set := func(value string) InitInput {
		in := input()
		in.Config.Cluster.Etcd.Local = &config.LocalEtcd{ExtraArgs: []config.Arg{{Name: "max-learners", Value: value}}}
		return in
	}
	cases := map[string]struct {
		reason string
		before func(*world)
		in     InitInput
		want   string
	}{
		"New":      {"a new cluster takes four", func(*world) {}, input(), "4"},
		"Own":      {"the user's own number stays", func(*world) {}, set("2"), "2"},
		"OwnAgain": {"and in a second run", func(w *world) { w.must(set("2")) }, set("2"), "2"},
		"OwnImage": {"an etcd of the user's choice may not know the flag", func(*world) {}, func() InitInput {
			in := input()
			in.Config.Cluster.Etcd.Local = &config.LocalEtcd{ImageTag: "3.5.1-0"}
			return in
		}(), ""},
		"Again":   {"a run that goes on", func(w *world) { w.stopAfter(input(), "etcd/local") }, input(), "4"},
		"Earlier": {"a run that goes on before the manifest", func(w *world) { w.stopAfter(input(), "certs/ca") }, input(), "4"},
		"OlderRecord": {"an earlier hactl began", func(w *world) {
			w.stopAfter(input(), "certs/ca")
			w.forget(journal.Path)
		}, input(), ""},
		"Older": {"an earlier hactl began, and etcd ran without", func(w *world) {
			w.stopAfter(input(), "etcd/local")
			w.forget(journal.Path)
			w.forget(etcdManifest)
		}, input(), ""},
		"Kubeadm": {"kubeadm made the manifest", func(w *world) {
			w.must(alone("etcd/local"))
			w.forget(etcdManifest)
		}, input(), ""},
		"PhaseBefore": {"the phase alone agrees with the whole run", func(w *world) {
			w.must(alone("etcd/local"))
			if manifest, _ := w.learnersIn(); manifest != "4" {
				w.t.Errorf("etcd/local alone: the manifest has %q", manifest)
			}
		}, input(), "4"},
		"PhaseAfter":     {"to upload alone changes nothing", func(w *world) { w.must(input()) }, alone("upload-config/kubeadm"), "4"},
		"PhaseAfterEtcd": {"nor does the manifest alone", func(w *world) { w.must(input()) }, alone("etcd/local"), "4"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				c.before(w)
				w.must(c.in)
				if manifest, uploaded := w.learnersIn(); manifest != c.want || uploaded != c.want {
					t.Errorf("%s: the manifest has %q, the uploaded configuration %q, want %q", c.reason, manifest, uploaded, c.want)
				}
			})
		})
	}
}

// The configuration is uploaded from a machine, or a node, that knows less
// than the cluster.
func TestLearnersElsewhere(t *testing.T) {
	for name, c := range map[string]struct {
		reason string
		before func(*world)
		want   string
	}{
		"With": {"the cluster has the flag", func(*world) {}, "4"},
		"Without": {"it has not", func(w *world) {
			m := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "kubeadm-config"}}
			if err := w.api.Get(w.t.Context(), m); err != nil {
				w.t.Fatal(err)
			}
			m.Data["ClusterConfiguration"] = strings.ReplaceAll(m.Data["ClusterConfiguration"], "    extraArgs:\n    - name: max-learners\n      value: \"4\"\n", "")
			if err := w.api.Set(m); err != nil {
				w.t.Fatal(err)
			}
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.must(input())
				for _, file := range []string{journal.Path, etcdManifest} {
					if err := w.host.Remove(t.Context(), file); err != nil {
						t.Fatal(err)
					}
				}
				c.before(w)
				w.must(alone("upload-config/kubeadm"))
				if _, uploaded := w.learnersIn(); uploaded != c.want {
					t.Errorf("%s: uploaded %q, want %q", c.reason, uploaded, c.want)
				}
			})
		})
	}
}
