// Package node labels and taints this node's Node object.
package node

import (
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/kube"
	"github.com/hactl/hactl/phases/wait"
)

// labels mark a control-plane node (kubeadm v1.37,
// phases/markcontrolplane/markcontrolplane.go).
var labels = [...]string{config.ControlPlaneRole, "node.kubernetes.io/exclude-from-external-load-balancers"}

// Task is what the phase works from.
type Task struct {
	API  kube.API
	Node *config.Node
	// Limit is how long the kubelet may take to register the node.
	Limit time.Duration
	// Hurry makes the kubelet register its node now, and says whether it had
	// to. It is called once, when there is an API server to register at. Nil
	// means that the kubelet takes its time.
	Hurry func(context.Context) (bool, error)
}

// MarkPhase is phase mark-control-plane.
func MarkPhase() phases.Phase[Task] {
	return phases.Phase[Task]{
		Name:    "mark-control-plane",
		Title:   "label and taint the node",
		Writes:  []string{"Node: labels and taints of a control plane"},
		Observe: observe,
		Apply:   apply,
	}
}

func observe(ctx context.Context, t *Task) (phases.State, error) {
	n := t.object()
	if err := t.API.Get(ctx, n); err != nil {
		// An API server that has just started forbids what it has not learnt
		// of yet.
		if apierrors.IsNotFound(err) || apierrors.IsForbidden(err) || kube.Unreachable(err) {
			return phases.Missing, nil
		}
		return phases.Missing, fmt.Errorf("read node %s: %w", t.Node.Name, err)
	}
	if mark(n, t.Node.Taints) {
		return phases.Missing, nil
	}
	return phases.Done, nil
}

func apply(ctx context.Context, t *Task) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	hurry := t.hurry()
	c := wait.Condition{
		What:      "node " + t.Node.Name + " is registered by its kubelet and marked as a control plane",
		LimitName: "timeouts.kubeletHealthCheck",
		Check: func(ctx context.Context) (bool, string, error) {
			done, status, err := t.try(ctx)
			if err == nil && status == unregistered {
				err = hurry(ctx)
			}
			return done, status, err
		},
	}
	if changes, err := t.API.Watch(ctx, t.object()); err == nil {
		c.Wake = append(c.Wake, changes)
	}
	return wait.For(ctx, t.Limit, c)
}

// unregistered is what try says while the kubelet has not registered the node.
const unregistered = "not registered yet"

// hurry returns Hurry as it is called: once, and with a word to people.
func (t *Task) hurry() func(context.Context) error {
	called := t.Hurry == nil
	return func(ctx context.Context) error {
		if called {
			return nil
		}
		called = true
		did, err := t.Hurry(ctx)
		if did {
			phases.Report(ctx, "the API server is there: the kubelet is started anew, so that it registers its node now")
		}
		return err
	}
}

// try marks the node once. What another writer or the kubelet's registration
// can still change is not final.
func (t *Task) try(ctx context.Context) (bool, string, error) {
	n := t.object()
	err := t.API.Get(ctx, n)
	if err == nil {
		if !mark(n, t.Node.Taints) {
			return true, "", nil
		}
		err = t.API.Update(ctx, n)
	}
	switch {
	case err == nil:
		return true, "", nil
	case apierrors.IsNotFound(err):
		return false, unregistered, nil
	case apierrors.IsConflict(err):
		return false, "changed by somebody else meanwhile", nil
	case kube.Unreachable(err), apierrors.IsServerTimeout(err), apierrors.IsTooManyRequests(err), apierrors.IsForbidden(err):
		return false, err.Error(), nil
	}
	return false, "", fmt.Errorf("mark node %s: %w", t.Node.Name, err)
}

func (t *Task) object() *corev1.Node {
	return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: t.Node.Name}}
}

// mark sets the labels and the taints, and says whether that changed the
// node. Other taints stay; of a key and effect there can be only one.
func mark(n *corev1.Node, taints []corev1.Taint) bool {
	changed := false
	for _, label := range labels {
		if value, ok := n.Labels[label]; !ok || value != "" {
			metav1.SetMetaDataLabel(&n.ObjectMeta, label, "")
			changed = true
		}
	}
	for _, taint := range taints {
		at := slices.IndexFunc(n.Spec.Taints, func(live corev1.Taint) bool { return live.MatchTaint(&taint) })
		switch {
		case at < 0:
			n.Spec.Taints = append(n.Spec.Taints, taint)
		case n.Spec.Taints[at].Value != taint.Value:
			n.Spec.Taints[at] = taint
		default:
			continue
		}
		changed = true
	}
	return changed
}
