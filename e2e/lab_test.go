//go:build e2e

// Package e2e holds the end-to-end tests: the real hactl on real nodes.
package e2e

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hactl/hactl/e2e/nodes"
)

const (
	// binary is built by `make build` before the tests run.
	binary  = "../bin/hactl"
	podCIDR = "10.244.0.0/16"
	admin   = "KUBECONFIG=/etc/kubernetes/admin.conf"
)

// start boots a lab for one test, with hactl on every node. Logs of all
// nodes are kept when the test fails.
func start(t *testing.T, o nodes.Options) *nodes.Lab {
	t.Helper()
	o.Progress = os.Stderr
	lab, err := nodes.Up(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// The test's own context is over by now.
		ctx := context.Background()
		if t.Failed() {
			dir := filepath.Join("..", "logs", strings.ReplaceAll(t.Name(), "/", "_"))
			if err := lab.CollectLogs(ctx, dir); err != nil {
				t.Log("collect logs:", err)
			}
			t.Log("the logs of all nodes are in", dir)
		}
		if err := lab.Down(ctx); err != nil {
			t.Error(err)
		}
	})
	if err := lab.InstallHactl(t.Context(), binary); err != nil {
		t.Fatal(err)
	}
	return lab
}

// outcome is how one run of hactl ended.
type outcome struct {
	stdout, stderr string
	code           int
	took           time.Duration
}

// hactl runs hactl on a node.
func hactl(t *testing.T, n *nodes.Node, args ...string) outcome {
	t.Helper()
	return run(t, n, append([]string{"hactl"}, args...)...)
}

// run runs a command on a node, however it ends.
func run(t *testing.T, n *nodes.Node, argv ...string) outcome {
	t.Helper()
	c, err := n.Command(t.Context(), argv...)
	if err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	began := time.Now()
	if err := c.Run(); err != nil && c.ProcessState == nil {
		t.Fatal(err)
	}
	o := outcome{stdout: stdout.String(), stderr: stderr.String(), code: c.ProcessState.ExitCode(), took: time.Since(began)}
	return o
}

// peakFile is where measured leaves the peak of memory.
const peakFile = "/run/hactl-peak"

// measured runs hactl as the kernel's accountant sees it: beside it, a shell
// reads its high-water mark of memory, which only ever grows. The numbers
// that wait4 gives would be those of the test's own process, if larger.
func measured(t *testing.T, n *nodes.Node, args ...string) (o outcome, peak int64) {
	t.Helper()
	const script = `hactl "$@" & pid=$!
while grep VmHWM /proc/$pid/status >` + peakFile + `.new 2>/dev/null; do mv ` + peakFile + `.new ` + peakFile + `; sleep 0.02; done
wait $pid`
	o = run(t, n, append([]string{"sh", "-c", script, "sh"}, args...)...)
	var kilobytes int64
	if _, err := fmt.Sscanf(must(t, n, "cat", peakFile), "VmHWM: %d kB", &kilobytes); err != nil {
		t.Fatal("read the peak of memory:", err)
	}
	return o, kilobytes << 10
}

// must runs a command on a node and returns its standard output, trimmed.
func must(t *testing.T, n *nodes.Node, argv ...string) string {
	t.Helper()
	r, err := n.Run(t.Context(), argv...)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(r.Stdout))
}

// kubectl runs kubectl on a node, through the load balancer, as the
// administrator.
func kubectl(t *testing.T, n *nodes.Node, args ...string) string {
	t.Helper()
	return must(t, n, append([]string{"env", admin, "kubectl"}, args...)...)
}

// eventually checks until ok, for what only the cluster's own controllers
// can make so.
func eventually(t *testing.T, limit time.Duration, what string, ok func() (bool, string)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for {
		done, last := ok()
		if done {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("not so after %s: %s; last: %s", limit, what, last)
		case <-tick.C:
		}
	}
}
