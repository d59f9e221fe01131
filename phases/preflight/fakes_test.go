package preflight

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/hactl/hactl/phases/host"
)

// without is a machine that lacks a program.
type without struct {
	host.Host
	program string
}

func (w without) Probe(ctx context.Context, argv ...string) ([]byte, error) {
	if argv[0] == w.program {
		return nil, &exec.Error{Name: argv[0], Err: exec.ErrNotFound}
	}
	return w.Host.Probe(ctx, argv...)
}

// noUnit is a machine whose service manager knows no unit.
type noUnit struct{ host.Host }

func (n noUnit) Services() host.Services { return noServices{n.Host.Services()} }

type noServices struct{ host.Services }

func (noServices) Status(context.Context, string) (host.ServiceStatus, error) {
	return host.ServiceStatus{}, nil
}

// A name server that does not answer holds nobody up for longer than the
// limit, and is told apart from a name that does not exist.
func TestEndpointHasALimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		task := Task{EndpointHost: "lb.example", Resolve: func(ctx context.Context, _ string) ([]netip.Addr, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}}
		_, err := task.endpointResolves(t.Context())
		if err == nil || !strings.Contains(err.Error(), resolveLimit.String()) {
			t.Errorf("endpointResolves() = %v, want that nobody answered in %s", err, resolveLimit)
		}
	})
}

func TestPull(t *testing.T) {
	const have, lack, more = "registry.k8s.io/etcd:3.7.0-0", "registry.k8s.io/pause:3.10.2", "registry.k8s.io/coredns/coredns:v1.14.6"
	for _, tt := range []struct {
		reason string
		change func(*node)
		pulled []string
		warned int
	}{
		{"what is missing", func(*node) {}, []string{lack, more}, 0},
		{"one after the other", func(n *node) { n.PullSerial = true }, []string{lack, more}, 0},
		{"everything", func(n *node) { n.PullPolicy = "Always" }, []string{have, lack, more}, 0},
		{"nothing, by the policy", func(n *node) { n.PullPolicy = "Never" }, nil, 1},
		{"nothing, in a dry run", func(n *node) { n.DryRun = true }, nil, 0},
		{"nothing, with a runtime that is ignored and images that are not to be pulled", func(n *node) {
			n.PullPolicy, n.Ignore = "Never", []string{"CRI"}
			n.runtime.Break(errors.New("gone"))
		}, nil, 1},
	} {
		n := healthy(t)
		n.Images = []string{have, lack, more}
		n.runtime.SetImages(have)
		got := make(chan string, 10)
		n.runtime.OnPull(func(_ context.Context, image string) error { got <- image; return nil })
		tt.change(n)
		r, warnings, _ := n.run()
		if r != nil || len(warnings) != tt.warned {
			t.Errorf("%s: %v, warnings %q, want no failure and %d warnings", tt.reason, r, warnings, tt.warned)
		}
		close(got)
		pulled := slices.Sorted(values(got))
		slices.Sort(tt.pulled)
		if diff := cmp.Diff(tt.pulled, pulled); diff != "" {
			t.Errorf("%s: pulled -want +got:\n%s", tt.reason, diff)
		}
	}
}

func values(c <-chan string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for v := range c {
			if !yield(v) {
				return
			}
		}
	}
}

// All pulls run at the same time: each waits here for all others.
func TestPullsAtTheSameTime(t *testing.T) {
	n := healthy(t)
	for i := range 7 {
		n.Images = append(n.Images, fmt.Sprintf("registry.k8s.io/image-%d", i))
	}
	var waiting atomic.Int32
	all := make(chan struct{})
	n.runtime.OnPull(func(ctx context.Context, _ string) error {
		if waiting.Add(1) == int32(len(n.Images)) {
			close(all)
		}
		select {
		case <-all:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	r, _, progress := n.run()
	if r != nil {
		t.Fatal(r)
	}
	if want := len(n.Images) + 1; len(progress) != want || !strings.Contains(progress[want-1], "7 of 7") {
		t.Errorf("progress is %q, want a line at the start and one for each image", progress)
	}
}

func TestPullTriesAgain(t *testing.T) {
	n := healthy(t)
	n.Images = []string{"registry.k8s.io/pause:3.10.2"}
	var tries atomic.Int32
	n.runtime.OnPull(func(context.Context, string) error {
		if tries.Add(1) == 1 {
			return errors.New("connection reset")
		}
		return nil
	})
	if r, _, _ := n.run(); r != nil {
		t.Errorf("a registry that drops one connection: %v, want the image", r)
	}
}

func TestCountList(t *testing.T) {
	for _, tt := range []struct {
		reason, list string
		want         int
		fails        bool
	}{
		{"one", "3", 1, false},
		{"a range and one", "0-3,8", 5, false},
		{"nothing", "", 0, true},
		{"no list", "a-b", 0, true},
		{"half a range", "1-", 0, true},
	} {
		got, err := countList(tt.list)
		if got != tt.want || (err != nil) != tt.fails {
			t.Errorf("countList(%q) = %d, %v, want %d, an error %v: %s", tt.list, got, err, tt.want, tt.fails, tt.reason)
		}
	}
}

// The cgroup version only matters where the kubelet is not told to live with
// it, and where there is a kubelet.
func TestVerifyIsToldTheKubelet(t *testing.T) {
	for _, tt := range []struct {
		reason  string
		allowed bool
		want    string
	}{
		{"the kubelet refuses cgroup v1 by its version", false, "1.37.1"},
		{"the kubelet is told to live with it", true, ""},
	} {
		n := healthy(t)
		n.CgroupV1Allowed = tt.allowed
		got := "not called"
		n.Verify = func(_ context.Context, kubelet string) ([]error, []error) { got = kubelet; return nil, nil }
		if n.run(); got != tt.want {
			t.Errorf("Verify was told %q, want %q: %s", got, tt.want, tt.reason)
		}
	}
}

// The checks ask the real machine without trouble; what it answers differs.
func TestRealMachine(t *testing.T) {
	n := healthy(t)
	task := Task{Host: n.host, Runtime: n.runtime}
	real := task.withDefaults()
	if have, err := real.Interfaces(); err != nil || !slices.ContainsFunc(have, func(p netip.Prefix) bool { return p.Addr().IsLoopback() }) {
		t.Errorf("Interfaces() = %v, %v, want a loopback address", have, err)
	}
	if err := real.Listen("127.0.0.1:0"); err != nil {
		t.Errorf("Listen() on any free port: %v", err)
	}
	if len(real.Path) == 0 || real.Now().IsZero() {
		t.Error("no PATH or no clock")
	}
	real.Verify(t.Context(), "1.34.0")
}
