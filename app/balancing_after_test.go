package app

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/etcd"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/host"
	lbfiles "github.com/hactl/hactl/templates/loadbalancer"
)

// A whole reset takes the load balancer away, after the member of etcd and
// before the rest; one that was killed is continued.
func TestBalancingResetWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBalanced(newWorld(t), "10.0.0.11")
		b.mustInit(balancedInput())
		w := &resetWorld{world: b.world, etcd: etcd.NewMemory("cp-1", "https://10.0.0.11:2379"), answer: true}
		w.etcd.Join("cp-2", "https://10.0.0.12:2380")
		w.run()
		reset := func() (*log, error) {
			p := b.with(b.ports())
			p.dialEtcd = func(context.Context, host.Files, string, []string) (etcd.Cluster, func() error, error) {
				return w.etcd, func() error { return nil }, nil
			}
			l := &log{}
			in := ResetInput{Config: &config.Reset{Force: true, CRISocket: "unix:///run/containerd/containerd.sock"}}
			_, err := resetOver(t.Context(), p, in, func(string) {}, func(e phases.Event) { l.events = append(l.events, e) })
			return l, err
		}
		for at := int64(1); at < 8; at += 2 {
			b.dead.Store(true)
			b.fuse.Store(at)
			_, err := reset()
			b.dead.Store(false)
			b.fuse.Store(0)
			if err == nil {
				t.Fatalf("killed at change %d, it ends well", at)
			}
		}
		l, err := reset()
		if err != nil {
			t.Fatal(Explain(err))
		}
		if ends := l.ends(); ends["cleanup-node"] != phases.Finished {
			t.Errorf("the reset ends with %v", ends)
		}
		for _, file := range []string{haproxyFile, keepalivedFile, syncFile} {
			if b.text(t, file) != "" {
				t.Errorf("%s is still there", file)
			}
		}
		for _, unit := range []string{"haproxy.service", "keepalived.service", "hactl-lb-sync.service"} {
			if status, err := b.host.Services().Status(t.Context(), unit); err != nil || status.Active || status.Enabled {
				t.Errorf("%s: %+v %v", unit, status, err)
			}
		}
		l, err = reset()
		if _, there := l.ends()["load-balancer"]; err != nil || there {
			t.Errorf("nothing is left to do, and it ends with %v, %v", l.ends(), err)
		}
	})
}

// A reset takes away what init made, and what others made stays.
func TestBalancingReset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBalanced(newWorld(t), "10.0.0.11")
		b.mustInit(balancedInput())
		edited := b.text(t, haproxyFile) + "# mine\n"
		b.file(haproxyFile, edited, 0o644)
		p := b.with(b.ports())
		l := &log{}
		in := ResetInput{Config: &config.Reset{CRISocket: "unix:///run/containerd/containerd.sock"}, Only: []string{"load-balancer"}}
		_, err := resetOver(t.Context(), p, in, func(string) {}, func(e phases.Event) { l.events = append(l.events, e) })
		if err != nil {
			t.Fatal(Explain(err))
		}
		if b.active("keepalived.service") || b.active("hactl-lb-sync.service") || b.text(t, keepalivedFile)+b.text(t, syncFile) != "" {
			t.Error("the node may still hold the address")
		}
		if !b.active("haproxy.service") || b.text(t, haproxyFile) != edited {
			t.Error("a file that somebody changed is gone")
		}
	})
}

// The unit on a control plane keeps both programs right: the servers of
// HAProxy and, where the control planes name each other, the peers of
// Keepalived. Its command is the one that the phase has written.
func TestBalancingFollows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBalanced(newWorld(t), "10.0.0.11")
		in := balancedInput()
		in.Config.Cluster.LoadBalancer.Unicast = true
		b.mustInit(in)
		if text := b.text(t, keepalivedFile); strings.Contains(text, "unicast") {
			t.Errorf("there is nobody to talk to yet:\n%s", text)
		}
		priority := lineWith(b.text(t, keepalivedFile), "priority")
		if unit := b.text(t, syncFile); !strings.Contains(unit, `"--own-server=cp-1=10.0.0.11:6443" "--unicast"`) {
			t.Errorf("the unit does not say whose it is:\n%s", unit)
		}
		sync := func() bool {
			t.Helper()
			in := LBSyncInput{Once: true, LBInput: LBInput{
				Program: "haproxy", BindPort: 8443, Check: "readyz", Kubeconfig: "/etc/kubernetes/admin.conf",
				VirtualIP: "10.0.0.100/24", RouterID: 51, OwnServer: "cp-1=10.0.0.11:6443", Unicast: true,
			}}
			r, err := lbSyncOver(t.Context(), b.with(b.ports()), in, func(phases.Event) {})
			if err != nil {
				t.Fatal(Explain(err))
			}
			return r.Changed
		}
		// Another hactl is at work, and ends.
		release, err := b.lock(t.Context(), "hactl join")
		if err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(20*time.Second, func() { _ = release() })
		for _, c := range []struct {
			reason  string
			servers []string
			changed bool
		}{
			{"alone", []string{"10.0.0.11"}, false},
			{"two join", []string{"10.0.0.11", "10.0.0.12", "10.0.0.13"}, true},
			{"nothing happens", []string{"10.0.0.11", "10.0.0.12", "10.0.0.13"}, false},
			{"one leaves", []string{"10.0.0.11", "10.0.0.13"}, true},
			{"this node's API server is down, its balancer is not", []string{"10.0.0.13"}, true},
		} {
			setServers(t, b.api, c.servers...)
			if got := sync(); got != c.changed {
				t.Errorf("%s: changed: %v", c.reason, got)
			}
			var servers []string
			for _, s := range lbfiles.Servers([]byte(b.text(t, haproxyFile))) {
				servers = append(servers, s.Address.Addr().String())
			}
			if diff := cmp.Diff(c.servers, servers); diff != "" {
				t.Errorf("%s: servers -want +got\n%s", c.reason, diff)
			}
			text := b.text(t, keepalivedFile)
			for _, a := range []string{"10.0.0.12", "10.0.0.13"} {
				if is := strings.Contains(text, "\n        "+a+"\n"); is != slices.Contains(c.servers, a) {
					t.Errorf("%s: %s is a peer: %v", c.reason, a, is)
				}
			}
			if !lbfiles.OfNode([]byte(text)) || lineWith(text, "priority") != priority {
				t.Errorf("%s: Keepalived has become another:\n%s", c.reason, text)
			}
		}
	})
}

func lineWith(text, word string) string {
	for line := range strings.Lines(text) {
		if strings.Contains(line, word) && !strings.Contains(line, "#") {
			return line
		}
	}
	return ""
}
