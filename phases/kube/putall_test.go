package kube_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hactl/hactl/phases/kube"
	"github.com/hactl/hactl/phases/wait"
)

// starting is an API server whose writes meet an error until it is up.
type starting struct {
	kube.API
	put   func(kube.Object) error
	ready string // the body of /readyz?verbose
	slow  time.Duration
	puts  atomic.Int32
}

func (s *starting) Put(ctx context.Context, obj kube.Object) error {
	s.puts.Add(1)
	select {
	case <-time.After(s.slow):
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := s.put(obj); err != nil {
		return err
	}
	return s.API.Put(ctx, obj)
}

func (s *starting) Raw(context.Context, string) ([]byte, error) { return []byte(s.ready), nil }

func cm(name string) *corev1.ConfigMap {
	return &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: name},
		Data:       map[string]string{"key": name},
	}
}

var (
	configMaps = schema.GroupResource{Resource: "configmaps"}
	forbidden  = apierrors.NewForbidden(configMaps, "a", errors.New("no role"))
	invalid    = apierrors.NewInvalid(schema.GroupKind{Kind: "ConfigMap"}, "a", nil)
)

func TestPutAll(t *testing.T) {
	const limit = time.Minute
	for _, tc := range []struct {
		name, reason string
		err          error
		lasts        time.Duration // how long the server answers with err; 0 means for ever
		ready        string
		timeout      bool
		fails        func(error) bool
		within       time.Duration
	}{
		{name: "NoNamespace", reason: "the namespaces are made after the start", err: apierrors.NewNotFound(schema.GroupResource{Resource: "namespaces"}, "kube-system"), lasts: 2 * time.Second, within: 4 * time.Second},
		{name: "Refused", reason: "the server does not listen yet", err: fmt.Errorf("dial: %w", syscall.ECONNREFUSED), lasts: 20 * time.Second, within: 22 * time.Second},
		{name: "Unavailable", reason: "etcd elects a leader", err: apierrors.NewServiceUnavailable("no leader"), lasts: time.Second, within: 3 * time.Second},
		{name: "Conflict", reason: "somebody else wrote at the same time", err: apierrors.NewConflict(configMaps, "a", nil), lasts: time.Millisecond, within: time.Second},
		{name: "TooMany", reason: "the server is busy", err: apierrors.NewTooManyRequests("later", 1), lasts: time.Second, within: 3 * time.Second},
		{name: "ForbiddenAtStart", reason: "the roles are not made yet", err: forbidden, lasts: 20 * time.Second, ready: "[+]ping ok\n[-]poststarthook/rbac/bootstrap-roles failed: not finished\n", within: 22 * time.Second},
		{name: "ForbiddenForAMoment", reason: "the authorizer has not seen the new binding", err: forbidden, lasts: 2 * time.Second, ready: "ok", within: 4 * time.Second},
		{name: "ForbiddenForGood", reason: "the user has no rights: nobody should wait a minute to learn that", err: forbidden, ready: "[+]poststarthook/rbac/bootstrap-roles ok\n", fails: apierrors.IsForbidden, within: 7 * time.Second},
		{name: "Invalid", reason: "trying again does not help", err: invalid, fails: apierrors.IsInvalid, within: time.Millisecond},
		{name: "NotFound", reason: "only a missing namespace will come", err: apierrors.NewNotFound(configMaps, "a"), fails: apierrors.IsNotFound, within: time.Millisecond},
		{name: "NeverUp", reason: "the wait ends with the limit", err: apierrors.NewServiceUnavailable("down"), timeout: true, within: limit},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				api := &starting{API: kube.NewMemory(), ready: tc.ready, put: func(obj kube.Object) error {
					if obj.GetName() == "a" && (tc.lasts == 0 || time.Since(began) < tc.lasts) {
						return tc.err
					}
					return nil
				}}
				err := kube.PutAll(t.Context(), api, limit, cm("a"), cm("b"))
				if took := time.Since(began); took > tc.within {
					t.Errorf("%s: took %s, want at most %s", tc.reason, took, tc.within)
				}
				var timeout *wait.TimeoutError
				switch {
				case tc.timeout:
					if !errors.As(err, &timeout) {
						t.Errorf("%s: got %v, want a *wait.TimeoutError", tc.reason, err)
					}
				case tc.fails != nil:
					if err == nil || !tc.fails(err) {
						t.Errorf("%s: got %v", tc.reason, err)
					}
				case err != nil:
					t.Errorf("%s: %v", tc.reason, err)
				}
				if same, err := kube.MatchAll(t.Context(), api, limit, cm("b")); err != nil || !same {
					t.Errorf("the other object: same %v, error %v", same, err)
				}
			})
		})
	}
}

func TestPutAllAtTheSameTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := &starting{API: kube.NewMemory(), slow: time.Second, put: func(kube.Object) error { return nil }}
		began := time.Now()
		if err := kube.PutAll(t.Context(), api, 0, cm("a"), cm("b"), cm("c")); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took != time.Second {
			t.Errorf("three objects of 1s each took %s", took)
		}
	})
}

func TestPutAllTriesOnlyWhatIsMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tries atomic.Int32
		api := &starting{API: kube.NewMemory(), put: func(obj kube.Object) error {
			if obj.GetName() == "a" && tries.Add(1) < 3 {
				return apierrors.NewServiceUnavailable("later")
			}
			return nil
		}}
		if err := kube.PutAll(t.Context(), api, 0, cm("a"), cm("b"), cm("c")); err != nil {
			t.Fatal(err)
		}
		if got := api.puts.Load(); got != 5 {
			t.Errorf("%d calls, want 5", got)
		}
	})
}

func TestPutAllInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		why := errors.New("interrupted")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(why) })
		api := &starting{API: kube.NewMemory(), slow: time.Hour, put: func(kube.Object) error { return nil }}
		if err := kube.PutAll(ctx, api, time.Minute, cm("a")); !errors.Is(err, why) {
			t.Errorf("got %v, want the cause", err)
		}
	})
}

func TestMatchAll(t *testing.T) {
	api := kube.NewMemory()
	if err := kube.PutAll(t.Context(), api, 0, cm("a"), cm("b")); err != nil {
		t.Fatal(err)
	}
	changed := cm("b")
	changed.Data["key"] = "other"
	for _, tc := range []struct {
		name, reason string
		objs         []kube.Object
		want         bool
	}{
		{"None", "nothing is wanted", nil, true},
		{"Same", "both are there", []kube.Object{cm("a"), cm("b")}, true},
		{"Missing", "one is not there", []kube.Object{cm("a"), cm("c")}, false},
		{"Changed", "one has other content", []kube.Object{cm("a"), changed}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := kube.MatchAll(t.Context(), api, 0, tc.objs...)
			if err != nil || got != tc.want {
				t.Errorf("%s: got %v, %v; want %v", tc.reason, got, err, tc.want)
			}
		})
	}
}

func TestReplace(t *testing.T) {
	api := kube.NewMemory()
	for _, data := range []map[string]string{{"old": "1", "both": "1"}, {"both": "2"}} {
		obj := cm("a")
		obj.Data = data
		if err := kube.Replace(t.Context(), api, 0, obj); err != nil {
			t.Fatal(err)
		}
		got := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "a"}}
		if err := api.Get(t.Context(), got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(data, got.Data); diff != "" {
			t.Errorf("content after Replace (-want +got):\n%s", diff)
		}
	}
}
