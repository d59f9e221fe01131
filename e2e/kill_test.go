//go:build e2e

package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hactl/hactl/e2e/nodes"
)

// point is a moment of a run: when an event is read, or some time later.
type point struct {
	phase, kind string
	later       time.Duration
}

func (p point) String() string {
	return fmt.Sprintf("%s-%s+%s", strings.ReplaceAll(p.phase, "/", "."), p.kind, p.later)
}

// points are spread over the whole run: both ends of every phase, and
// moments inside those that write or wait. The last phase only prints, and
// may be over before it can be killed.
func points() []point {
	var list []point
	for _, leaf := range leaves {
		if leaf == "show-join-command" {
			continue
		}
		list = append(list, point{leaf, "started", 0})
		switch leaf {
		case "etcd/local", "control-plane/apiserver", "bootstrap-token", "upload-certs", "addon/coredns":
			list = append(list, point{leaf, "started", 2 * time.Millisecond}, point{leaf, "started", 10 * time.Millisecond})
		case "kubelet-start":
			list = append(list, point{leaf, "started", 5 * time.Millisecond}, point{leaf, "started", 30 * time.Millisecond})
		case "wait-control-plane":
			for _, ms := range []int{50, 200, 400, 700, 1000, 1400, 1800, 2300} {
				list = append(list, point{leaf, "started", time.Duration(ms) * time.Millisecond})
			}
		}
		list = append(list, point{leaf, "finished", 0})
	}
	return list
}

// soak says whether there is time for everything.
func soak() bool { return os.Getenv("HACTL_SOAK") == "1" }

// some are all points in a soak, otherwise one out of each fifth of them.
func some(t *testing.T, all []point) []point {
	t.Helper()
	if len(all) < 30 {
		t.Fatalf("only %d points", len(all))
	}
	if soak() {
		return all
	}
	seed := uint64(1)
	if s, err := strconv.ParseUint(os.Getenv("HACTL_SEED"), 10, 64); err == nil {
		seed = s
	}
	t.Logf("HACTL_SEED=%d repeats this choice", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	const parts = 5
	var list []point
	for i := range parts {
		from, to := i*len(all)/parts, (i+1)*len(all)/parts
		list = append(list, all[from+random.IntN(to-from)])
	}
	return list
}

// TestKill ends init at many moments, in several ways, and runs the same
// command again: each time it ends with a healthy node, without a reset.
func TestKill(t *testing.T) {
	lab := start(t, nodes.Options{Name: "kill", ControlPlanes: 1})
	cp := lab.Node("cp-1")
	flags := []string{"init", "--control-plane-endpoint", lab.Endpoint(), "--upload-certs", "--pod-network-cidr", podCIDR, "-o", "json"}
	used := false
	fresh := func(t *testing.T) {
		if used {
			wipe(t, lab, cp)
		}
		used = true
	}
	t.Run("Interrupt", func(t *testing.T) { fresh(t); interrupt(t, lab, cp, flags) })
	t.Run("PowerCut", func(t *testing.T) { fresh(t); powerCut(t, lab, cp, flags) })
	for _, p := range some(t, points()) {
		t.Run(p.String(), func(t *testing.T) {
			fresh(t)
			o := cut(t, cp, p, func(r *running) { r.signal(syscall.SIGKILL) }, flags...)
			if o.code != 128+int(syscall.SIGKILL) {
				t.Fatalf("the kill came too late or not at all: exit code %d\n%s%s", o.code, o.stdout, o.stderr)
			}
			continues(t, lab, cp, flags)
		})
	}
}

// wipe gives a node an empty disk with hactl on it.
func wipe(t *testing.T, lab *nodes.Lab, n *nodes.Node) {
	t.Helper()
	if err := n.Wipe(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := lab.InstallHactl(t.Context(), binary); err != nil {
		t.Fatal(err)
	}
}

// running is a run of hactl that can be ended.
type running struct {
	t     *testing.T
	stdin *os.File
}

// signal reaches hactl at once: a shell beside it waits for the word.
func (r *running) signal(s syscall.Signal) {
	if _, err := fmt.Fprintln(r.stdin, int(s)); err != nil {
		r.t.Error(err)
	}
}

// beside starts hactl and sends it the signal that is read. What a shell
// starts in the background ignores interrupts; env mends that.
const beside = `env --default-signal=INT hactl "$@" </dev/null & pid=$!
exec >/dev/null 2>&1
read signal && kill -$signal $pid
wait $pid`

// cut runs hactl with -o json and calls end at point p.
func cut(t *testing.T, n *nodes.Node, p point, end func(*running), args ...string) outcome {
	t.Helper()
	c, err := n.Command(t.Context(), append([]string{"sh", "-c", beside, "sh"}, args...)...)
	if err != nil {
		t.Fatal(err)
	}
	stdin, word, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer word.Close()
	c.Stdin = stdin
	var stderr, said strings.Builder
	c.Stderr = &stderr
	stdout, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	stdin.Close()
	reached := false
	lines := bufio.NewScanner(stdout)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		said.WriteString(lines.Text() + "\n")
		if e := parseEvent(t, lines.Text()); !reached && e.Phase == p.phase && e.Kind == p.kind {
			reached = true
			// Meanwhile the pipe holds what is printed.
			<-time.After(p.later)
			end(&running{t, word})
		}
		if last(lines.Text()) {
			word.Close() // the shell waits for no word any more
		}
	}
	word.Close() // it has been told to end
	_ = c.Wait()
	if !reached {
		t.Errorf("point %s did not come\n%s", p, &said)
	}
	return outcome{stdout: said.String(), stderr: stderr.String(), code: c.ProcessState.ExitCode(), took: time.Since(began)}
}

// last says whether a line is the one that ends a run.
func last(line string) bool {
	var l struct{ Type string }
	return json.Unmarshal([]byte(line), &l) == nil && (l.Type == "result" || l.Type == "error")
}

// continues runs the same command once more and looks at the node.
func continues(t *testing.T, lab *nodes.Lab, n *nodes.Node, flags []string) {
	t.Helper()
	o := hactl(t, n, flags...)
	if o.code != 0 {
		t.Fatalf("the second run: exit code %d\n%s%s", o.code, o.stdout, o.stderr)
	}
	if err := lab.PodNetwork(t.Context(), podCIDR); err != nil {
		t.Fatal(err)
	}
	kubectl(t, n, "wait", "--for=condition=Ready", "node/"+n.Name(), "--timeout=60s")
	if got := kubectl(t, n, "get", "--raw", "/readyz"); got != "ok" {
		t.Errorf("/readyz answers %q", got)
	}
	files(t, n)
	if left := must(t, n, "find", "/", "-xdev", "-name", "*.hactl-*"); left != "" {
		t.Errorf("half-written files are left: %s", left)
	}
	var r initResult
	result(t, o.stdout, &r)
	// What a killed upload has made for itself ends by itself.
	joins := 0
	for _, s := range list(t, n, "secrets", "--field-selector=type=bootstrap.kubernetes.io/token") {
		if data, ok := s["data"].(object); ok && data["usage-bootstrap-authentication"] != nil {
			joins++
		}
	}
	if joins != 1 || r.Join.Token == "" || r.CertificateKey == "" {
		t.Errorf("%d tokens to join with, result %+v", joins, r.Join)
	}
}

// interrupt presses Ctrl-C inside the longest phase.
func interrupt(t *testing.T, lab *nodes.Lab, n *nodes.Node, flags []string) {
	p := point{"wait-control-plane", "started", 600 * time.Millisecond}
	o := cut(t, n, p, func(r *running) { r.signal(syscall.SIGINT) }, flags...)
	if o.code != 130 {
		t.Errorf("exit code %d, want 130", o.code)
	}
	all := events(t, o.stdout)
	last := all[len(all)-1]
	if last.Type != "error" || last.Code != 130 || !strings.Contains(strings.Join(last.Fix, " "), "the same command again") {
		t.Errorf("the last line is %+v, want an error that says that the same command continues", last)
	}
	t.Logf("%+v", last)
	continues(t, lab, n, flags)
}

// powerCut takes the node's power in the middle of the run.
func powerCut(t *testing.T, lab *nodes.Lab, n *nodes.Node, flags []string) {
	p := point{"upload-config/kubelet", "started", 0}
	cut(t, n, p, func(r *running) {
		if err := n.PowerOff(t.Context()); err != nil {
			t.Error(err)
		}
	}, flags...)
	if err := n.Boot(t.Context()); err != nil {
		t.Fatal(err)
	}
	continues(t, lab, n, flags)
}
