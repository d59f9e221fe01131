package addons

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/kube"
)

// An init that was killed while the API server made the Service of CoreDNS
// can leave its address taken and no Service.
func TestTakenAddress(t *testing.T) {
	cases := map[string]struct {
		reason string
		taken  *networkingv1.ParentReference // nil: nobody has it
		fails  bool
	}{
		"Ours":    {"it was taken for the Service that is to be made", &networkingv1.ParentReference{Resource: "services", Namespace: "kube-system", Name: "kube-dns"}, false},
		"Foreign": {"another Service has it: that is for a person", &networkingv1.ParentReference{Resource: "services", Namespace: "default", Name: "mine"}, true},
		"Free":    {"nobody has it", nil, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			api := kube.NewMemory()
			address := &networkingv1.IPAddress{ObjectMeta: metav1.ObjectMeta{Name: "10.96.0.10"}, Spec: networkingv1.IPAddressSpec{ParentRef: c.taken}}
			if c.taken != nil {
				if err := api.Set(address); err != nil {
					t.Fatal(err)
				}
			}
			api.Intercept(func(v kube.Verb, obj runtime.Object) error {
				_, isService := obj.(*corev1.Service)
				if !isService || v != kube.Put {
					return nil
				}
				live := &networkingv1.IPAddress{ObjectMeta: metav1.ObjectMeta{Name: "10.96.0.10"}}
				if api.Get(t.Context(), live) != nil {
					return nil
				}
				return apierrors.NewInvalid(schema.GroupKind{Kind: "Service"}, "kube-dns", field.ErrorList{
					field.Invalid(field.NewPath("spec", "clusterIPs"), "10.96.0.10", "failed to allocate IP 10.96.0.10: provided IP is already allocated"),
				})
			})
			task, _ := newTask()
			task.API = api
			err := phases.Run(t.Context(), []phases.Phase[Task]{Phase()}, task, phases.Options{Only: []string{"addon/coredns"}})
			if (err != nil) != c.fails {
				t.Errorf("%s: %v, want an error: %v", c.reason, err, c.fails)
			}
		})
	}
}
