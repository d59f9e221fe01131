//go:build e2e && linux

package nodes

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// crash is set for a child process of TestACrashedLabEndsAndIsRemoved.
const crash = "HACTL_LAB_TEST_CRASH"

func TestMain(m *testing.M) {
	if name := os.Getenv(crash); name != "" {
		os.Exit(holdLab(name))
	}
	os.Exit(m.Run())
}

// holdLab starts a lab and waits to be killed.
func holdLab(name string) int {
	lab, err := Up(context.Background(), Options{Name: name, ControlPlanes: 1})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println("up")
	time.Sleep(time.Minute)
	lab.owner.Close()
	return 1
}

// up starts a lab for a test. If the test fails, its logs stay in a folder
// that the test names.
func up(t *testing.T, o Options) *Lab {
	t.Helper()
	o.Progress = t.Output()
	lab, err := Up(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// The test's own context has ended here.
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		defer cancel()
		if t.Failed() {
			dir := filepath.Join(os.TempDir(), "hactl-lab-logs", t.Name())
			t.Logf("logs: %s (%v)", dir, lab.CollectLogs(ctx, dir))
		}
		if err := lab.Down(ctx); err != nil {
			t.Error(err)
		}
	})
	return lab
}

// run runs a command that must succeed, and returns what it printed.
func run(t *testing.T, n *Node, argv ...string) string {
	t.Helper()
	result, err := n.Run(t.Context(), argv...)
	if err != nil {
		t.Fatal(err)
	}
	return string(result.Stdout)
}

// must fails the test on an error.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
