//go:build e2e && linux

package nodes

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestFaults does to nodes what tests of hactl will do to them.
func TestFaults(t *testing.T) {
	lab := up(t, Options{Name: "e2e-faults", ControlPlanes: 2, LoadBalancers: 1})
	cp, other := lab.Node("cp-1"), lab.Node("cp-2")
	t.Run("Files", func(t *testing.T) { testFiles(t, cp) })
	t.Run("Commands", func(t *testing.T) { testCommands(t, cp) })
	t.Run("Power", func(t *testing.T) { testPower(t, cp) })
	t.Run("Network", func(t *testing.T) { testNetwork(t, cp, other) })
	t.Run("Pause", func(t *testing.T) { testPause(t, cp) })
	t.Run("Wipe", func(t *testing.T) { testWipe(t, cp) })
	t.Run("AddAndRemove", func(t *testing.T) { testAddAndRemove(t, lab) })
	t.Run("Logs", func(t *testing.T) { testLogs(t, lab) })
}

func testFiles(t *testing.T, n *Node) {
	// /var/run is a link to /run: it must be the node's.
	must(t, n.WriteFile(t.Context(), "/var/run/new/dir/file", []byte("text"), 0o640))
	if got := run(t, n, "stat", "-c", "%a %s", "/run/new/dir/file"); got != "640 4\n" {
		t.Errorf("mode and size %q", got)
	}
	data, err := n.ReadFile(t.Context(), "/run/new/dir/file")
	if err != nil || string(data) != "text" {
		t.Errorf("read %q, %v", data, err)
	}
	local := filepath.Join(t.TempDir(), "program")
	must(t, os.WriteFile(local, []byte("#!/bin/sh\necho installed\n"), 0o600))
	must(t, n.lab.Install(t.Context(), local, "/usr/local/bin/program", 0o755))
	if got := run(t, n.lab.Node("lb-1"), "program"); got != "installed\n" {
		t.Errorf("installed program said %q", got)
	}
}

func testCommands(t *testing.T, n *Node) {
	result, err := n.Run(t.Context(), "sh", "-c", "echo out; echo err >&2; exit 7")
	var exit *ExitError
	if !errors.As(err, &exit) || result.Code != 7 || string(result.Stdout) != "out\n" || string(result.Stderr) != "err\n" {
		t.Errorf("result %+v, error %v", result, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := n.Run(ctx, "sleep", "61"); err == nil {
		t.Error("a command outlived its context")
	}
	if _, err := n.Run(t.Context(), "pgrep", "-fx", "sleep 61"); err == nil {
		t.Error("a command runs on after its context has ended")
	}
	if got := run(t, n, "hostname"); got != "cp-1\n" {
		t.Errorf("host name %q", got)
	}
}

func testPower(t *testing.T, n *Node) {
	id := run(t, n, "cat", "/etc/machine-id")
	run(t, n, "sh", "-c", "echo kept >/root/kept && sync")
	must(t, n.PowerOff(t.Context()))
	must(t, n.PowerOff(t.Context()))
	if _, err := n.Run(t.Context(), "true"); !errors.Is(err, ErrOff) || n.Running() {
		t.Errorf("run on a node without power: %v", err)
	}
	must(t, n.Boot(t.Context()))
	if n.Boot(t.Context()) == nil {
		t.Error("a running node booted")
	}
	if run(t, n, "cat", "/root/kept") != "kept\n" || run(t, n, "cat", "/etc/machine-id") != id {
		t.Error("the node lost its disk or its identity")
	}
	must(t, n.Shutdown(t.Context()))
	must(t, n.Boot(t.Context()))
	if journal := run(t, n, "journalctl", "--no-pager", "-b", "-1"); !strings.Contains(journal, "Stopped containerd.service") {
		t.Error("the journal has no clean end")
	}
	boot := run(t, n, "cat", "/proc/sys/kernel/random/boot_id")
	n.Run(t.Context(), "systemctl", "reboot")
	must(t, until(t.Context(), 20*time.Second, "reboot by the node itself", func() (bool, error) {
		result, err := n.Run(t.Context(), "systemctl", "is-active", "containerd.service")
		now, _ := n.ReadFile(t.Context(), "/proc/sys/kernel/random/boot_id")
		return err == nil && result.Code == 0 && string(now) != boot, nil
	}))
}

func testNetwork(t *testing.T, n, other *Node) {
	ping := func(from, to *Node) error {
		_, err := from.Run(t.Context(), "ping", "-c1", "-W1", to.Name())
		return err
	}
	must(t, ping(other, n))
	must(t, n.CutOff(t.Context()))
	if ping(other, n) == nil || ping(n, other) == nil {
		t.Error("a node that is cut off answers")
	}
	run(t, n, "true")
	must(t, n.Reconnect(t.Context()))
	must(t, until(t.Context(), 5*time.Second, "ping after reconnecting", func() (bool, error) {
		return ping(other, n) == nil, nil
	}))
}

func testPause(t *testing.T, n *Node) {
	must(t, n.Pause())
	if _, err := n.Run(t.Context(), "true"); err == nil {
		t.Error("a paused node ran a command")
	}
	must(t, n.Resume())
	run(t, n, "true")
	must(t, n.Pause())
	must(t, n.PowerOff(t.Context()))
	must(t, n.Boot(t.Context()))
}

func testWipe(t *testing.T, n *Node) {
	run(t, n, "sh", "-c", "touch /root/here /var/lib/etcd/here; ctr -n k8s.io images rm hactl.lab/echo:1")
	must(t, n.Wipe(t.Context()))
	if got := run(t, n, "find", "/root", "/var/lib/etcd", "-name", "here"); got != "" {
		t.Errorf("left on the disk: %q", got)
	}
	if images := run(t, n, "ctr", "-n", "k8s.io", "images", "list", "-q"); !strings.Contains(images, "hactl.lab/echo:1") {
		t.Errorf("images %q", images)
	}
}

func testAddAndRemove(t *testing.T, lab *Lab) {
	added, err := lab.AddNode(t.Context(), "cp-3")
	must(t, err)
	run(t, lab.Node("cp-1"), "ping", "-c1", "-W2", "cp-3")
	config := run(t, lab.Node("lb-1"), "cat", haproxyFile)
	if !strings.Contains(config, added.Address().String()) {
		t.Errorf("the load balancer does not know cp-3:\n%s", config)
	}
	must(t, lab.RemoveNode(t.Context(), "cp-3"))
	if again, err := Open(lab.Name()); err != nil || again.Node("cp-3") != nil {
		t.Errorf("cp-3 is still there: %v", err)
	}
}

func testLogs(t *testing.T, lab *Lab) {
	cp := lab.Node("cp-1")
	must(t, cp.WriteFile(t.Context(), "/etc/kubernetes/pki/ca.key", []byte("secret"), 0o600))
	must(t, cp.WriteFile(t.Context(), "/etc/kubernetes/pki/ca.crt", []byte("public"), 0o644))
	must(t, cp.WriteFile(t.Context(), "/var/log/hactl/events.json", []byte("{}"), 0o644))
	must(t, lab.Node("cp-2").PowerOff(t.Context()))
	dir := t.TempDir()
	must(t, lab.CollectLogs(t.Context(), dir))
	for _, name := range []string{
		"cp-1/journal.txt", "cp-1/console.txt", "cp-1/network.txt", "cp-1/files/etc/kubernetes/pki/ca.crt",
		"cp-1/files/var/log/hactl/events.json", "cp-2/journal.txt", "lb-1/files/etc/haproxy/haproxy.cfg",
	} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "cp-1/files/etc/kubernetes/pki/ca.key")); err == nil {
		t.Error("a key was collected")
	}
}
