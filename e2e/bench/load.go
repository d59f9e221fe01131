package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/hactl/hactl/e2e/nodes"
)

// load tells whether the machine was free for the lab.
type load struct {
	lab   *nodes.Lab
	began counters
}

// counters are sums over all processors since the machine or the lab started.
type counters struct{ total, busy, lab time.Duration }

func startLoad(lab *nodes.Lab) (*load, error) {
	c, err := readCounters(lab)
	return &load{lab: lab, began: c}, err
}

// others is the share of all processors that others than the lab have used
// since the start: programs, the kernel itself, or what runs this machine if
// it is a virtual one.
func (l *load) others() (float64, error) {
	c, err := readCounters(l.lab)
	if err != nil {
		return 0, err
	}
	used := (c.busy - l.began.busy) - (c.lab - l.began.lab)
	return max(0, used.Seconds()/(c.total-l.began.total).Seconds()), nil
}

func readCounters(lab *nodes.Lab) (counters, error) {
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		return counters{}, err
	}
	c, err := parseStat(string(stat))
	if err != nil {
		return c, err
	}
	c.lab, err = lab.ProcessorTime()
	return c, err
}

// parseStat reads the first line of /proc/stat, see proc(5): user, nice,
// system, idle, iowait, irq, softirq, steal; what follows is counted in user.
func parseStat(stat string) (c counters, err error) {
	line, _, _ := strings.Cut(stat, "\n")
	fields := strings.Fields(line)
	if len(fields) < 9 || fields[0] != "cpu" {
		return c, fmt.Errorf("/proc/stat begins with %q", line)
	}
	var errs []error
	for i, field := range fields[1:9] {
		n, err := strconv.ParseInt(field, 10, 64)
		errs = append(errs, err)
		spent := time.Duration(n) * time.Second / clockTicks
		c.total += spent
		if i != 3 && i != 4 {
			c.busy += spent
		}
	}
	return c, errors.Join(errs...)
}
