package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// meterWord makes this program the meter. It is on the nodes under
	// meterPath then, and beside the command that it measures.
	meterWord = "meter"
	meterPath = "/usr/local/bin/bench"
	// sampled is how often the peak of memory is read. The kernel keeps the
	// peak, so only growth in the last moments can be missed.
	sampled = 10 * time.Millisecond
	// clockTicks is what /proc counts processor time in: 1/100 s on every
	// architecture that Go runs on, see proc(5) and the kernel's USER_HZ.
	clockTicks = 100
)

// meter runs a command and prints, as JSON, what it took: time by the wall,
// and processor time and peak of memory of that process alone. What wait4
// reports would count the programs that it runs, such as "kubelet --version".
func meter(argv []string, out io.Writer) error {
	c := exec.Command(argv[0], argv[1:]...)
	stdout, err := c.StdoutPipe()
	if err != nil {
		return err
	}
	var stderr bytes.Buffer
	c.Stderr = &stderr
	m := metered{Began: time.Now()}
	if err := c.Start(); err != nil {
		return err
	}
	var reading sync.WaitGroup
	reading.Go(func() { m.Stdout = stamped(stdout) })
	ended := make(chan error, 1)
	go func() { ended <- zombie(c.Process.Pid) }()
	if m.Peak, m.Mapped, err = watchPeak(c.Process.Pid, ended); err != nil {
		return err
	}
	m.Ended = time.Now()
	// It has ended and is still there: now the kernel's books are complete.
	if m.CPU, err = processorTime(c.Process.Pid); err != nil {
		return err
	}
	reading.Wait()
	if err := c.Wait(); err != nil && c.ProcessState == nil {
		return err
	}
	m.Code, m.Stderr = c.ProcessState.ExitCode(), stderr.String()
	return json.NewEncoder(out).Encode(m)
}

// stamped reads lines and notes when each has come.
func stamped(r io.Reader) (lines []line) {
	scan := bufio.NewScanner(r)
	scan.Buffer(nil, 1<<20)
	for scan.Scan() {
		lines = append(lines, line{At: time.Now(), Text: scan.Text()})
	}
	return lines
}

// zombie returns when the process has ended, and leaves it to be waited for.
func zombie(pid int) error {
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// watchPeak reads the peak of memory, and how much of it were pages of files,
// until the process has ended.
func watchPeak(pid int, ended <-chan error) (peak, mapped int64, err error) {
	tick := time.NewTicker(sampled)
	defer tick.Stop()
	for {
		if data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid)); err == nil {
			if now := statusBytes(data, "VmHWM:"); now > peak {
				peak, mapped = now, statusBytes(data, "RssFile:")
			}
		}
		select {
		case err := <-ended:
			return peak, mapped, err
		case <-tick.C:
		}
	}
}

// statusBytes finds an amount of memory in /proc/PID/status, in bytes, 0 if it
// is not there: a process that has ended has no memory.
func statusBytes(status []byte, name string) int64 {
	_, rest, _ := bytes.Cut(status, []byte(name))
	fields := bytes.Fields(rest)
	if len(fields) == 0 {
		return 0
	}
	kilobytes, err := strconv.ParseInt(string(fields[0]), 10, 64)
	if err != nil {
		return 0
	}
	return kilobytes << 10
}

// processorTime is what a process has used, in seconds, without its children.
func processorTime(pid int) (float64, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	return parseProcessorTime(string(data))
}

// parseProcessorTime adds the fields 14 and 15 of /proc/PID/stat, see proc(5).
// The second, the program's name, may hold spaces and brackets.
func parseProcessorTime(stat string) (float64, error) {
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	if len(fields) < 13 {
		return 0, fmt.Errorf("process status %q: too few fields", stat)
	}
	user, err1 := strconv.ParseUint(fields[11], 10, 64)
	system, err2 := strconv.ParseUint(fields[12], 10, 64)
	return float64(user+system) / clockTicks, errors.Join(err1, err2)
}
