package app

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases"
)

// A phase alone that is told nothing works on the cluster as it is: it
// brings no default back.
func TestPhaseAloneAsksTheCluster(t *testing.T) {
	bare := func(path string, told ...string) InitInput {
		c := &config.Init{}
		c.Cluster.Version, c.Local.Port = "stable-1", 6443
		return InitInput{Config: c, Only: []string{path}, Told: append([]string{}, told...)}
	}
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		whole := input()
		whole.Config.Node.Name = "other-name"
		whole.Config.Local = config.Endpoint{Address: netip.MustParseAddr("10.0.0.11"), Port: 7443}
		whole.Config.Cluster.Scheduler.ExtraArgs = []config.Arg{{Name: "v", Value: "3"}}
		w.nodeName = "other-name"
		w.must(whole)

		before := w.snapshot()
		for _, path := range leaves() {
			if path == "bootstrap-token" || path == "preflight" {
				continue // each run makes a token; preflight finds the ports of a stranger
			}
			_, l, err := w.init(t.Context(), bare(path), nil)
			if err != nil {
				t.Errorf("%s: %v", path, Explain(err))
			}
			if end := l.ends()[path]; end != phases.Unchanged && !slices.Contains(always, path) && path != "upload-certs" {
				t.Errorf("%s: %s, want unchanged", path, end)
			}
		}
		if diff := cmp.Diff(before, w.snapshot()); diff != "" {
			t.Errorf("-before +after\n%s", diff)
		}

		// What it is told counts.
		in := bare("control-plane/controller-manager", "pod-network-cidr")
		in.Config.Cluster.Networking.PodSubnets = []netip.Prefix{netip.MustParsePrefix("10.9.0.0/16")}
		w.must(in)
		pod, err := w.host.ReadFile(t.Context(), "/etc/kubernetes/manifests/kube-controller-manager.yaml")
		if err != nil || !strings.Contains(string(pod), "--cluster-cidr=10.9.0.0/16") {
			t.Errorf("%v\n%s", err, pod)
		}

		// Without an answer, defaults take the place.
		w.up.Store(false)
		w.must(bare("control-plane/scheduler"))
		pod, err = w.host.ReadFile(t.Context(), "/etc/kubernetes/manifests/kube-scheduler.yaml")
		if err != nil || strings.Contains(string(pod), "--v=3") {
			t.Errorf("%v\n%s", err, pod)
		}
	})
}
