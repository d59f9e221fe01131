// Package machine says what measurements in the lab depend on: the machine and
// the versions of the programs. It changes nothing.
package machine

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/hactl/hactl/e2e/nodes"
)

// Machine is what the numbers depend on.
type Machine struct {
	Processor  string
	Processors int
	Memory     int64 // bytes
	Kernel     string
	CgroupV2   bool
}

// This looks at the machine that the program runs on.
func This() (Machine, error) {
	m := Machine{Processors: runtime.NumCPU(), Processor: runtime.GOARCH}
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return m, err
	}
	// Not every architecture names its processors.
	if name := fieldOf(string(info), "model name"); name != "" {
		m.Processor = name
	}
	memory, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return m, err
	}
	kilobytes, err := strconv.ParseInt(strings.TrimSuffix(fieldOf(string(memory), "MemTotal"), " kB"), 10, 64)
	if err != nil {
		return m, fmt.Errorf("/proc/meminfo: %w", err)
	}
	m.Memory = kilobytes << 10
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return m, err
	}
	m.Kernel, _, _ = strings.Cut(unix.ByteSliceToString(name.Release[:]), "-")
	var fs unix.Statfs_t
	if err := unix.Statfs("/sys/fs/cgroup", &fs); err != nil {
		return m, err
	}
	m.CgroupV2 = fs.Type == unix.CGROUP2_SUPER_MAGIC
	return m, nil
}

// fieldOf is the value of the first line "key : value", or "".
func fieldOf(text, key string) string {
	for l := range strings.Lines(text) {
		if name, value, ok := strings.Cut(l, ":"); ok && strings.TrimSpace(name) == key {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// String is the machine in one line.
func (m Machine) String() string {
	groups := 1
	if m.CgroupV2 {
		groups = 2
	}
	return fmt.Sprintf("%d processors (%s), %.0f GB of memory, Linux %s, cgroup v%d", m.Processors, m.Processor, float64(m.Memory)/(1<<30), m.Kernel, groups)
}

// Version is one line of a list of versions.
type Version struct{ Of, Is string }

// Versions asks the programs on the lab's first control plane.
func Versions(ctx context.Context, lab *nodes.Lab) ([]Version, error) {
	list := []Version{{"Kubernetes", lab.Versions().Kubernetes}, {"etcd", lab.Versions().Etcd}}
	for _, p := range []struct {
		of   string
		argv []string
	}{
		{"hactl", []string{"hactl", "version"}},
		{"kubeadm", []string{"kubeadm", "version", "-o", "short"}},
		{"containerd", []string{"containerd", "--version"}},
		{"runc", []string{"runc", "--version"}},
	} {
		r, err := lab.Node("cp-1").Run(ctx, p.argv...)
		if err != nil {
			return nil, err
		}
		is := firstVersion(string(r.Stdout))
		if p.of == "hactl" {
			is += commit(ctx)
		}
		list = append(list, Version{p.of, is})
	}
	return list, nil
}

// firstVersion is the first word that looks like a version, such as v2.4.2, and
// is not in brackets, or the first word of all.
func firstVersion(text string) string {
	words := strings.Fields(text)
	for _, word := range words {
		if digits := strings.TrimPrefix(word, "v"); digits != "" && digits[0] >= '0' && digits[0] <= '9' && !strings.HasSuffix(word, ")") {
			return word
		}
	}
	if len(words) == 0 {
		return ""
	}
	return words[0]
}

// commit says which source hactl is from, or nothing outside of a repository.
func commit(ctx context.Context) string {
	id, err := exec.CommandContext(ctx, "git", "rev-parse", "--short", "HEAD").Output()
	if err != nil {
		return ""
	}
	text := ", commit " + string(bytes.TrimSpace(id))
	if changed, err := exec.CommandContext(ctx, "git", "status", "--porcelain", "--untracked-files=no").Output(); err == nil && len(changed) > 0 {
		text += " with changes"
	}
	return text
}
