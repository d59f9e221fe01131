package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// clockKind is the name of the fault that needs a hactl of its own.
const clockKind = "clock an hour off"

// offsets are by how many seconds the clock is off, by the fault's variant.
var offsets = map[string]int{"an hour ahead": 3600, "an hour behind": -3600}

// reading is where Go's time.Now takes the clock of the machine.
const reading = "sec, nsec, mono := runtimeNow()"

// offVariable names the seconds by which the clock is off.
const offVariable = "CHAOS_CLOCK"

// buildClock builds a hactl to which the clock can be off. All nodes share
// the machine's clock, and there is no way to turn it for one of them; so it
// is Go's time package that differs, and nothing else.
func buildClock(ctx context.Context, program string) error {
	source, text, err := timeSource(ctx)
	if err != nil {
		return err
	}
	changed, err := turned(text)
	if err != nil {
		return fmt.Errorf("%s: %w", source, err)
	}
	if err := os.WriteFile(program+".go", changed, 0o600); err != nil {
		return err
	}
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {source: program + ".go"}})
	if err != nil {
		return err
	}
	if err := os.WriteFile(program+".json", overlay, 0o600); err != nil {
		return err
	}
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-overlay", program+".json", "-o", program, "github.com/hactl/hactl/cmd/hactl")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build hactl with another clock: %w: %s", err, out)
	}
	return nil
}

// timeSource is the file of Go's own that reads the clock.
func timeSource(ctx context.Context) (file string, text []byte, err error) {
	root, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
	if err != nil {
		return "", nil, err
	}
	file = filepath.Join(strings.TrimSpace(string(root)), "src", "time", "time.go")
	text, err = os.ReadFile(file)
	return file, text, err
}

// turned is the source of Go's time package with a clock that is off by the
// seconds in the environment.
func turned(source []byte) ([]byte, error) {
	from, imports := []byte(reading), []byte("\nimport (\n")
	if bytes.Count(source, from) != 1 || bytes.Count(source, imports) != 1 {
		return nil, errors.New("this Go reads its clock in another way than expected")
	}
	text := bytes.Replace(source, from, []byte(reading+"; sec += offClock"), 1)
	text = bytes.Replace(text, imports, []byte("\nimport (\n\t\"syscall\"\n"), 1)
	return fmt.Appendf(text, `
var offClock = func() (sec int64) {
	text, _ := syscall.Getenv(%q)
	minus := len(text) > 0 && text[0] == '-'
	for _, digit := range []byte(text) {
		if digit != '-' {
			sec = sec*10 + int64(digit-'0')
		}
	}
	if minus {
		return -sec
	}
	return sec
}()
`, offVariable), nil
}

// needsClock says whether one of the faults is about clocks.
func needsClock(list []fault) bool {
	return slices.ContainsFunc(list, func(f fault) bool { return f.Kind == clockKind })
}

// wrongClock lets a node join whose clock is off. The join refuses to, with
// words about the clock; with the right clock it ends well.
func wrongClock(ctx context.Context, c *cluster, f fault) error {
	const program = "/usr/local/bin/hactl-clock"
	n := c.node(f.Node)
	if err := n.CopyTo(ctx, c.clock, program, 0o755); err != nil {
		return err
	}
	if err := c.leave(ctx, f.Node); err != nil {
		return err
	}
	r, err := c.startAs(ctx, n, []string{"env", fmt.Sprintf("%s=%d", offVariable, offsets[f.Variant]), program}, c.joinArgs(f.Node)...)
	if err != nil {
		return err
	}
	o := c.wait(r)
	c.lift()
	if err := o.says(3, "clock"); err != nil {
		return err
	}
	return c.rejoin(ctx, f.Node)
}
