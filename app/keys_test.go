package app

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/hactl/hactl/certs"
	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases/kubeconfig"
	"github.com/hactl/hactl/phases/pki"
)

// keyFiles are the files of the machine with a private key in them.
func (w *world) keyFiles() []string {
	var list []string
	for name, content := range w.snapshot() {
		if strings.HasPrefix(name, config.KubernetesDir) && (strings.Contains(content, "PRIVATE KEY") || strings.Contains(content, "client-key-data")) {
			list = append(list, name)
		}
	}
	return list
}

// ahead is how many keys a run makes before it needs them.
func (w *world) ahead(files []string) int {
	pool := (&machine{ports: w.ports()}).keysFor(w.t.Context(), certs.ECDSAP256, files)
	defer pool.Close()
	return pool.Left()
}

// signed are the tasks of what a control plane signs for itself.
func signed(externalEtcd bool) (*pki.Task, *kubeconfig.Task) {
	in := input()
	if externalEtcd {
		in.Config.Cluster.Etcd = config.Etcd{External: &config.ExternalEtcd{}}
	}
	in.Config.Cluster.CertificatesDir = config.DefaultCertsDir
	p, k := (&machine{}).signs(in.Config, certs.ECDSAP256)
	return &p, &k
}

// TestKeysOfInit: a key is made for each file that init writes, and no more.
func TestKeysOfInit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		p, k := signed(false)
		files := slices.Concat(pki.KeyFiles(p), kubeconfig.Files(k))
		if got := w.ahead(files); got != 16 {
			t.Errorf("a new cluster has eleven pairs and five kubeconfigs; %d keys are made", got)
		}
		w.must(input())
		// The kubelet has its own key by now, and kubelet.conf names its file.
		want := slices.DeleteFunc(slices.Clone(files), func(f string) bool { return f == kubeletConf })
		if diff := cmp.Diff(want, w.keyFiles(), sorted); diff != "" {
			t.Errorf("files with keys: -want +got\n%s", diff)
		}
		if got := w.ahead(files); got != 0 {
			t.Errorf("everything is there, and %d keys are made", got)
		}
		p, k = signed(true)
		if got := newWorld(t).ahead(slices.Concat(pki.KeyFiles(p), kubeconfig.Files(k))); got != 11 {
			t.Errorf("the etcd of others has its own five pairs; %d keys are made", got)
		}
	})
}

// TestKeysOfExternalCA: what others sign needs no key.
func TestKeysOfExternalCA(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.file(config.DefaultCertsDir+"/ca.crt", "certificate", 0o644)
		p, _ := signed(false)
		if got := w.ahead(pki.KeyFiles(p)); got != 10 {
			t.Errorf("the CA has its key elsewhere; %d keys are made, not 10", got)
		}
	})
}

// TestKeysOfJoin: the shared keys are downloaded, and the kubelet's is of the
// kind that TLS bootstrap makes.
func TestKeysOfJoin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newJoinWorld(t)
		p, k := signed(false)
		files := slices.Concat(pki.OwnKeyFiles(p), kubeconfig.JoinFiles(k))
		if got := w.ahead(files); got != 10 {
			t.Errorf("a control plane has seven pairs and three kubeconfigs of its own; %d keys are made", got)
		}
		w.mustJoin(plane())
		want := slices.Clone(files) // the kubelet has its own key by now
		for _, shared := range []string{"ca", "front-proxy-ca", "etcd/ca", "sa"} {
			want = append(want, config.DefaultCertsDir+"/"+shared+".key")
		}
		if diff := cmp.Diff(want, w.keyFiles(), sorted); diff != "" {
			t.Errorf("files with keys: -want +got\n%s", diff)
		}
	})
}
