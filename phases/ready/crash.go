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

// hopeless is the number of the kubelet's ends after which it is taken to be
// broken and not only early.
const hopeless = 3

// diagnose gives the cause of a timeout where one can be seen: a component
// that the kubelet has not tried again since the wait began.
func (t *Task) diagnose(ctx context.Context, err error) error {
	var timeout *wait.TimeoutError
	if !errors.As(err, &timeout) {
		return err
	}
	for _, name := range t.names() {
		if crash := symptom.Crashed(ctx, t.Runtime, symptom.Dead(ctx, t.Runtime, name)); crash != nil {
			return crash
		}
	}
	return err
}

// status says what a person would want to know while the component is not
// healthy: is its container there at all?
func (t *Task) status(ctx context.Context, name string, err error) string {
	c, ok := symptom.Newest(ctx, t.Runtime, name)
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
	if c, ok := symptom.Newest(ctx, t.Runtime, name); ok && c.State == cri.Exited {
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
