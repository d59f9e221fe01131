package app

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/etcd"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/host"
)

// externalInit runs init on an etcd that others run.
func (w *world) externalInit(s etcd.Store, change func(*InitInput)) error {
	in := input()
	in.Config.Cluster.Etcd.External = &config.ExternalEtcd{
		Endpoints: []string{"https://10.0.0.31:2379"},
		CAFile:    "/srv/etcd/ca.crt", CertFile: "/srv/etcd/client.crt", KeyFile: "/srv/etcd/client.key",
	}
	if change != nil {
		change(&in)
	}
	p := w.ports()
	p.dialStore = func(context.Context, host.Files, *config.ExternalEtcd) (etcd.Store, func() error, error) {
		return s, func() error { return nil }, nil
	}
	_, err := initOver(w.t.Context(), p, in, func(string) {}, func(phases.Event) {})
	return err
}

// newEtcdUser is a machine with the files of an external etcd.
func newEtcdUser(t *testing.T) *world {
	w := newWorld(t)
	for _, name := range []string{"ca.crt", "client.crt", "client.key"} {
		w.file("/srv/etcd/"+name, "not read here", 0o600)
	}
	return w
}

// An init on external etcd may run again on its own data, and nobody else's
// init may begin on it, unless the user says so.
func TestInitOnExternalEtcd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &etcd.MemoryStore{}
		s.Answer("https://10.0.0.31:2379", etcd.Probed{ClusterID: 1, Version: "3.7.0", HasLeader: true, Latency: time.Millisecond})
		first := newEtcdUser(t)
		if err := first.externalInit(s, nil); err != nil {
			t.Fatalf("on an empty etcd: %v", err)
		}
		// The API server begins to write, then it stores the cluster's CA.
		s.Put("/registry/ranges/serviceips", []byte("k8s"))
		if err := first.externalInit(s, nil); err != nil {
			t.Errorf("again, while the API server begins: %v", err)
		}
		s.Put("/registry/configmaps/kube-system/extension-apiserver-authentication",
			append([]byte("k8s\x00"), first.read("/etc/kubernetes/pki/ca.crt")...))
		if err := first.externalInit(s, nil); err != nil {
			t.Errorf("again: %v", err)
		}

		second := newEtcdUser(t)
		x := Explain(second.externalInit(s, nil))
		if x.Code != phases.CodePreflight || !strings.Contains(x.What+x.Why, "another CA") && !strings.Contains(fmt.Sprint(x), "holds data already") {
			t.Errorf("another machine: %+v", x)
		}
		if second.changes.Load() != 0 {
			t.Error("the refused init has changed something")
		}
		if err := second.externalInit(s, func(in *InitInput) { in.AllowEtcdData = true }); err != nil {
			t.Errorf("with the user's word: %v", err)
		}
	})
}
