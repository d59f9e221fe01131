//go:build linux

package nodes

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// process is a process of this machine. Start, in clock ticks since the
// machine's start, tells it from a later one with the same number.
type process struct {
	PID   int
	Start uint64
}

// findProcess returns the process that has this number now.
func findProcess(pid int) (process, error) {
	stat, err := readStat(pid)
	return process{PID: pid, Start: stat.start}, err
}

// alive reports whether the process still runs. A zombie does not.
func (p process) alive() bool {
	if p.PID <= 0 {
		return false
	}
	stat, err := readStat(p.PID)
	return err == nil && stat.start == p.Start && stat.state != 'Z' && stat.state != 'X'
}

// kill sends a signal. A process that has ended already is not an error.
func (p process) kill(signal syscall.Signal) error {
	if !p.alive() {
		return nil
	}
	if err := syscall.Kill(p.PID, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("signal process %d: %w", p.PID, err)
	}
	return nil
}

// gone waits until the process has ended.
func (p process) gone(ctx context.Context, limit time.Duration) error {
	return until(ctx, limit, fmt.Sprintf("end of process %d", p.PID), func() (bool, error) {
		return !p.alive(), nil
	})
}

// container finds the process that is process 1 of a namespace of its own among
// the children of p and their children: the node's systemd, if p has started
// systemd-nspawn.
func (p process) container() (process, error) {
	pids, err := allProcesses()
	if err != nil {
		return process{}, err
	}
	stats := make(map[int]procStat)
	for _, pid := range pids {
		if stat, err := readStat(pid); err == nil {
			stats[pid] = stat
		}
	}
	for pid, stat := range stats {
		if stat.parent != p.PID && stats[stat.parent].parent != p.PID {
			continue
		}
		if inner := namespacePIDs(pid); len(inner) > 1 && inner[len(inner)-1] == 1 {
			return process{PID: pid, Start: stat.start}, nil
		}
	}
	return process{}, fmt.Errorf("process %d has no container", p.PID)
}

// inside finds the process that has the number pid in the namespace whose
// process 1 is keeper.
func inside(keeper process, pid int) (process, error) {
	namespace, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", keeper.PID))
	if err != nil {
		return process{}, err
	}
	depth := len(namespacePIDs(keeper.PID))
	pids, err := allProcesses()
	if err != nil {
		return process{}, err
	}
	for _, outer := range pids {
		numbers := namespacePIDs(outer)
		if len(numbers) != depth || numbers[depth-1] != pid {
			continue
		}
		if link, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", outer)); err == nil && link == namespace {
			return findProcess(outer)
		}
	}
	return process{}, fmt.Errorf("the lab has no process %d", pid)
}

func allProcesses() ([]int, error) {
	dirs, err := filepath.Glob("/proc/[0-9]*")
	var pids []int
	for _, dir := range dirs {
		if pid, err := strconv.Atoi(filepath.Base(dir)); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids, err
}

type procStat struct {
	state  byte
	parent int
	start  uint64
}

// readStat reads the fields 3, 4 and 22 of /proc/PID/stat, see proc(5). The
// second, the program's name, may hold spaces and brackets.
func readStat(pid int) (procStat, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return procStat{}, err
	}
	return parseStat(data)
}

func parseStat(data []byte) (procStat, error) {
	fields := bytes.Fields(data[bytes.LastIndexByte(data, ')')+1:])
	if len(fields) < 20 {
		return procStat{}, fmt.Errorf("process status %q: too few fields", data)
	}
	parent, err1 := strconv.Atoi(string(fields[1]))
	start, err2 := strconv.ParseUint(string(fields[19]), 10, 64)
	return procStat{state: fields[0][0], parent: parent, start: start}, errors.Join(err1, err2)
}

// namespacePIDs lists the process's numbers, from this process's namespace
// inwards; nil if it is gone.
func namespacePIDs(pid int) []int {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(data)) {
		rest, ok := strings.CutPrefix(line, "NSpid:")
		if !ok {
			continue
		}
		var numbers []int
		for _, field := range strings.Fields(rest) {
			if n, err := strconv.Atoi(field); err == nil {
				numbers = append(numbers, n)
			}
		}
		return numbers
	}
	return nil
}
