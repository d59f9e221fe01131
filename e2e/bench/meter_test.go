package main

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"
)

// TestMeter measures a shell that keeps a processor busy, and a child of it
// that would spoil the numbers.
func TestMeter(t *testing.T) {
	var out bytes.Buffer
	const script = `echo first; i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done
sh -c 'i=0; while [ $i -lt 1000000 ]; do i=$((i+1)); done'; echo last; echo bad >&2; exit 3`
	if err := meter([]string{"sh", "-c", script}, &out); err != nil {
		t.Fatal(err)
	}
	var m metered
	if err := json.Unmarshal(out.Bytes(), &m); err != nil {
		t.Fatal(err)
	}
	wall := m.Ended.Sub(m.Began)
	if m.Code != 3 || m.Stderr != "bad\n" || len(m.Stdout) != 2 || m.Stdout[0].Text != "first" {
		t.Errorf("got %+v", m)
	}
	if first, last := m.Stdout[0].At, m.Stdout[1].At; last.Sub(first) < wall/2 || last.After(m.Ended.Add(time.Second)) {
		t.Errorf("the lines came at %s and %s of %s", first, last, wall)
	}
	// The child did ten times the work.
	if m.CPU > wall.Seconds()/2 {
		t.Errorf("%.2f s of processor time in %s: that counts the child", m.CPU, wall)
	}
	if m.Peak < 100e3 || m.Peak > 50e6 {
		t.Errorf("a peak of %d bytes", m.Peak)
	}
	if m.Mapped < 50e3 || m.Mapped > m.Peak {
		t.Errorf("%d bytes of a peak of %d are pages of files", m.Mapped, m.Peak)
	}
}

func TestMeterNoProgram(t *testing.T) {
	if err := meter([]string{"/no/such/program"}, &bytes.Buffer{}); err == nil {
		t.Error("no error")
	}
}

func TestParseProcessorTime(t *testing.T) {
	const stat = "42 (a) b (c) Z 1 42 42 0 -1 4194304 100 200 0 0 150 25 900 800 20 0 1 0 12345 0 0"
	got, err := parseProcessorTime(stat)
	if err != nil || got != 1.75 {
		t.Errorf("got %v, %v; want 1.75 s", got, err)
	}
	if _, err := parseProcessorTime("42 (x) Z 1"); err == nil {
		t.Error("no error for a line that is cut")
	}
}

func TestParseStat(t *testing.T) {
	c, err := parseStat("cpu  100 10 50 800 20 5 5 10 7 7\ncpu0 1 1 1 1 1 1 1 1 1 1\n")
	if want := (counters{total: 10 * time.Second, busy: 1800 * time.Millisecond}); err != nil || c != want {
		t.Errorf("got %+v, %v; want %+v", c, err, want)
	}
	if _, err := parseStat("intr 1"); err == nil {
		t.Error("no error for another file")
	}
}
