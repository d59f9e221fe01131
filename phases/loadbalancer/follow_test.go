package loadbalancer_test

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/kube"
	"github.com/hactl/hactl/phases/loadbalancer"
	lbfiles "github.com/hactl/hactl/templates/loadbalancer"
)

// endpoints make the cluster name API servers at these addresses.
func endpoints(t *testing.T, api *kube.Memory, addresses ...string) {
	t.Helper()
	name, port := "https", int32(6443)
	s := &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "kubernetes"}, AddressType: discoveryv1.AddressTypeIPv4,
		Ports: []discoveryv1.EndpointPort{{Name: &name, Port: &port}},
	}
	for _, a := range addresses {
		s.Endpoints = append(s.Endpoints, discoveryv1.Endpoint{Addresses: []string{a}})
	}
	if err := api.Set(s); err != nil {
		t.Fatal(err)
	}
}

func TestServers(t *testing.T) {
	known := []lbfiles.Server{server(t, "cp-1=10.0.0.11:6443"), server(t, "cp-2=10.0.0.12:6443")}
	cases := map[string]struct {
		reason string
		set    func(*testing.T, *kube.Memory)
		want   []string
		err    error
	}{
		"Known":    {"names by address", func(t *testing.T, m *kube.Memory) { endpoints(t, m, "10.0.0.12", "10.0.0.11") }, []string{"cp-1=10.0.0.11:6443", "cp-2=10.0.0.12:6443"}, nil},
		"New":      {"one of which only the address is known", func(t *testing.T, m *kube.Memory) { endpoints(t, m, "10.0.0.11", "10.0.0.14") }, []string{"cp-1=10.0.0.11:6443", "cp-10-0-0-14=10.0.0.14:6443"}, nil},
		"Empty":    {"nobody is never the answer", func(t *testing.T, m *kube.Memory) { endpoints(t, m) }, nil, loadbalancer.ErrNoServers},
		"NotReady": {"one that says that it is not", func(t *testing.T, m *kube.Memory) { notReady(t, m) }, []string{"cp-1=10.0.0.11:6443"}, nil},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			api := kube.NewMemory()
			c.set(t, api)
			list, err := loadbalancer.Servers(t.Context(), api, known)
			if !errors.Is(err, c.err) {
				t.Fatalf("%s: %v", c.reason, err)
			}
			if diff := cmp.Diff(c.want, words(list)); diff != "" {
				t.Errorf("%s: -want +got\n%s", c.reason, diff)
			}
		})
	}
}

func notReady(t *testing.T, api *kube.Memory) {
	endpoints(t, api, "10.0.0.11", "10.0.0.12")
	s := &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "kubernetes"}}
	if err := api.Get(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	no := false
	s.Endpoints[1].Conditions.Ready = &no
	if err := api.Set(s); err != nil {
		t.Fatal(err)
	}
}

func words(list []lbfiles.Server) (all []string) {
	for _, s := range list {
		all = append(all, s.String())
	}
	return all
}

func TestNames(t *testing.T) {
	api := kube.NewMemory()
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
		Namespace: "kube-system", Name: "kube-apiserver-cp-1", Labels: map[string]string{"component": "kube-apiserver"},
		Annotations: map[string]string{"kubeadm.kubernetes.io/kube-apiserver.advertise-address.endpoint": "10.0.0.11:6443"},
	}, Spec: corev1.PodSpec{NodeName: "cp-1"}}
	if err := api.Set(pod); err != nil {
		t.Fatal(err)
	}
	if got := words(loadbalancer.Names(t.Context(), api)); !slices.Equal(got, []string{"cp-1=10.0.0.11:6443"}) {
		t.Errorf("got %v", got)
	}
}

// follower is a balancer whose list is kept right.
type follower struct {
	*loadbalancer.Follower
	api    *kube.Memory // behind the address of the kubeconfig
	direct *kube.Memory // the API server itself

	mu      sync.Mutex // what follows is read while the follower runs
	list    []lbfiles.Server
	applied [][]string
	told    []string
	fails   error
}

// locked calls read with what the follower did so far.
func (f *follower) locked(read func()) {
	synctest.Wait()
	f.mu.Lock()
	defer f.mu.Unlock()
	read()
}

func newFollower(t *testing.T) *follower {
	f := &follower{api: kube.NewMemory(), direct: kube.NewMemory(), list: []lbfiles.Server{server(t, "cp-1=10.0.0.11:6443")}}
	f.Follower = &loadbalancer.Follower{
		APIs: func([]lbfiles.Server) []kube.API { return []kube.API{f.api, f.direct} },
		Current: func(context.Context) ([]lbfiles.Server, error) {
			f.mu.Lock()
			defer f.mu.Unlock()
			return f.list, nil
		},
		Apply: func(_ context.Context, list []lbfiles.Server) error {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.applied = append(f.applied, words(list))
			if f.fails == nil {
				f.list = list
			}
			return f.fails
		},
		Tick: 30 * time.Second,
		Tell: func(_ phases.Kind, text string) {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.told = append(f.told, text)
		},
	}
	return f
}

// down makes the API unreachable, or reachable again.
func down(api *kube.Memory, is bool) {
	api.Intercept(func(kube.Verb, runtime.Object) error {
		if is {
			return &url.Error{Op: "Get", URL: "https://lb:6443", Err: syscall.ECONNREFUSED}
		}
		return nil
	})
}

func TestFollow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFollower(t)
		endpoints(t, f.api, "10.0.0.11")
		endpoints(t, f.direct, "10.0.0.11", "10.0.0.13")
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		ended := make(chan error, 1)
		go func() { ended <- f.Run(ctx) }()
		expect := func(reason string, want ...[]string) {
			t.Helper()
			f.locked(func() {
				if diff := cmp.Diff(want, f.applied); diff != "" {
					t.Errorf("%s: -want +got\n%s", reason, diff)
				}
			})
		}
		expect("the list is right already")
		endpoints(t, f.api, "10.0.0.11", "10.0.0.12")
		joined := []string{"cp-1=10.0.0.11:6443", "cp-10-0-0-12=10.0.0.12:6443"}
		expect("one joins, and an event tells", joined)
		endpoints(t, f.api)
		expect("a list without anybody changes nothing", joined)
		down(f.api, true)
		time.Sleep(time.Minute)
		third := []string{"cp-1=10.0.0.11:6443", "cp-10-0-0-13=10.0.0.13:6443"}
		expect("the address does not answer, and an API server does", joined, third)
		down(f.direct, true)
		time.Sleep(10 * time.Minute)
		expect("while nobody answers, the list stays", joined, third)
		down(f.api, false)
		f.locked(func() { f.fails = errors.New("somebody changed the file by hand") })
		endpoints(t, f.api, "10.0.0.11")
		time.Sleep(time.Minute)
		f.locked(func() {
			if n := len(f.applied); n < 4 {
				t.Errorf("a failure is not tried again: %v", f.applied)
			}
			f.fails = nil
		})
		time.Sleep(time.Minute)
		f.locked(func() {
			if got := words(f.list); !slices.Equal(got, []string{"cp-1=10.0.0.11:6443"}) {
				t.Errorf("after a failure the list is %v", got)
			}
			if len(f.told) > 20 {
				t.Errorf("%d lines in a quarter of an hour: %q", len(f.told), f.told)
			}
		})
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the end is no failure: %v", err)
		}
	})
}

func TestFollowOnce(t *testing.T) {
	cases := map[string]struct {
		reason  string
		set     func(*testing.T, *follower)
		changed bool
		fails   bool
	}{
		"Same":  {"nothing to do", func(t *testing.T, f *follower) { endpoints(t, f.api, "10.0.0.11") }, false, false},
		"New":   {"a server joined", func(t *testing.T, f *follower) { endpoints(t, f.api, "10.0.0.11", "10.0.0.12") }, true, false},
		"Empty": {"nobody is never the answer", func(t *testing.T, f *follower) { endpoints(t, f.api) }, false, true},
		"None":  {"no cluster answers", func(_ *testing.T, f *follower) { down(f.api, true); down(f.direct, true) }, false, true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			f := newFollower(t)
			c.set(t, f)
			changed, err := f.Once(t.Context())
			if changed != c.changed || (err != nil) != c.fails || len(f.applied) > 0 != c.changed {
				t.Errorf("%s: %v, %v, applied %v", c.reason, changed, err, f.applied)
			}
		})
	}
}
