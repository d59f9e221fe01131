//go:build linux

package host_test

import (
	"bufio"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"testing"

	"github.com/hactl/hactl/phases/host"
)

// holdLock, set in the environment, makes this test program a process that
// holds the lock there until it is killed.
const holdLock = "HACTL_TEST_HOLD_LOCK"

func TestLock(t *testing.T) {
	dir := t.TempDir()
	if held := os.Getenv(holdLock); held != "" {
		if _, err := host.NewLocal(held).Lock(t.Context(), "/hactl.lock", "pid 7: hactl init"); err != nil {
			t.Fatal(err)
		}
		os.Stdout.WriteString("held\n")
		select {}
	}
	l := host.NewLocal(dir)
	refused := func(holder string) {
		t.Helper()
		_, err := l.Lock(t.Context(), "/hactl.lock", "pid 8: hactl reset")
		var locked *host.LockedError
		if !errors.As(err, &locked) || locked.Holder != holder || locked.Path != "/hactl.lock" {
			t.Errorf("Lock() = %v, want it held by %q", err, holder)
		}
	}
	release, err := l.Lock(t.Context(), "/hactl.lock", "pid 6: hactl init phase certs/ca")
	if err != nil {
		t.Fatal(err)
	}
	refused("pid 6: hactl init phase certs/ca")
	if err := release(); err != nil {
		t.Fatal(err)
	}

	other := exec.Command(os.Args[0], "-test.run=^TestLock$")
	other.Env = append(os.Environ(), holdLock+"="+dir)
	out, err := other.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "held\n" {
		t.Fatalf("%q, %v", line, err)
	}
	refused("pid 7: hactl init")
	if err := other.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = other.Wait() // it was killed
	if release, err = l.Lock(t.Context(), "/hactl.lock", "pid 9: hactl join"); err != nil {
		t.Fatalf("a killed process leaves its lock behind: %v", err)
	}
	refused("pid 9: hactl join")
	if err := release(); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Lock(t.Context(), "/missing/hactl.lock", ""); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without the directory: %v", err)
	}
}
