package node_test

import (
	"context"
	"errors"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/kube"
	"github.com/hactl/hactl/phases/node"
	"github.com/hactl/hactl/phases/wait"
)

const (
	role    = "node-role.kubernetes.io/control-plane"
	exclude = "node.kubernetes.io/exclude-from-external-load-balancers"
	limit   = time.Minute
)

var ours = corev1.Taint{Key: role, Effect: corev1.TaintEffectNoSchedule}

func task(api kube.API, taints ...corev1.Taint) *node.Task {
	return &node.Task{API: api, Node: &config.Node{Name: "cp-1", Taints: taints}, Limit: limit}
}

func registered(labels map[string]string, taints ...corev1.Taint) *corev1.Node {
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: "cp-1", Labels: labels},
		Spec:       corev1.NodeSpec{Taints: taints},
	}
}

func run(t *testing.T, task *node.Task) (end phases.Kind, err error) {
	t.Helper()
	err = phases.Run(t.Context(), []phases.Phase[node.Task]{node.MarkPhase()}, task, phases.Options{Notify: func(e phases.Event) {
		if e.Kind != phases.Progress {
			end = e.Kind
		}
	}})
	return end, err
}

func TestMark(t *testing.T) {
	both := map[string]string{role: "", exclude: ""}
	notReady := corev1.Taint{Key: "node.kubernetes.io/not-ready", Effect: corev1.TaintEffectNoSchedule}
	cases := map[string]struct {
		reason string
		live   *corev1.Node
		taints []corev1.Taint
		labels map[string]string
		want   []corev1.Taint
		end    phases.Kind
	}{
		"New": {
			"somebody else's label and taint stay", registered(map[string]string{"room": "a"}, notReady), []corev1.Taint{ours},
			map[string]string{"room": "a", role: "", exclude: ""}, []corev1.Taint{notReady, ours}, phases.Finished,
		},
		"Marked":   {"nothing to do", registered(both, ours), []corev1.Taint{ours}, both, []corev1.Taint{ours}, phases.Unchanged},
		"NoTaints": {"the user wants to run pods here", registered(nil), nil, both, nil, phases.Finished},
		"OtherEffect": {
			"a taint with another effect is another taint", registered(both, corev1.Taint{Key: role, Effect: corev1.TaintEffectNoExecute}), []corev1.Taint{ours},
			both, []corev1.Taint{{Key: role, Effect: corev1.TaintEffectNoExecute}, ours}, phases.Finished,
		},
		"OtherValue": {
			"a taint with another value is replaced: of one key and effect there can be one only",
			registered(both, corev1.Taint{Key: role, Value: "x", Effect: corev1.TaintEffectNoSchedule}), []corev1.Taint{ours},
			both, []corev1.Taint{ours}, phases.Finished,
		},
		"LabelValue": {"the label has a value that means nothing", registered(map[string]string{role: "true", exclude: ""}, ours), []corev1.Taint{ours}, both, []corev1.Taint{ours}, phases.Finished},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			api := kube.NewMemory()
			if err := api.Set(c.live); err != nil {
				t.Fatal(err)
			}
			if end, err := run(t, task(api, c.taints...)); err != nil || end != c.end {
				t.Errorf("%s: the end is %s, %v, want %s", c.reason, end, err, c.end)
			}
			got := registered(nil)
			if err := api.Get(t.Context(), got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.labels, got.Labels); diff != "" {
				t.Errorf("%s: labels -want +got\n%s", c.reason, diff)
			}
			if diff := cmp.Diff(c.want, got.Spec.Taints); diff != "" {
				t.Errorf("%s: taints -want +got\n%s", c.reason, diff)
			}
			if end, err := run(t, task(api, c.taints...)); err != nil || end != phases.Unchanged {
				t.Errorf("a second run: the end is %s, %v, want unchanged", end, err)
			}
		})
	}
}

// The node is marked as soon as the kubelet registers it.
func TestWaitsForRegistration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := kube.NewMemory()
		const later = 10500 * time.Millisecond
		time.AfterFunc(later, func() { _ = api.Set(registered(nil)) })
		began := time.Now()
		if end, err := run(t, task(api, ours)); err != nil || end != phases.Finished {
			t.Errorf("the end is %s, %v, want finished", end, err)
		}
		if took := time.Since(began); took != later {
			t.Errorf("it took %s, want %s", took, later)
		}
	})
}

// The kubelet is hurried once, and not before an API server answers.
func TestHurries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := kube.NewMemory()
		const up = 4 * time.Second
		began := time.Now()
		api.Intercept(func(kube.Verb, runtime.Object) error {
			if time.Since(began) < up {
				return syscall.ECONNREFUSED
			}
			return nil
		})
		var calls []time.Duration
		mark := task(api, ours)
		mark.Hurry = func(context.Context) (bool, error) {
			calls = append(calls, time.Since(began))
			time.AfterFunc(5*time.Second, func() { _ = api.Set(registered(nil)) })
			return true, nil
		}
		if end, err := run(t, mark); err != nil || end != phases.Finished {
			t.Errorf("the end is %s, %v, want finished", end, err)
		}
		if len(calls) != 1 || calls[0] < up || calls[0] > up+2*time.Second {
			t.Errorf("hurried at %s, want once, at %s", calls, up)
		}
	})
	mark := task(kube.NewMemory(), ours)
	mark.Hurry = func(context.Context) (bool, error) { return false, syscall.EPERM }
	if _, err := run(t, mark); !errors.Is(err, syscall.EPERM) {
		t.Errorf("got %v, want the error of Hurry", err)
	}
}

func TestPassingTrouble(t *testing.T) {
	nodes := schema.GroupResource{Resource: "nodes"}
	cases := map[string]struct {
		reason string
		err    error
		on     kube.Verb
	}{
		"Conflict":  {"the kubelet changed the node at the same time", apierrors.NewConflict(nodes, "cp-1", errors.New("changed")), kube.Update},
		"Refused":   {"the API server is not there for a moment", syscall.ECONNREFUSED, kube.Get},
		"Forbidden": {"the authorizer has not seen the first roles yet", apierrors.NewForbidden(nodes, "cp-1", errors.New("no")), kube.Update},
		"Busy":      {"too many requests", apierrors.NewTooManyRequests("busy", 1), kube.Update},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				api := kube.NewMemory()
				if err := api.Set(registered(nil)); err != nil {
					t.Fatal(err)
				}
				times := 3
				api.Intercept(func(v kube.Verb, _ runtime.Object) error {
					if v == c.on && times > 0 {
						times--
						return c.err
					}
					return nil
				})
				if end, err := run(t, task(api, ours)); err != nil || end != phases.Finished || times > 0 {
					t.Errorf("%s: the end is %s, %v, want finished", c.reason, end, err)
				}
			})
		})
	}
}

func TestFails(t *testing.T) {
	invalid := apierrors.NewBadRequest("a taint without a key")
	cases := map[string]struct {
		reason  string
		fail    func(kube.Verb) error
		timeout bool
	}{
		"NeverRegistered": {"no kubelet registers the node", func(kube.Verb) error { return nil }, true},
		"Unreachable":     {"no API server answers", func(kube.Verb) error { return syscall.ECONNREFUSED }, true},
		"Invalid":         {"waiting does not mend it", func(kube.Verb) error { return invalid }, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				api := kube.NewMemory()
				api.Intercept(func(v kube.Verb, _ runtime.Object) error { return c.fail(v) })
				began := time.Now()
				_, err := run(t, task(api, ours))
				var timeout *wait.TimeoutError
				if err == nil || errors.As(err, &timeout) != c.timeout {
					t.Errorf("%s: %v, want a timeout: %v", c.reason, err, c.timeout)
				}
				if took := time.Since(began); c.timeout && took != limit || !c.timeout && took > 0 {
					t.Errorf("%s: it took %s", c.reason, took)
				}
			})
		})
	}
}
