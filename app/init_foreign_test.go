package app

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/journal"
)

// A node that belongs to a cluster is not made anew.
func TestForeignNode(t *testing.T) {
	rotated := "apiVersion: v1\nkind: Config\ncurrent-context: a\ncontexts: [{name: a, context: {cluster: a, user: a}}]\n" +
		"clusters: [{name: a, cluster: {server: 'https://other:6443'}}]\nusers: [{name: a, user: {client-certificate: /var/lib/kubelet/pki/kubelet-client-current.pem}}]\n"
	data := func(w *world) { w.file("/var/lib/etcd/member/wal/0.wal", "x", 0o600) }
	remove := func(w *world, files ...string) {
		for _, f := range files {
			if err := w.host.Remove(w.t.Context(), f); err != nil {
				w.t.Fatal(err)
			}
		}
	}
	cases := map[string]struct {
		reason string
		before func(*world)
		ignore []string
		words  []string // none if init goes on
	}{
		"Worker": {"the node joined by kubeadm", func(w *world) {
			w.file("/etc/kubernetes/kubelet.conf", rotated, 0o600)
			w.file("/etc/kubernetes/pki/ca.crt", "x", 0o644)
		}, nil, []string{"is a node of a cluster already", "https://other:6443", "hactl reset"}},
		"Joined": {"the node joined by hactl", func(w *world) {
			if err := journal.Write(w.t.Context(), w.host, journal.Record{Use: journal.UseJoin, Node: "w-1"}); err != nil {
				w.t.Fatal(err)
			}
		}, nil, []string{"is a node of a cluster already", "it joined the cluster as w-1"}},
		"ControlPlane": {"another configuration made a control plane, and nobody noted it", func(w *world) {
			other := input()
			other.Config.Cluster.Name = "other"
			w.must(other)
			data(w)
			remove(w, journal.Path)
		}, nil, []string{"is a control plane of a cluster already", "kube-controller-manager.yaml", "/var/lib/etcd"}},
		"Edited": {"someone changed a manifest since", func(w *world) {
			w.must(input())
			const file = "/etc/kubernetes/manifests/kube-apiserver.yaml"
			pod, err := w.host.ReadFile(w.t.Context(), file)
			if err != nil {
				w.t.Fatal(err)
			}
			w.file(file, strings.Replace(string(pod), "v1.37.1", "v1.37.2", 1), 0o600)
		}, nil, []string{"something has changed it since", "kube-apiserver.yaml", "there is nothing to do"}},
		"Data": {"data without anything around it", data, nil, []string{"there is the data of a cluster", "/var/lib/etcd", `mv /var/lib/etcd/member "$(mktemp -d /var/lib/etcd/backup-XXXX)"`}},
		"Restored": {"data that the user has put there", func(w *world) {
			alone := input()
			alone.Only = []string{"certs"}
			w.must(alone)
			data(w)
		}, []string{"DirAvailable--var-lib-etcd"}, nil},
		"NoCertificates": {"a cluster that would get a new CA", func(w *world) {
			w.must(input())
			data(w)
			remove(w, "/etc/kubernetes/pki/sa.key")
		}, nil, []string{"there is the data of a cluster", "its certificates are gone", "/etc/kubernetes/pki/sa.key"}},
		"NoManifests": {"hactl's own data, and somebody has taken the pods away", func(w *world) {
			w.must(input())
			data(w)
			remove(w, manifestFiles()...)
		}, nil, nil},
		"Phases": {"phases alone have begun, and nobody noted it", func(w *world) {
			for _, p := range []string{"certs", "kubeconfig", "etcd", "control-plane"} {
				alone := input()
				alone.Only = []string{p}
				w.must(alone)
			}
		}, nil, nil},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				c.before(w)
				in := input()
				in.Config.Node.IgnorePreflight = c.ignore
				if c.words == nil {
					w.must(in)
					return
				}
				t.Logf("%s:\n%s", c.reason, w.refused(in, phases.CodeUnsafe, c.words...))
			})
		})
	}
}
