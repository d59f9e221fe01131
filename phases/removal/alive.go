package removal

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hactl/hactl/etcd"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/wait"
)

// renewal is the longest time from one renewal of a node's lease to the next
// while the kubelet is well: a quarter of the lease's 40 s (kubernetes v1.37,
// pkg/kubelet), and half as much again.
const renewal = 15 * time.Second

// alive refuses a node that still runs, unless it is forced.
func (t *Task) alive(ctx context.Context, node *corev1.Node, own []etcd.MemberHealth) error {
	var signs []string
	if node != nil && ready(node) {
		renews := true
		if !t.Force && len(own) > 0 && !slices.ContainsFunc(own, func(m etcd.MemberHealth) bool { return m.Err == nil }) {
			var err error
			if renews, err = t.renews(ctx); err != nil {
				return err
			}
		}
		if renews {
			signs = append(signs, "its kubelet reports that it is ready")
		}
	}
	for _, m := range own {
		if m.Err == nil {
			signs = append(signs, "its etcd member answers")
		}
	}
	if len(signs) == 0 {
		return nil
	}
	cost := t.cost()
	if t.Force {
		phases.Warn(ctx, fmt.Sprintf("%s is alive (%s): %s", t.Name, strings.Join(signs, ", "), cost))
		return nil
	}
	fixes := []string{"on " + t.Name + ", which cleans up there too: hactl reset"}
	if t.Result.Worker {
		fixes = append([]string{"move its pods away: " + drain(t.Name)}, fixes...)
		fixes = append(fixes, "if its machine died just now, wait a minute and run the same command again")
	}
	return &phases.Fault{
		What:  t.Name + " is alive: removing it from here would cost more than it needs to",
		Why:   fmt.Errorf("%s; %s", strings.Join(signs, ", "), cost),
		Fixes: append(fixes, "or accept what it costs: --force"),
		Exit:  phases.CodeUnsafe,
	}
}

// renews watches whether the kubelet renews its node's lease. A node whose
// machine died stays ready for most of a minute: nobody waits so long who has
// seen its etcd member die too. No clock is compared: that of the other
// machine may be wrong.
func (t *Task) renews(ctx context.Context) (bool, error) {
	var began, seen time.Time // of the first and the last answer
	var first *metav1.MicroTime
	err := wait.For(ctx, renewal, wait.Condition{
		What: "a sign of life of " + t.Name + ", whose etcd member is silent",
		Check: func(ctx context.Context) (bool, string, error) {
			l := lease(corev1.NamespaceNodeLease, t.Name)
			err := t.call(ctx, "Lease "+l.Namespace+"/"+l.Name, func(ctx context.Context) error { return t.API.Get(ctx, l) })
			if err != nil && !apierrors.IsNotFound(err) {
				return false, "", err
			}
			seen = time.Now()
			if began.IsZero() {
				began, first = seen, l.Spec.RenewTime
			}
			return !l.Spec.RenewTime.Equal(first), "its lease is not renewed", nil
		},
	})
	var late *wait.TimeoutError
	if errors.As(err, &late) && seen.Sub(began) > renewal*3/4 {
		return false, nil
	}
	return err == nil, err
}

// cost says what becomes of a node that is removed while it is alive.
func (t *Task) cost() string {
	text := "its kubelet goes on running pods that the cluster no longer knows"
	if before, after := t.Result.VotersBefore, t.Result.VotersAfter; before != after {
		text += fmt.Sprintf(", its API server loses its etcd, and etcd goes from %d to %d voting members (failure tolerance %d → %d)",
			before, after, etcd.Tolerance(before), etcd.Tolerance(after))
	}
	return text
}

func drain(name string) string {
	return "kubectl drain " + name + " --ignore-daemonsets --delete-emptydir-data"
}

func ready(n *corev1.Node) bool {
	return slices.ContainsFunc(n.Status.Conditions, func(c corev1.NodeCondition) bool {
		return c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue
	})
}
