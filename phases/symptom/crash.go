package symptom

import (
	"context"
	"fmt"
	"sync"

	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/cri"
)

// hopeless is the number of ends after which a component is taken to be
// broken and not only early: one that is early finds what it needs within
// its first tries.
const hopeless = 3

// Newest is the newest container of a static pod's component, and false if
// there is none or the runtime does not tell.
func Newest(ctx context.Context, r cri.Runtime, component string) (cri.Container, bool) {
	list, err := r.Containers(ctx, cri.Filter{Namespace: "kube-system", Name: component})
	if err != nil || len(list) == 0 {
		return cri.Container{}, false
	}
	return list[0], true
}

// Dead is the component's newest container if it has ended, else zero.
func Dead(ctx context.Context, r cri.Runtime, component string) cri.Container {
	if c, ok := Newest(ctx, r, component); ok && c.State == cri.Exited {
		return c
	}
	return cri.Container{}
}

// Crashed returns a fault that says why the component whose container is dead
// will not come up, nil if it still can. It counts all tries that the kubelet
// does, those of earlier runs included: a Watch counts those of this run.
func Crashed(ctx context.Context, r cri.Runtime, dead cri.Container) error {
	return crashed(ctx, r, dead, dead.Attempt+1)
}

func crashed(ctx context.Context, r cri.Runtime, dead cri.Container, ends int) error {
	if dead.ID == "" || ends < hopeless {
		return nil
	}
	lines, _ := r.Logs(ctx, dead, Lines)
	return &phases.Fault{
		What:  dead.Name + " does not stay up",
		Why:   fmt.Errorf("%s ended %d times, last with exit code %d%s", dead.Name, ends, dead.ExitCode, Tail(lines)),
		Fixes: append(Hints(lines), "then run the same command again: finished phases are kept"),
	}
}

// Watch counts how often a component of a static pod ends from now on. A
// container that is dead when it begins tells nothing: its cause may be
// mended by now, and the kubelet has not tried again. Its methods may be
// called at the same time.
type Watch struct {
	runtime   cri.Runtime
	component string

	mu    sync.Mutex
	asked bool
	first int // the first try that counts; -1 until there is one
}

// NewWatch makes a watch of the component, which begins with its first call.
func NewWatch(r cri.Runtime, component string) *Watch {
	return &Watch{runtime: r, component: component, first: -1}
}

// Crashed returns a fault that says why the component will not come up, nil
// while it may.
func (w *Watch) Crashed(ctx context.Context) error {
	c, there := Newest(ctx, w.runtime, w.component)
	w.mu.Lock()
	defer w.mu.Unlock()
	if there && w.first < 0 {
		w.first = c.Attempt
		if !w.asked && c.State == cri.Exited {
			w.first++
		}
	}
	w.asked = true
	if !there || c.State != cri.Exited {
		return nil
	}
	return crashed(ctx, w.runtime, c, c.Attempt-w.first+1)
}

// Forgive leaves out one end: that of a component which hactl ends itself.
func (w *Watch) Forgive() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.first >= 0 {
		w.first++
	}
}
