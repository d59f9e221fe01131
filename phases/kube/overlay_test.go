package kube_test

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/hactl/hactl/phases/kube"
)

func settings(name string, data map[string]string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: name}, Data: data}
}

// line is a change in the form that the tests compare.
func lines(changes []kube.Change) []string {
	var list []string
	for _, c := range changes {
		data := func(obj kube.Object) string {
			if cm, ok := obj.(*corev1.ConfigMap); ok {
				return fmt.Sprint(cm.Data)
			}
			return "none"
		}
		list = append(list, fmt.Sprintf("%s %s: %s -> %s", c.Verb, c.Object.GetName(), data(c.Old), data(c.Object)))
	}
	return list
}

func TestOverlayChanges(t *testing.T) {
	cases := map[string]struct {
		reason string
		do     func(context.Context, kube.API) error
		want   []string
	}{
		"New": {
			reason: "a new object has no old one",
			do: func(ctx context.Context, a kube.API) error {
				return a.Put(ctx, settings("new", map[string]string{"x": "1"}))
			},
			want: []string{"put new: none -> map[x:1]"},
		},
		"Merge": {
			reason: "what others set stays, what hactl had set in the base goes",
			do: func(ctx context.Context, a kube.API) error {
				return a.Put(ctx, settings("old", map[string]string{"y": "2"}))
			},
			want: []string{"put old: map[other:kept x:1] -> map[other:kept y:2]"},
		},
		"Same": {
			reason: "what changes nothing is not listed",
			do: func(ctx context.Context, a kube.API) error {
				return a.Put(ctx, settings("old", map[string]string{"x": "1"}))
			},
		},
		"Foreign": {
			reason: "who owns a field is no change",
			do: func(ctx context.Context, a kube.API) error {
				return a.Put(ctx, settings("foreign", map[string]string{"z": "9"}))
			},
		},
		"Order": {
			reason: "changes are listed in order, each with what was before",
			do: func(ctx context.Context, a kube.API) error {
				cm := settings("old", nil)
				err := a.Get(ctx, cm)
				cm.Data["x"] = "2"
				return errors.Join(err, a.Update(ctx, cm), a.Delete(ctx, cm), a.Put(ctx, settings("old", nil)))
			},
			want: []string{
				"update old: map[other:kept x:1] -> map[other:kept x:2]",
				"delete old: map[other:kept x:2] -> map[other:kept x:2]",
				"put old: none -> map[]",
			},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			m := kube.NewMemory()
			cm := settings("old", map[string]string{"x": "1"})
			err := errors.Join(m.Put(t.Context(), cm), m.Set(settings("foreign", map[string]string{"z": "9"})))
			cm.Data["other"] = "kept"
			if err := errors.Join(err, m.Update(t.Context(), cm)); err != nil {
				t.Fatal(err)
			}
			o := kube.NewOverlay(m)
			if err := c.do(t.Context(), o); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, lines(o.Changes())); diff != "" {
				t.Errorf("%s: -want +got\n%s", c.reason, diff)
			}
			var base corev1.ConfigMapList
			if err := m.List(t.Context(), &base, "", ""); err != nil || len(base.Items) != 2 ||
				base.Items[1].ResourceVersion != cm.ResourceVersion {
				t.Errorf("the base changed: %v, %v", base.Items, err)
			}
		})
	}
}

func TestOverlayOfNothing(t *testing.T) {
	bases := map[string]func(t *testing.T) kube.API{
		"NoKubeconfig": func(t *testing.T) kube.API {
			return kube.NewClient(kube.FromKubeconfig(none{}, "", "/etc/kubernetes/admin.conf"))
		},
		"Refused": func(t *testing.T) kube.API {
			m := kube.NewMemory()
			m.Intercept(func(kube.Verb, runtime.Object) error { return syscall.ECONNREFUSED })
			return m
		},
	}
	for name, base := range bases {
		t.Run(name, func(t *testing.T) {
			o := kube.NewOverlay(base(t))
			if err := o.Get(t.Context(), settings("a", nil)); !apierrors.IsNotFound(err) {
				t.Errorf("want IsNotFound, got %v", err)
			}
			if err := o.Put(t.Context(), settings("a", nil)); err != nil {
				t.Error(err)
			}
			var list corev1.ConfigMapList
			if err := o.List(t.Context(), &list, "", ""); err != nil || len(list.Items) != 1 {
				t.Errorf("want the object that was put, got %v, %v", list.Items, err)
			}
		})
	}
}

type none struct{}

func (none) ReadFile(context.Context, string) ([]byte, error) { return nil, syscall.ENOENT }

func TestOverlayKeepsAnswers(t *testing.T) {
	m, no := kube.NewMemory(), apierrors.NewForbidden(configMaps, "a", errors.New("no role"))
	m.Intercept(func(kube.Verb, runtime.Object) error { return no })
	o := kube.NewOverlay(m)
	if err := o.Get(t.Context(), settings("a", nil)); !apierrors.IsForbidden(err) {
		t.Errorf("an answer of the server is not an empty cluster: got %v", err)
	}
	if err := o.Put(t.Context(), settings("a", nil)); !apierrors.IsForbidden(err) || len(o.Changes()) != 0 {
		t.Errorf("got %v and %v", err, o.Changes())
	}
}

func TestOverlayWatchesBase(t *testing.T) {
	m := kube.NewMemory()
	changes, err := kube.NewOverlay(m).Watch(t.Context(), settings("a", nil))
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Set(settings("a", nil)); err != nil {
		t.Fatal(err)
	}
	select {
	case <-changes:
	case <-time.After(10 * time.Second):
		t.Fatal("a change of the base was not told")
	}
}

func TestMemorySetKeepsStatus(t *testing.T) {
	m := kube.NewMemory()
	ready := []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n"}, Status: corev1.NodeStatus{Conditions: ready}}
	if err := m.Set(n); err != nil {
		t.Fatal(err)
	}
	mine := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n", Labels: map[string]string{"role": "cp"}}}
	if err := m.Put(t.Context(), mine); err != nil {
		t.Fatal(err)
	}
	mine.Status, mine.Labels = corev1.NodeStatus{}, nil
	if err := m.Update(t.Context(), mine); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(ready, mine.Status.Conditions); diff != "" || mine.Labels != nil {
		t.Errorf("Put and Update leave the status alone: labels %v, -want +got\n%s", mine.Labels, diff)
	}
}
