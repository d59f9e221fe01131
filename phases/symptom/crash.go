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
// will not come up, nil if it still can.
func Crashed(ctx context.Context, r cri.Runtime, dead cri.Container) error {
	if dead.ID == "" || dead.Attempt+1 < hopeless {
		return nil
	}
	lines, _ := r.Logs(ctx, dead, Lines)
	return &phases.Fault{
		What:  dead.Name + " does not stay up",
		Why:   fmt.Errorf("%s ended %d times, last with exit code %d%s", dead.Name, dead.Attempt+1, dead.ExitCode, Tail(lines)),
		Fixes: append(Hints(lines), "then run the same command again: finished phases are kept"),
	}
}

// Watch returns a function that returns what Crashed does, of the component's
// container at that time. One that is dead already at the first call tells
// nothing: its cause may be mended by now, and the kubelet has not tried
// again.
func Watch(r cri.Runtime, component string) func(context.Context) error {
	var once sync.Once
	var before string
	return func(ctx context.Context) error {
		dead := Dead(ctx, r, component)
		once.Do(func() { before = dead.ID })
		if dead.ID == before {
			return nil
		}
		return Crashed(ctx, r, dead)
	}
}
