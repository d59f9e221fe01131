package kubelet

import (
	"context"
	"fmt"
	"time"

	"github.com/hactl/hactl/config"
)

// A kubelet that cannot register its node tries again after 0.1 s, and each
// time after twice as long, up to 7 s: 0.1, 0.3, 0.7, 1.5, 3.1, 6.3, 12.7 s after
// its start (k8s.io/kubernetes v1.37, pkg/kubelet/kubelet_node_status.go).
const (
	firstPause = 100 * time.Millisecond
	lastPause  = 7 * time.Second
	// worth is how far away the next try must be for a new start to be sooner:
	// a kubelet takes a second to get there.
	worth = 2 * time.Second
)

// untilTry is how long a kubelet of that age waits until its next try.
func untilTry(age time.Duration) time.Duration {
	at, pause := firstPause, firstPause
	for at <= age {
		pause = min(2*pause, lastPause)
		at += pause
	}
	return at - age
}

// HurryRegistration starts the kubelet anew if its next try to register the
// node is far away, and says whether it did. Pods keep running. A kubelet that
// this run has not started is taken for an old one, which tries rarely.
func (t *Task) HurryRegistration(ctx context.Context) (bool, error) {
	return t.registerNow(ctx, t.started)
}

// registerNow is HurryRegistration of a kubelet that was started then; zero
// means that nothing tells when.
func (t *Task) registerNow(ctx context.Context, started time.Time) (bool, error) {
	if !started.IsZero() && untilTry(time.Since(started)) < worth {
		return false, nil
	}
	if err := t.Host.Services().Restart(ctx, config.KubeletUnit); err != nil {
		return false, fmt.Errorf("start the kubelet anew: %w", err)
	}
	t.started = time.Now()
	return true, nil
}
