package addons

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hactl/hactl/phases/kube"
)

// put puts the objects. An API server that is left in the middle of making a
// Service may have taken its address and not made it: then the address is
// freed, which the server itself does only after a minute (k8s.io/kubernetes
// v1.37, pkg/registry/core/service/ipallocator/controller).
func (t *Task) put(ctx context.Context, objs []kube.Object) error {
	err := kube.PutAll(ctx, t.API, t.Limit, objs...)
	if !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), "already allocated") {
		return err
	}
	freed := false
	for _, obj := range objs {
		s, ok := obj.(*corev1.Service)
		if !ok {
			continue
		}
		done, freeErr := t.free(ctx, s)
		if freeErr != nil {
			return fmt.Errorf("%w; free its address: %w", err, freeErr)
		}
		freed = freed || done
	}
	if !freed {
		return err
	}
	return kube.PutAll(ctx, t.API, t.Limit, objs...)
}

// free frees the address of a Service that is not there, if it was taken for
// it. It says whether another try may end better.
func (t *Task) free(ctx context.Context, s *corev1.Service) (bool, error) {
	live := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: s.Name}}
	if err := t.API.Get(ctx, live); err == nil {
		return true, nil // it was made meanwhile
	} else if !apierrors.IsNotFound(err) {
		return false, err
	}
	taken := &networkingv1.IPAddress{ObjectMeta: metav1.ObjectMeta{Name: s.Spec.ClusterIP}}
	err := t.API.Get(ctx, taken)
	if apierrors.IsNotFound(err) {
		return true, nil // it is free again
	}
	if err != nil {
		return false, err
	}
	of := taken.Spec.ParentRef
	if of == nil || of.Resource != "services" || of.Namespace != s.Namespace || of.Name != s.Name {
		return false, nil // somebody else's
	}
	if err := t.API.Delete(ctx, taken); err != nil && !apierrors.IsNotFound(err) {
		return false, err
	}
	return true, nil
}
