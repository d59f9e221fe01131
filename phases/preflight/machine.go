package preflight

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// What a control-plane node needs at least (kubeadm v1.37
// cmd/kubeadm/app/constants/constants.go).
const (
	leastCPUs   = 2
	leastMemory = 1700 // MB of 1024 * 1024 bytes
)

// process reads what the kernel tells of this process: its user, and the
// processors it may use.
func (t *Task) process(ctx context.Context) (map[string]string, error) {
	data, err := t.Host.ReadFile(ctx, "/proc/self/status")
	if err != nil {
		return nil, err
	}
	fields := map[string]string{}
	for line := range strings.Lines(string(data)) {
		name, value, _ := strings.Cut(line, ":")
		fields[name] = strings.TrimSpace(value)
	}
	return fields, nil
}

// privileged wants the effective user to be root.
func privileged(f *facts) error {
	status, err := f.process()
	if err != nil {
		return fmt.Errorf("find out which user runs this: %w", err)
	}
	ids := strings.Fields(status["Uid"]) // real, effective, saved, file system: proc_pid_status(5)
	if len(ids) > 1 && ids[1] == "0" {
		return nil
	}
	return fault("not root", errors.New("only root may write to /etc/kubernetes, start services and use the container runtime"),
		"run the same command with sudo")
}

// cpus wants enough processors that this process may use.
func cpus(f *facts) error {
	status, err := f.process()
	if err != nil {
		return fmt.Errorf("count the processors: %w", err)
	}
	n, err := countList(status["Cpus_allowed_list"])
	if err != nil {
		return fmt.Errorf("count the processors: %w", err)
	}
	if n >= leastCPUs {
		return nil
	}
	return fault(fmt.Sprintf("too few processors: %d", n), fmt.Errorf("a control-plane node needs %d or more", leastCPUs),
		fmt.Sprintf("give this machine %d processors", leastCPUs))
}

// countList counts a list such as "0-3,8" (cpuset(7)).
func countList(list string) (int, error) {
	n := 0
	for _, part := range strings.Split(list, ",") {
		first, last, ranged := strings.Cut(part, "-")
		if !ranged {
			last = first
		}
		a, err := strconv.Atoi(first)
		if err != nil {
			return 0, err
		}
		b, err := strconv.Atoi(last)
		if err != nil {
			return 0, err
		}
		n += b - a + 1
	}
	return n, nil
}

func (t *Task) memory(ctx context.Context) ([]string, error) {
	data, err := t.Host.ReadFile(ctx, "/proc/meminfo")
	if err != nil {
		return nil, fmt.Errorf("find out how much memory there is: %w", err)
	}
	for line := range strings.Lines(string(data)) {
		fields := strings.Fields(line)
		if len(fields) < 2 || fields[0] != "MemTotal:" {
			continue
		}
		kb, err := strconv.ParseUint(fields[1], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("/proc/meminfo: %w", err)
		}
		if kb/1024 >= leastMemory {
			return nil, nil
		}
		return nil, fault(fmt.Sprintf("too little memory: %d MB", kb/1024), fmt.Errorf("a control-plane node needs %d MB or more", leastMemory),
			"give this machine 2 GB of memory")
	}
	return nil, errors.New("/proc/meminfo: there is no MemTotal")
}

// swap wants no swap, unless the kubelet is told to live with it.
func (t *Task) swap(ctx context.Context) ([]string, error) {
	data, err := t.Host.ReadFile(ctx, "/proc/swaps")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // a kernel without swap
	}
	if err != nil {
		return nil, fmt.Errorf("find out whether swap is on: %w", err)
	}
	var devices []string
	for i, line := range strings.Split(strings.TrimSpace(string(data)), "\n") {
		if fields := strings.Fields(line); i > 0 && len(fields) > 0 {
			devices = append(devices, fields[0])
		}
	}
	if len(devices) == 0 {
		return nil, nil
	}
	what := "swap is on: " + strings.Join(devices, ", ")
	if t.SwapAllowed {
		return []string{what + "; the kubelet is told to live with it, which works well on cgroup v2 only"}, nil
	}
	return nil, fault(what, errors.New("the kubelet does not start with swap on"),
		"turn it off: swapoff -a",
		"for the next boot, take it out of /etc/fstab; what brings it back is in: systemctl list-units --type swap",
		"or let the kubelet live with it: failSwapOn: false in a KubeletConfiguration in the file of --config")
}

// inPath wants a program to be there.
func (t *Task) inPath(ctx context.Context, tool string) error {
	for _, dir := range t.Path {
		if !filepath.IsAbs(dir) {
			continue
		}
		info, err := t.Host.Stat(ctx, filepath.Join(dir, tool))
		if err == nil && info.Mode.IsRegular() && info.Mode&0o111 != 0 {
			return nil
		}
	}
	packages := map[string]string{"losetup": "util-linux (Debian, Ubuntu: mount)", "mount": "util-linux (Debian, Ubuntu: mount)", "cp": "coreutils"}
	fix := "install " + tool
	if p := packages[tool]; p != "" {
		fix = "install the package " + p
	}
	return fault("the program "+tool+" is missing", fmt.Errorf("it is not in PATH (%s)", strings.Join(t.Path, ":")), fix)
}

// forwardingChecks want the kernel to forward packets of each IP version that
// the cluster uses.
func (t *Task) forwardingChecks() []Check {
	v4, v6 := t.AdvertiseAddress.Is4(), t.AdvertiseAddress.Is6()
	for _, p := range t.Subnets {
		v4, v6 = v4 || p.Addr().Is4(), v6 || p.Addr().Is6()
	}
	var list []Check
	add := func(key string) {
		path := "/proc/sys/" + strings.ReplaceAll(key, ".", "/")
		list = append(list, Check{"FileContent-" + dashed(path), func(ctx context.Context) ([]string, error) {
			return nil, t.forwards(ctx, path, key)
		}})
	}
	if v4 {
		add("net.ipv4.ip_forward")
	}
	if v6 {
		add("net.ipv6.conf.default.forwarding")
	}
	return list
}

func (t *Task) forwards(ctx context.Context, path, key string) error {
	data, err := t.Host.ReadFile(ctx, path)
	if err != nil {
		return fault("the kernel setting "+key+" cannot be read", err, "see what this kernel has: sysctl -a --pattern forward")
	}
	if strings.HasPrefix(string(data), "1") {
		return nil
	}
	return fault("the kernel does not forward packets", fmt.Errorf("%s is %s", key, strings.TrimSpace(string(data))),
		fmt.Sprintf("sysctl -w %s=1", key),
		fmt.Sprintf("for the next boot: echo '%s = 1' > /etc/sysctl.d/90-kubernetes.conf", key))
}

// clock wants the time to be later than this program: certificates that are
// made with a clock in the past are worth nothing once it is set.
func (t *Task) clock(context.Context) ([]string, error) {
	made := time.Date(2026, time.August, 1, 0, 0, 0, 0, time.UTC) // no hactl is older
	if now := t.Now(); now.Before(made) {
		return nil, fault("the clock of this machine is wrong", fmt.Errorf("it says %s", now.UTC().Format(time.RFC3339)),
			"set it: timedatectl set-ntp true, and wait until timedatectl says it is synchronized")
	}
	return nil, nil
}
