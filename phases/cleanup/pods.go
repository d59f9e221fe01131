package cleanup

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/cri"
	"github.com/hactl/hactl/phases/host"
	"github.com/hactl/hactl/phases/wait"
)

// together is how many pods are stopped at the same time.
const together = 8

// kubeletRuns says whether the kubelet runs or is about to be started again.
func (t *Task) kubeletRuns(ctx context.Context) (bool, error) {
	if t.unmanaged {
		return false, nil
	}
	s, err := t.Host.Services().Status(ctx, t.Unit)
	return s.Active || strings.HasPrefix(s.Detail, "activating"), err
}

func (t *Task) stopKubelet(ctx context.Context, _ *found) error {
	runs, err := t.kubeletRuns(ctx)
	if err == nil && runs {
		t.halted = true
		err = t.Host.Services().Stop(ctx, t.Unit)
	}
	var manager *host.ManagerError
	if !errors.As(err, &manager) {
		return err
	}
	t.unmanaged = t.Force
	return t.unlessForced(ctx, &phases.Fault{
		What: "the kubelet cannot be stopped", Why: err,
		Fixes: append(manager.Fix(), "if no kubelet runs on this machine: --force"),
	})
}

// pods are the sandboxes that are to go: all, but those that stopped and
// that the runtime could not remove, and an etcd that serves other nodes.
func (t *Task) pods(ctx context.Context, f *found) ([]cri.Sandbox, error) {
	if t.blind {
		return nil, nil
	}
	list, err := t.Runtime.Sandboxes(ctx)
	var unreachable *cri.SocketError
	if errors.As(err, &unreachable) && t.neverRan(ctx) {
		return nil, nil
	}
	return slices.DeleteFunc(list, func(s cri.Sandbox) bool {
		return !s.Ready && t.stuck[s.ID] || f.says.External && ofEtcd(s)
	}), err
}

// ofEtcd says whether a sandbox is that of the static pod of etcd.
func ofEtcd(s cri.Sandbox) bool {
	return s.Namespace == "kube-system" && strings.HasPrefix(s.Pod, "etcd-")
}

// neverRan says that no kubelet has run a pod on this machine, or that what
// it left is gone.
func (t *Task) neverRan(ctx context.Context) bool {
	names, err := t.names(ctx, path.Join(t.KubeletDir, "pods"))
	return err == nil && len(names) == 0
}

// removePods stops the pods' containers and removes the pods, also one that
// the kubelet had asked for before it was stopped and that comes only now.
func (t *Task) removePods(ctx context.Context, f *found) error {
	for waited := !t.halted; ; waited = true {
		list, err := t.pods(ctx, f)
		if err != nil {
			return t.withoutRuntime(ctx, err)
		}
		if len(list) == 0 && waited {
			return nil
		}
		failed := t.removeAll(ctx, list)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if len(failed) > 0 {
			left, err := t.Runtime.Sandboxes(ctx)
			if err != nil {
				return t.withoutRuntime(ctx, err)
			}
			return t.judge(ctx, left, failed)
		}
		if err := t.lateComer(ctx, f); err != nil {
			return err
		}
	}
}

// lateComer returns when another pod has come, or none has for a while.
func (t *Task) lateComer(ctx context.Context, f *found) error {
	if t.Aftermath == 0 {
		return nil
	}
	err := wait.For(ctx, t.Aftermath, wait.Condition{
		What: "a pod comes that was asked for before",
		// With the time that the runtime takes to answer: the end of the wait
		// must not look like a runtime that does not.
		Check: func(context.Context) (bool, string, error) {
			list, err := t.pods(ctx, f)
			return len(list) > 0, "", err
		},
	})
	var none *wait.TimeoutError
	if err == nil || errors.As(err, &none) {
		return nil
	}
	return t.withoutRuntime(ctx, err)
}

// removeAll tries each pod and returns what went wrong, by ID.
func (t *Task) removeAll(ctx context.Context, list []cri.Sandbox) map[string]error {
	var mu sync.Mutex
	var running sync.WaitGroup
	failed, gone := map[string]error{}, 0
	places := make(chan struct{}, together)
	for _, s := range list {
		places <- struct{}{}
		running.Go(func() {
			defer func() { <-places }()
			err := t.removePod(ctx, s)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failed[s.ID] = err
				return
			}
			gone++
			phases.Report(ctx, fmt.Sprintf("removed pod %s (%d of %d)", s.Name(), gone, len(list)))
		})
	}
	running.Wait()
	return failed
}

func (t *Task) removePod(ctx context.Context, s cri.Sandbox) error {
	limited, cancel := context.WithTimeout(ctx, t.Limit)
	defer cancel()
	stopped := t.Runtime.StopSandbox(limited, s.ID)
	// A stopped pod may be removable although its network plugin fails.
	if err := t.Runtime.RemoveSandbox(limited, s.ID); err != nil {
		return errors.Join(stopped, err)
	}
	return nil
}

// judge warns of pods that stopped and stay, and refuses to go on with pods
// that run.
func (t *Task) judge(ctx context.Context, left []cri.Sandbox, failed map[string]error) error {
	t.stuck = map[string]bool{}
	var running []string
	var why []error
	for _, s := range left {
		err := failed[s.ID]
		if err == nil {
			continue
		}
		if s.Ready && !t.Force {
			running, why = append(running, s.Name()), append(why, err)
			continue
		}
		t.stuck[s.ID] = true
		t.blind = t.blind || s.Ready
		phases.Warn(ctx, fmt.Sprintf("pod %s is not removed from the container runtime: %v", s.Name(), err))
	}
	if len(running) == 0 {
		return nil
	}
	return &phases.Fault{
		What: "these pods do not stop: " + strings.Join(running, ", "),
		Why:  errors.Join(why...),
		Fixes: []string{
			"see what the runtime says: journalctl -u containerd -n 50",
			"then run the same command again",
			"to go on while they run: --force",
		},
	}
}

// withoutRuntime refuses to go on while nobody can say what runs.
func (t *Task) withoutRuntime(ctx context.Context, err error) error {
	var unreachable *cri.SocketError
	if !errors.As(err, &unreachable) {
		return err
	}
	t.blind = t.Force
	return t.unlessForced(ctx, &phases.Fault{
		What: "the pods on this node cannot be stopped: the container runtime cannot be asked", Why: err,
		Fixes: append(unreachable.Fix(), "to leave the containers as they are, perhaps running: --force"),
	})
}
