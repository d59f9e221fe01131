package publish

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/kube"
)

// What upload-config keeps of the load balancer is what a join finds.
func TestFetchLoadBalancer(t *testing.T) {
	task := newTask(t)
	if _, _, err := run(t, task, ConfigPhase()); err != nil {
		t.Fatal(err)
	}
	if got, err := FetchLoadBalancer(t.Context(), task.API, time.Second); got != nil || err != nil {
		t.Errorf("nothing is said: %+v %v", got, err)
	}
	want := &config.LoadBalancer{VirtualIP: netip.MustParseAddr("10.0.0.100"), Bits: 24, Interface: "eth1", RouterID: 7, Unicast: true, Check: "tcp"}
	task.Cluster.LoadBalancer = want
	if _, _, err := run(t, task, ConfigPhase()); err != nil {
		t.Fatal(err)
	}
	got, err := FetchLoadBalancer(t.Context(), task.API, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	task.Cluster.LoadBalancer = nil
	if _, _, err := run(t, task, ConfigPhase()); err != nil {
		t.Fatal(err)
	}
	if got, err := FetchLoadBalancer(t.Context(), task.API, time.Second); got == nil || err != nil {
		t.Errorf("a file that does not say it has taken it away: %v", err)
	}

	var fault *phases.Fault
	if err := kube.Replace(t.Context(), task.API, time.Second, configMap(ownConfigMap, ownKey, []byte("{"))); err != nil {
		t.Fatal(err)
	}
	if got, err := FetchLoadBalancer(t.Context(), task.API, time.Second); !errors.As(err, &fault) {
		t.Errorf("garbage: %+v %v, want a fault", got, err)
	}
}

// Who may not read it finds none: the right comes with the object.
func TestFetchLoadBalancerForbidden(t *testing.T) {
	api := kube.NewMemory()
	api.Intercept(func(kube.Verb, runtime.Object) error {
		return apierrors.NewForbidden(schema.GroupResource{Resource: "configmaps"}, ownConfigMap, nil)
	})
	if got, err := FetchLoadBalancer(t.Context(), api, time.Second); got != nil || err != nil {
		t.Errorf("%+v %v", got, err)
	}
}
