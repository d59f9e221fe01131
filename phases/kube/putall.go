package kube

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/hactl/hactl/phases/wait"
)

const (
	// limitName is the configuration field that all callers take their
	// limit from.
	limitName = "timeouts.kubernetesAPICall"
	// forbiddenGrace is how long an API server that has made its default
	// roles may still refuse: its authorizer learns of new bindings through
	// a watch.
	forbiddenGrace = 5 * time.Second
	// roleHook is the post-start hook that makes the default roles
	// (k8s.io/kubernetes v1.37, pkg/registry/rbac/rest/storage_rbac.go).
	roleHook = "poststarthook/rbac/bootstrap-roles"
)

// PutAll puts the objects, all at the same time. What a server that is just
// starting answers is tried again until limit is over; then the error is a
// *wait.TimeoutError. Any other error is final and names its object; of
// several, it is the first. A limit of zero means none.
func PutAll(ctx context.Context, api API, limit time.Duration, objs ...Object) error {
	calls := make([]attempt, len(objs))
	for i, obj := range objs {
		calls[i] = attempt{name: title(obj), run: func(ctx context.Context) error { return api.Put(ctx, obj) }}
	}
	return insist(ctx, api, limit, calls)
}

// MatchAll says whether all objects are there with the fields that are set
// (see Matches). All are asked for at the same time, as often as PutAll
// would try.
func MatchAll(ctx context.Context, api API, limit time.Duration, objs ...Object) (bool, error) {
	same := make([]bool, len(objs))
	calls := make([]attempt, len(objs))
	for i, obj := range objs {
		calls[i] = attempt{name: title(obj), run: func(ctx context.Context) (err error) {
			same[i], err = Matches(ctx, api, obj)
			return err
		}}
	}
	if err := insist(ctx, api, limit, calls); err != nil {
		return false, err
	}
	for _, s := range same {
		if !s {
			return false, nil
		}
	}
	return true, nil
}

// Replace puts obj and removes every field that it does not set, so that
// nothing of an object with the same name is left. It tries as PutAll does.
func Replace(ctx context.Context, api API, limit time.Duration, obj Object) error {
	return Insist(ctx, api, limit, title(obj), func(ctx context.Context) error {
		live, ok := obj.DeepCopyObject().(Object)
		if !ok {
			return fmt.Errorf("%T cannot be copied", obj)
		}
		err := api.Get(ctx, live)
		if apierrors.IsNotFound(err) {
			return api.Put(ctx, obj)
		}
		if err != nil {
			return err
		}
		obj.SetUID(live.GetUID())
		obj.SetResourceVersion(live.GetResourceVersion())
		return api.Update(ctx, obj)
	})
}

// Insist makes a call, and makes it again for as long as PutAll would. The
// name says in errors what the call is for ("Secret kube-system/x").
func Insist(ctx context.Context, api API, limit time.Duration, name string, run func(context.Context) error) error {
	return insist(ctx, api, limit, []attempt{{name: name, run: run}})
}

type attempt struct {
	name string
	run  func(context.Context) error
	err  error // of the last try
}

// insist makes the calls, and those that may succeed later again.
func insist(ctx context.Context, api API, limit time.Duration, calls []attempt) error {
	if len(calls) == 0 {
		return nil
	}
	began := time.Now()
	return wait.For(ctx, limit, wait.Condition{
		What:      "the API server answers for " + names(calls),
		LimitName: limitName,
		Check: func(ctx context.Context) (bool, string, error) {
			all(ctx, calls)
			var pending, final []attempt
			for _, c := range calls {
				switch {
				case c.err == nil:
				case transient(ctx, api, c.err, time.Since(began)):
					pending = append(pending, c)
				default:
					final = append(final, c)
				}
			}
			calls = pending
			if len(final) > 0 {
				return false, "", fmt.Errorf("%s: %w", names(final), final[0].err)
			}
			if len(pending) > 0 {
				return false, pending[0].err.Error(), nil
			}
			return true, "", nil
		},
	})
}

// all makes the calls at the same time and waits for them.
func all(ctx context.Context, calls []attempt) {
	var group sync.WaitGroup
	for i := range calls {
		group.Go(func() { calls[i].err = calls[i].run(ctx) })
	}
	group.Wait()
}

// transient says whether the same call may succeed in a moment. A server
// that is just starting has no namespaces yet, and its roles are not made.
func transient(ctx context.Context, api API, err error, elapsed time.Duration) bool {
	switch {
	case Unreachable(err),
		apierrors.IsConflict(err),
		apierrors.IsTooManyRequests(err),
		apierrors.IsServerTimeout(err),
		apierrors.IsTimeout(err),
		apierrors.IsServiceUnavailable(err),
		apierrors.IsInternalError(err):
		return true
	case apierrors.IsForbidden(err):
		return elapsed < forbiddenGrace || rolesPending(ctx, api)
	case apierrors.IsNotFound(err):
		var status apierrors.APIStatus
		return errors.As(err, &status) && status.Status().Details != nil && status.Status().Details.Kind == "namespaces"
	}
	return false
}

// rolesPending says whether the server is still making its default roles.
// Every user may ask for its readiness.
func rolesPending(ctx context.Context, api API) bool {
	report, err := api.Raw(ctx, "/readyz?verbose")
	return err != nil || strings.Contains(string(report), "[-]"+roleHook)
}

func names(calls []attempt) string {
	if len(calls) == 1 {
		return calls[0].name
	}
	return fmt.Sprintf("%s and %d more", calls[0].name, len(calls)-1)
}

// title names an object for people: "ConfigMap kube-system/coredns".
func title(obj Object) string {
	kind := fmt.Sprintf("%T", obj)
	kind = kind[strings.LastIndex(kind, ".")+1:]
	if obj.GetNamespace() == "" {
		return kind + " " + obj.GetName()
	}
	return kind + " " + obj.GetNamespace() + "/" + obj.GetName()
}
