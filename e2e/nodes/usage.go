//go:build linux

package nodes

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// ProcessorTime is what all processes of the lab have used since it was
// started, on all processors together. Nodes that were powered off or wiped
// since then still count.
func (l *Lab) ProcessorTime() (time.Duration, error) {
	for _, dir := range l.groups.dirs(l.name, "") {
		name := filepath.Join(dir, "cpuacct.usage")
		if l.groups.unified {
			name = filepath.Join(dir, "cpu.stat")
		}
		data, err := os.ReadFile(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return 0, err
		}
		used, err := parseUsage(data)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", name, err)
		}
		return used, nil
	}
	return 0, errors.New("this machine's control groups do not count processor time")
}

// parseUsage reads cpuacct.usage of version 1, in nanoseconds, or cpu.stat of
// version 2, which has microseconds after a name. See the kernel's
// cgroup-v1/cpuacct.rst and cgroup-v2.rst.
func parseUsage(data []byte) (time.Duration, error) {
	unit := time.Nanosecond
	if rest, ok := bytes.CutPrefix(data, []byte("usage_usec ")); ok {
		data, _, _ = bytes.Cut(rest, []byte("\n"))
		unit = time.Microsecond
	}
	n, err := strconv.ParseInt(string(bytes.TrimSpace(data)), 10, 64)
	return time.Duration(n) * unit, err
}
