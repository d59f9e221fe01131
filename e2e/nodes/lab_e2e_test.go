//go:build e2e && linux

package nodes

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// machine is what a lab must leave as it was.
type machine struct {
	Mounts, Links, Groups, State []string
	Settings                     map[string]string
}

// settings are those of the kernel that Kubernetes or systemd would change.
var settings = []string{
	"vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops", "kernel/pid_max",
	"kernel/core_pattern", "fs/file-max", "fs/nr_open", "fs/inotify/max_user_instances",
	"net/ipv4/ip_forward", "net/netfilter/nf_conntrack_max",
}

func observe(t *testing.T) machine {
	t.Helper()
	m := machine{Settings: make(map[string]string)}
	mounts, err := os.ReadFile("/proc/self/mounts")
	must(t, err)
	m.Mounts = strings.Split(string(mounts), "\n")
	for pattern, list := range map[string]*[]string{
		"/sys/class/net/*":   &m.Links,
		stateRoot() + "/*":   &m.State,
		stateRoot() + "/.*k": &m.State,
	} {
		found, err := filepath.Glob(pattern)
		must(t, err)
		*list = append(*list, found...)
	}
	must(t, filepath.WalkDir("/sys/fs/cgroup", func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() && strings.Contains(path, "hactl") {
			m.Groups = append(m.Groups, path)
		}
		return nil
	}))
	for _, name := range settings {
		if data, err := os.ReadFile("/proc/sys/" + name); err == nil {
			m.Settings[name] = strings.TrimSpace(string(data))
		}
	}
	return m
}

// processes lists the processes of this machine that belong to a lab.
func processes(t *testing.T, lab string) []string {
	t.Helper()
	pids, err := allProcesses()
	must(t, err)
	var found []string
	for _, pid := range pids {
		groups, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
		argv, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if strings.Contains(string(groups), cgroupName(lab)) || strings.Contains(string(argv), stateDir(lab)) {
			found = append(found, string(argv))
		}
	}
	return found
}

func TestDownLeavesNothing(t *testing.T) {
	before := observe(t)
	lab := up(t, Options{Name: "e2e-clean", ControlPlanes: 1, Workers: 1, LoadBalancers: 1})
	if len(processes(t, lab.Name())) < 10 {
		t.Errorf("too few processes for a running lab: %q", processes(t, lab.Name()))
	}
	cp := lab.Node("cp-1")
	if diff := cmp.Diff(before.Links, observe(t).Links); diff != "" {
		t.Errorf("the machine sees the lab's links (-before +during):\n%s", diff)
	}
	run(t, cp, "iptables", "-A", "INPUT", "-s", "192.0.2.1", "-j", "DROP")
	must(t, lab.Node("worker-1").Pause())
	must(t, lab.Down(t.Context()))
	must(t, lab.Down(t.Context())) // once more is no error
	if diff := cmp.Diff(before, observe(t)); diff != "" {
		t.Errorf("left behind (-before +after):\n%s", diff)
	}
	if left := processes(t, lab.Name()); len(left) > 0 {
		t.Errorf("processes left behind: %q", left)
	}
	if _, err := Open(lab.Name()); !errors.Is(err, ErrNoLab) {
		t.Errorf("open after down: %v, want ErrNoLab", err)
	}
	if _, err := cp.Run(t.Context(), "true"); !errors.Is(err, ErrOff) {
		t.Errorf("run after down: %v, want ErrOff", err)
	}
}

func TestTwoLabsAtOnce(t *testing.T) {
	one := up(t, Options{Name: "e2e-one", ControlPlanes: 2})
	two := up(t, Options{Name: "e2e-two", ControlPlanes: 1})
	run(t, one.Node("cp-1"), "ping", "-c1", "-W2", "cp-2")
	if _, err := two.Node("cp-1").Run(t.Context(), "ping", "-c1", "-W1", one.Node("cp-2").Address().String()); err == nil {
		t.Error("a node reaches another lab's node")
	}
	if _, err := Up(t.Context(), Options{Name: "e2e-one", ControlPlanes: 1}); err == nil {
		t.Error("a second lab of the same name started")
	}
	names, err := List()
	must(t, err)
	if !slices.Contains(names, "e2e-one") || !slices.Contains(names, "e2e-two") {
		t.Errorf("list: %q", names)
	}
	must(t, one.Down(t.Context()))
	run(t, two.Node("cp-1"), "systemctl", "is-active", "containerd.service")
	again, err := Open("e2e-two")
	must(t, err)
	run(t, again.Node("cp-1"), "true")
}

func TestACrashedLabEndsAndIsRemoved(t *testing.T) {
	const name = "e2e-crash"
	before := observe(t)
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), crash+"="+name)
	child.Stderr = os.Stderr
	said, err := child.StdoutPipe()
	must(t, err)
	must(t, child.Start())
	if line, err := bufio.NewReader(said).ReadString('\n'); err != nil || line != "up\n" {
		t.Fatalf("child said %q: %v", line, err)
	}
	if len(processes(t, name)) == 0 {
		t.Fatal("the child has no lab")
	}
	must(t, child.Process.Kill())
	child.Wait()
	must(t, until(t.Context(), 10*time.Second, "end of the orphaned lab", func() (bool, error) {
		return len(processes(t, name)) == 0, nil
	}))
	lab := up(t, Options{Name: "e2e-after", LoadBalancers: 1})
	must(t, lab.Down(t.Context()))
	if diff := cmp.Diff(before, observe(t)); diff != "" {
		t.Errorf("left behind (-before +after):\n%s", diff)
	}
}
