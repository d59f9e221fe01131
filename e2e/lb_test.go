//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hactl/hactl/e2e/nodes"
)

// limitFailover is how long clients may be cut off when a balancer fails.
const limitFailover = 5.0

// TestLoadBalancers sets up two hosts with HAProxy, Keepalived and a virtual
// address before there is a cluster, makes the cluster behind them, and lets
// the hosts fail in turn. The subtests run in order.
func TestLoadBalancers(t *testing.T) {
	lab := start(t, nodes.Options{Name: "lb", ControlPlanes: 2, LoadBalancers: 2})
	b := &balancers{
		lab: lab, cp: lab.Node("cp-1"), hosts: []*nodes.Node{lab.Node("lb-1"), lab.Node("lb-2")},
		vip: nodes.SpareAddress.String(), endpoint: nodes.SpareAddress.String() + ":6443",
	}
	b.doc = openPage(t, lab, "load-balancer.md")
	t.Run("FilesAccepted", b.filesAccepted)
	t.Run("Refuses", b.refuses)
	if !t.Run("Install", b.install) {
		return
	}
	t.Run("LeavesWhatRuns", b.leavesWhatRuns)
	if !t.Run("Init", b.init) {
		return
	}
	t.Run("Sync", b.sync)
	t.Run("Answers", b.answers)
	t.Run("Failover", b.failover)
	t.Run("Leaves", b.leaves)
	t.Run("Nginx", b.nginx)
}

type balancers struct {
	lab           *nodes.Lab
	cp            *nodes.Node
	hosts         []*nodes.Node
	vip, endpoint string
	result        initResult
	doc           *page
}

// servers are the flags that name all control planes.
func (b *balancers) servers() []string {
	var flags []string
	for _, n := range b.lab.Nodes() {
		if n.Role() == nodes.ControlPlane {
			flags = append(flags, fmt.Sprintf("--server=%s=%s:6443", n.Name(), n.Address()))
		}
	}
	return flags
}

// among is the flag that names both hosts.
func (b *balancers) among() string {
	return fmt.Sprintf("--balancer=%s,%s", b.hosts[0].Address(), b.hosts[1].Address())
}

// filesAccepted gives what hactl renders to the real programs.
func (b *balancers) filesAccepted(t *testing.T) {
	n := b.hosts[0]
	cases := map[string]struct {
		flags []string
		test  string
	}{
		"haproxy":    {b.servers(), "haproxy -c -f"},
		"nginx":      {b.servers(), "nginx -t -c"},
		"keepalived": {[]string{"--virtual-ip=" + b.vip + "/24", b.among(), "--unicast"}, "keepalived -t -f"},
	}
	for program, c := range cases {
		for _, more := range []string{"--check=readyz", "--check=tcp"} {
			o := hactl(t, n, append([]string{"lb", "render", program, more}, c.flags...)...)
			if o.code != 0 {
				t.Fatalf("%s: exit code %d\n%s", program, o.code, o.stderr)
			}
			if err := n.WriteFile(t.Context(), "/tmp/rendered", []byte(o.stdout), 0o644); err != nil {
				t.Fatal(err)
			}
			if o := run(t, n, append(strings.Fields(c.test), "/tmp/rendered")...); o.code != 0 {
				t.Errorf("%s /tmp/rendered (%s): exit code %d\n%s%s", c.test, more, o.code, o.stdout, o.stderr)
			}
		}
	}
}

// refuses meets the lab's own balancer: a file of somebody else, and a port
// that it has.
func (b *balancers) refuses(t *testing.T) {
	n := b.hosts[0]
	before := b.running(t, n)
	for name, c := range map[string]struct {
		args []string
		code int
		says string
	}{
		"Foreign":   {[]string{"haproxy"}, 5, "was not written by hactl"},
		"PortTaken": {[]string{"nginx"}, 3, "port 6443 is taken by haproxy"},
	} {
		if o := hactl(t, n, append(append([]string{"lb", "install"}, c.args...), b.servers()...)...); o.code != c.code || !strings.Contains(o.stderr, c.says) {
			t.Errorf("%s: exit code %d, want %d and %q\n%s", name, o.code, c.code, c.says, o.stderr)
		}
	}
	if diff := cmp.Diff(before, b.running(t, n)); diff != "" {
		t.Errorf("the balancer that runs: -before +after\n%s", diff)
	}
}

// running is the balancer as it runs: its process and its files.
func (b *balancers) running(t *testing.T, n *nodes.Node) string {
	t.Helper()
	return must(t, n, "sh", "-c", "systemctl show -p MainPID -p ActiveState haproxy keepalived nginx; md5sum $(find /etc/haproxy /etc/keepalived /etc/nginx -type f | sort)")
}

// install sets up both hosts, before there is a cluster.
func (b *balancers) install(t *testing.T) {
	var group sync.WaitGroup
	for _, n := range b.hosts {
		group.Go(func() {
			flags := append([]string{"--endpoint=" + b.endpoint, "--force"}, b.servers()...)
			for _, args := range [][]string{
				append([]string{"lb", "install", "haproxy"}, flags...),
				{"lb", "install", "keepalived", "--endpoint=" + b.endpoint, b.among()},
			} {
				o := hactl(t, n, args...)
				t.Logf("%s on %s took %.1f s", args[2], n.Name(), o.took.Seconds())
				if o.code != 0 {
					t.Errorf("%s: exit code %d\n%s%s", n.Name(), o.code, o.stdout, o.stderr)
				}
			}
		})
	}
	group.Wait()
	// The lab's own file was to be replaced; on hosts without one, the page's
	// commands do, which now add a control plane that is not there yet.
	b.doc.section(t, "Two hosts and a virtual address")
	if kept := must(t, b.hosts[0], "cat", "/etc/haproxy/haproxy.cfg.before-hactl"); !strings.Contains(kept, "backend control-planes") {
		t.Errorf("the lab's own file is not kept:\n%s", kept)
	}
	b.check(t, check{want: "nothing-behind", code: 3, address: b.endpoint})
	b.check(t, check{want: "timeout", code: 4, address: "10.77.0.6:6443"}) // nobody has it
	b.check(t, check{want: "refused", code: 3, address: b.hosts[0].Address().String() + ":6444"})
	must(t, b.hosts[0], "systemd-run", "-q", "--unit=hangs", "socat", "TCP-LISTEN:6445,fork,reuseaddr", "EXEC:sleep 60")
	eventually(t, 5*time.Second, "the one that hangs listens", func() (bool, string) {
		return run(t, b.hosts[0], "sh", "-c", "ss -ltn | grep -q :6445").code == 0, ""
	})
	b.check(t, check{want: "timeout", code: 4, address: b.hosts[0].Address().String() + ":6445"})
	must(t, b.hosts[0], "systemctl", "stop", "hangs")
}

// leavesWhatRuns lets changes fail: the balancer goes on as it was.
func (b *balancers) leavesWhatRuns(t *testing.T) {
	n := b.hosts[0]
	// A HAProxy that accepts no file stands for a template that is broken.
	fake := "#!/bin/sh\n[ \"$1\" = -c ] && { echo 'unknown keyword' >&2; exit 1; }\nexec /usr/sbin/haproxy \"$@\"\n"
	if err := n.WriteFile(t.Context(), "/opt/fake/haproxy", []byte(fake), 0o755); err != nil {
		t.Fatal(err)
	}
	must(t, n, "systemd-run", "-q", "--unit=taken", "socat", "TCP-LISTEN:7443,fork,reuseaddr", "-")
	defer must(t, n, "systemctl", "stop", "taken")
	before := b.running(t, n)
	one := "--server=x=10.77.0.99:6443"
	for name, c := range map[string]struct {
		argv []string
		code int
		says string
	}{
		"BrokenFile": {[]string{"env", "PATH=/opt/fake:/usr/local/bin:/usr/sbin:/usr/bin", "hactl", "lb", "install", "haproxy", one}, 1, "unknown keyword"},
		"PortTaken":  {[]string{"hactl", "lb", "install", "haproxy", one, "--bind-port=7443"}, 3, "port 7443 is taken by socat"},
		"DryRun":     {[]string{"hactl", "lb", "install", "haproxy", one, "--dry-run"}, 0, ""},
	} {
		if o := run(t, n, c.argv...); o.code != c.code || !strings.Contains(o.stderr, c.says) {
			t.Errorf("%s: exit code %d, want %d and %q\n%s%s", name, o.code, c.code, c.says, o.stdout, o.stderr)
		}
	}
	if diff := cmp.Diff(before, b.running(t, n)); diff != "" {
		t.Errorf("the balancer that runs: -before +after\n%s", diff)
	}
}

// init makes the cluster behind the address.
func (b *balancers) init(t *testing.T) {
	b.doc.section(t, "The cluster behind it")
	b.result = b.doc.joins(t, b.endpoint)
	network(t, b.lab)
	b.check(t, check{want: "good", address: b.endpoint, more: []string{b.among()}})
}

// sync gives the hosts a kubeconfig that may read one object, and lets them
// follow the control planes: nobody edits a list any more.
func (b *balancers) sync(t *testing.T) {
	b.doc.section(t, "Following the control planes")
	b.lists(t, "cp-1")
	// kubectl ends when its connection does: a reload must not cut it.
	must(t, b.cp, "systemd-run", "-q", "--unit=watching", "--setenv="+admin, "kubectl", "get", "configmaps", "-A", "--watch")
	reloads := b.reloads(t)
	mustJoin(t, b.lab.Node("cp-2"), b.result)
	b.lists(t, "cp-1", "cp-2")
	// The file is there before HAProxy has read it.
	eventually(t, 10*time.Second, "HAProxy has read its file anew", func() (bool, string) {
		again := b.reloads(t)
		return again > reloads, fmt.Sprintf("%d reloads before the join and %d after it", reloads, again)
	})
	if o := run(t, b.cp, "systemctl", "is-active", "watching"); o.code != 0 {
		t.Errorf("a connection from before the join is gone: %s\n%s", o.stdout, must(t, b.cp, "journalctl", "-u", "watching", "-o", "cat", "-n", "5"))
	}
	must(t, b.cp, "systemctl", "stop", "watching")
	b.doc.section(t, "Checking any balancer")
	r := b.check(t, check{want: "good", address: b.endpoint, more: []string{b.among()}})
	for _, s := range r.Backends {
		if s.Connections == 0 {
			t.Errorf("%s gets no traffic", s.Name)
		}
	}
	if len(r.Backends) != 2 {
		t.Errorf("backends %+v, want cp-1 and cp-2", r.Backends)
	}
}

// reloads is how often HAProxy on the first host has read its file anew.
func (b *balancers) reloads(t *testing.T) int {
	t.Helper()
	return strings.Count(must(t, b.hosts[0], "journalctl", "-u", "haproxy", "-o", "cat"), "Reloaded haproxy.service")
}

// lists waits until both hosts pass connections on to these nodes only.
func (b *balancers) lists(t *testing.T, names ...string) {
	t.Helper()
	var want []string
	for _, name := range names {
		want = append(want, b.lab.Node(name).Address().String()+":6443")
	}
	began := time.Now()
	for _, n := range b.hosts {
		eventually(t, 60*time.Second, n.Name()+" lists "+strings.Join(names, ", "), func() (bool, string) {
			got := strings.Fields(must(t, n, "sed", "-nE", `s/^ *server [^ ]+ ([^ ]+) check$/\1/p`, "/etc/haproxy/haproxy.cfg"))
			return slices.Equal(got, want), fmt.Sprint(got)
		})
	}
	t.Logf("both hosts list %v after %.1f s", names, time.Since(began).Seconds())
}

// failover takes the power of one host after the other, and gives it back:
// the address answers again soon each time.
func (b *balancers) failover(t *testing.T) {
	rounds := 2
	if os.Getenv("HACTL_SOAK") != "" {
		rounds = 10
	}
	for round := range rounds {
		n := b.hosts[round%2]
		held := b.holder(t) == n
		off := b.measure(t, func() {
			if err := n.PowerOff(t.Context()); err != nil {
				t.Error(err)
			}
		})
		on := b.measure(t, func() {
			if err := n.Boot(t.Context()); err != nil {
				t.Error(err)
			}
		})
		t.Logf("round %d: %s (held the address: %v) off: cut off for %.1f s; on again: %.1f s", round+1, n.Name(), held, off.Seconds, on.Seconds)
		if off.Seconds > limitFailover || on.Seconds > limitFailover {
			t.Errorf("the limit is %.1f s", limitFailover)
		}
		eventually(t, 30*time.Second, n.Name()+" serves again", func() (bool, string) {
			o := run(t, n, "systemctl", "is-active", "haproxy", "keepalived", "hactl-lb-sync")
			return o.code == 0, o.stdout
		})
		eventually(t, 15*time.Second, "lb-1 holds the address", func() (bool, string) { return b.holder(t) == b.hosts[0], "" })
	}
}

// holder is the host that has the address, nil if none has.
func (b *balancers) holder(t *testing.T) *nodes.Node {
	t.Helper()
	for _, n := range b.hosts {
		if n.Running() && strings.Contains(must(t, n, "ip", "-o", "address"), " "+b.vip+"/") {
			return n
		}
	}
	return nil
}

// leaves takes a control plane out: it gets no traffic, without an edit.
func (b *balancers) leaves(t *testing.T) {
	if o := hactl(t, b.lab.Node("cp-2"), "reset", "--force"); o.code != 0 {
		t.Fatalf("reset: exit code %d\n%s%s", o.code, o.stdout, o.stderr)
	}
	b.lists(t, "cp-1")
	r := b.check(t, check{want: "good", address: b.endpoint})
	if len(r.Backends) != 1 {
		t.Errorf("backends %+v, want cp-1", r.Backends)
	}
	if log := must(t, b.hosts[0], "journalctl", "-u", "hactl-lb-sync", "-o", "cat"); !strings.Contains(log, "10.77.0.22") {
		t.Errorf("the log does not tell who came and went:\n%s", log)
	}
}

// nginx takes the place of HAProxy on one host.
func (b *balancers) nginx(t *testing.T) {
	must(t, b.hosts[0], "systemctl", "disable", "--now", "hactl-lb-sync", "keepalived", "haproxy")
	b.doc.section(t, "nginx")
	must(t, b.cp, "curl", "-sfk", "https://"+b.hosts[0].Address().String()+":6443/readyz")
}
