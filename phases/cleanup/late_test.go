package cleanup

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/cri"
	"github.com/hactl/hactl/phases/host"
)

// TestLateComer: a pod that the kubelet had asked for before it was stopped
// comes when the others are gone. It goes too, and no run waits for longer
// than one could still come.
func TestLateComer(t *testing.T) {
	const ms = time.Millisecond
	worker := func(n *node) { n.worker() }
	fresh := func(n *node) { // its kubelet has just been started
		n.files("/etc/kubernetes/kubelet.conf", "credentials")
		n.host.SetService(unit, host.ServiceStatus{Active: true, Detail: "active/running"})
	}
	for name, c := range map[string]struct {
		reason    string
		node      func(*node)
		aftermath time.Duration
		comes     []time.Duration // when pods come, from the start
		from, to  time.Duration   // how long it takes
	}{
		"None":     {"none comes", worker, time.Second, nil, time.Second, time.Second},
		"One":      {"one comes, and then none for as long as one may take", worker, time.Second, []time.Duration{300 * ms}, 1300 * ms, 1800 * ms},
		"Two":      {"each may be followed by another", worker, time.Second, []time.Duration{300 * ms, 1200 * ms}, 2200 * ms, 2700 * ms},
		"Last":     {"it comes at the last moment", worker, time.Second, []time.Duration{999 * ms}, 1999 * ms, 2 * time.Second},
		"First":    {"the kubelet had no pod yet when it was stopped", fresh, time.Second, []time.Duration{300 * ms}, 1300 * ms, 1800 * ms},
		"NoneYet":  {"the kubelet had no pod, and none comes", fresh, time.Second, nil, time.Second, time.Second},
		"NotSoFar": {"without an aftermath there is no wait", worker, 0, nil, 0, 0},
		"NoKubelet": {"where none has run nobody asks for pods", func(n *node) {
			n.files("/etc/kubernetes/kubelet.conf", "credentials")
		}, time.Second, nil, 0, 0},
		"Interrupted": {"an earlier run stopped the kubelet and was killed", func(n *node) {
			n.worker()
			n.host.SetService(unit, host.ServiceStatus{Detail: "inactive/dead"})
		}, time.Second, []time.Duration{300 * ms}, 1300 * ms, 1800 * ms},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNode(t)
				c.node(n)
				for i, d := range c.comes {
					time.AfterFunc(d, func() { n.pod(fmt.Sprint("late-", i), "default", "late") })
				}
				task := n.task(n.host)
				task.Aftermath = c.aftermath
				began := time.Now()
				if warnings, err := run(t.Context(), task, Phase()); err != nil || len(warnings) > 0 {
					t.Fatalf("%s: %v, warnings %q", c.reason, err, warnings)
				}
				if took := time.Since(began); took < c.from || took > c.to {
					t.Errorf("%s: it took %s, want %s to %s", c.reason, took, c.from, c.to)
				}
				for key := range n.snapshot() {
					if strings.HasPrefix(key, "pod ") {
						t.Errorf("%s: %s is still there", c.reason, key)
					}
				}
			})
		})
	}
}

// TestLateComerEnds: what happens during the wait for one ends it.
func TestLateComerEnds(t *testing.T) {
	enough := errors.New("enough")
	for name, c := range map[string]struct {
		reason string
		happen func(*node, context.CancelCauseFunc)
		want   error
	}{
		"Interrupt": {"the user has had enough", func(_ *node, cancel context.CancelCauseFunc) { cancel(enough) }, enough},
		"NoRuntime": {"the runtime ends, so nobody can say what runs", func(n *node, _ context.CancelCauseFunc) {
			n.runtime.Break(&cri.SocketError{Socket: "unix:///x.sock", Reason: cri.ErrNoSocket})
		}, cri.ErrNoSocket},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNode(t).worker()
				n.files("/var/lib/kubelet/pods/1/etc-hosts", "a pod ran here")
				ctx, cancel := context.WithCancelCause(t.Context())
				time.AfterFunc(300*time.Millisecond, func() { c.happen(n, cancel) })
				task := n.task(n.host)
				task.Aftermath = time.Minute
				began := time.Now()
				_, err := run(ctx, task, Phase())
				if !errors.Is(err, c.want) {
					t.Errorf("%s: want %v, got %v", c.reason, c.want, err)
				}
				if took := time.Since(began); took > time.Second {
					t.Errorf("%s: it went on for %s", c.reason, took)
				}
				var fault *phases.Fault
				if errors.Is(c.want, cri.ErrNoSocket) && !errors.As(err, &fault) {
					t.Errorf("%s: nothing tells what to do: %v", c.reason, err)
				}
			})
		})
	}
}

// hurried is a runtime that is too slow for whoever does not wait for it, and
// says so before the caller's own clock does, as gRPC servers may.
type hurried struct{ sandboxes }

type sandboxes = cri.Sandboxes

func (h hurried) Sandboxes(ctx context.Context) ([]cri.Sandbox, error) {
	if _, limited := ctx.Deadline(); limited {
		return nil, &cri.SocketError{Socket: "unix:///run/slow.sock", Reason: cri.ErrNoAnswer}
	}
	return h.sandboxes.Sandboxes(ctx)
}

// TestLateComerCutShort: the end of the wait cuts a question to a busy
// runtime short. That is no failure of the runtime.
func TestLateComerCutShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t)
		n.worker()
		task := n.task(n.host)
		task.Aftermath = time.Second
		task.Runtime = hurried{task.Runtime}
		if warnings, err := run(t.Context(), task, Phase()); err != nil || len(warnings) > 0 {
			t.Fatalf("%v, warnings %q", err, warnings)
		}
	})
}
