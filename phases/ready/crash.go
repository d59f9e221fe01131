package ready

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/cri"
	"github.com/hactl/hactl/phases/symptom"
	"github.com/hactl/hactl/phases/wait"
)

const (
	// hopeless is the number of ends after which a component is taken to be
	// broken and not only early: one that is early finds what it needs
	// within its first tries.
	hopeless = 3
)

// dead is the component's newest container if it has ended, else zero. One
// that is dead already when the wait begins tells nothing: its cause may be
// mended by now, and the kubelet has not tried again.
func (t *Task) dead(ctx context.Context, name string) cri.Container {
	if c, ok := t.newest(ctx, name); ok && c.State == cri.Exited {
		return c
	}
	return cri.Container{}
}

// crashed returns why the component whose container is dead cannot become
// healthy, nil if it still can.
func (t *Task) crashed(ctx context.Context, dead cri.Container) error {
	if dead.ID == "" || dead.Attempt+1 < hopeless {
		return nil
	}
	lines, _ := t.Runtime.Logs(ctx, dead, symptom.Lines)
	why := fmt.Errorf("%s ended %d times, last with exit code %d%s", dead.Name, dead.Attempt+1, dead.ExitCode, symptom.Tail(lines))
	return &phases.Fault{
		What:  dead.Name + " does not stay up",
		Why:   why,
		Fixes: append(symptom.Hints(lines), "then run the same command again: finished phases are kept"),
	}
}

// diagnose gives the cause of a timeout where one can be seen: a component
// that the kubelet has not tried again since the wait began.
func (t *Task) diagnose(ctx context.Context, err error) error {
	var timeout *wait.TimeoutError
	if !errors.As(err, &timeout) {
		return err
	}
	for _, name := range t.names() {
		if crash := t.crashed(ctx, t.dead(ctx, name)); crash != nil {
			return crash
		}
	}
	return err
}

// status says what a person would want to know while the component is not
// healthy: is its container there at all?
func (t *Task) status(ctx context.Context, name string, err error) string {
	c, ok := t.newest(ctx, name)
	switch {
	case !ok:
		return "no container yet"
	case c.State == cri.Exited:
		return fmt.Sprintf("ended with exit code %d, try %d", c.ExitCode, c.Attempt+1)
	case c.State != cri.Running:
		return "container " + string(c.State)
	}
	return short(err)
}

var errOutlived = errors.New("a pod by an earlier manifest answers, and is about to end")

// outlived is an error while what answers may be a pod that the kubelet is
// about to end: one by an earlier manifest, beside which the new one cannot
// serve yet. A runtime that does not answer tells nothing.
func (t *Task) outlived(ctx context.Context, name string) error {
	if c, ok := t.newest(ctx, name); ok && c.State == cri.Exited {
		return errOutlived
	}
	sandboxes, err := t.Runtime.Sandboxes(ctx)
	if err != nil {
		return nil
	}
	ready := slices.DeleteFunc(sandboxes, func(s cri.Sandbox) bool {
		return !s.Ready || s.Namespace != metav1.NamespaceSystem || !strings.HasPrefix(s.Pod, name+"-")
	})
	if len(ready) > 1 {
		return errOutlived
	}
	return nil
}

func (t *Task) newest(ctx context.Context, name string) (cri.Container, bool) {
	list, err := t.Runtime.Containers(ctx, cri.Filter{Namespace: "kube-system", Name: name})
	if err != nil || len(list) == 0 {
		return cri.Container{}, false
	}
	return list[0], true
}

// kubeletCrashed returns why the kubelet cannot become healthy, nil if it
// still can.
func (t *Task) kubeletCrashed(ctx context.Context) error {
	s, err := t.Host.Services().Status(ctx, config.KubeletUnit)
	if err != nil || s.Restarts < hopeless || !s.Failed {
		return nil
	}
	lines := symptom.Journal(ctx, t.Host, config.KubeletUnit)
	return &phases.Fault{
		What:  "the kubelet does not stay up",
		Why:   fmt.Errorf("%s restarted %d times (%s)%s", config.KubeletUnit, s.Restarts, s.Detail, symptom.Tail(lines)),
		Fixes: append(symptom.Hints(lines), "look at: journalctl -xeu kubelet", "then run the same command again: finished phases are kept"),
	}
}
