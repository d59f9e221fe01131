package preflight

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"os/exec"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/cri"
	"github.com/hactl/hactl/phases/host"
)

// node is a machine on which an init would go well, and what tests change.
type node struct {
	Task
	host    *host.Memory
	runtime *cri.Memory
	ports   map[string]error // by the address that cannot be had
	t       *testing.T
}

func healthy(t *testing.T) *node {
	n := &node{host: host.NewMemory(), runtime: cri.NewMemory(), ports: map[string]error{}, t: t}
	n.file("/proc/self/status", "Name:\thactl\nUid:\t1000\t0\t0\t0\nCpus_allowed_list:\t0-1\n")
	n.file("/proc/meminfo", "MemTotal:        4014128 kB\nMemFree:          183152 kB\n")
	n.file("/proc/swaps", "Filename\tType\tSize\tUsed\tPriority\n")
	n.file("/proc/sys/net/ipv4/ip_forward", "1\n")
	for _, tool := range []string{"losetup", "mount", "cp"} {
		n.program("/usr/bin/" + tool)
	}
	n.kubelet("Kubernetes v1.37.1\n", nil)
	n.host.SetService("kubelet.service", host.ServiceStatus{Exists: true, Enabled: true})
	n.Task = Task{
		Host: n.host, Runtime: n.runtime,
		NodeName: "cp-1", AdvertiseAddress: netip.MustParseAddr("10.0.0.11"), BindPort: 6443,
		EndpointHost: "lb.example", KubernetesVersion: "v1.37.1", Newest: "v1.37.1",
		Subnets:   []netip.Prefix{netip.MustParsePrefix("10.96.0.0/12")},
		Manifests: "/etc/kubernetes/manifests", EtcdDataDir: "/var/lib/etcd",
		Resolve: func(context.Context, string) ([]netip.Addr, error) {
			return []netip.Addr{netip.MustParseAddr("10.0.0.5")}, nil
		},
		Interfaces: func() ([]netip.Prefix, error) {
			return []netip.Prefix{netip.MustParsePrefix("127.0.0.1/8"), netip.MustParsePrefix("10.0.0.11/24"), netip.MustParsePrefix("fe80::1/64")}, nil
		},
		Listen: func(address string) error { return n.ports[address] },
		Verify: func(context.Context, string) (warnings, problems []error) { return nil, nil },
		Proxy:  func(*http.Request) (*url.URL, error) { return nil, nil },
		Now:    func() time.Time { return time.Date(2026, time.November, 21, 0, 0, 0, 0, time.UTC) },
		Path:   []string{"", "relative", "/usr/sbin", "/usr/bin"},
	}
	return n
}

func (n *node) file(path, content string) {
	n.t.Helper()
	if err := n.host.WriteFile(n.t.Context(), path, []byte(content), 0o644); err != nil {
		n.t.Fatal(err)
	}
}

func (n *node) program(path string) {
	n.t.Helper()
	if err := n.host.WriteFile(n.t.Context(), path, nil, 0o755); err != nil {
		n.t.Fatal(err)
	}
}

func (n *node) kubelet(out string, err error) {
	n.host.Handle("kubelet", func([]string) ([]byte, error) { return []byte(out), err })
}

// listens makes a process hold the port, as ss tells it.
func (n *node) listens(address, process string) {
	n.ports[address] = &syscallError{syscall.EADDRINUSE}
	n.host.Handle("ss", func([]string) ([]byte, error) {
		return []byte(`LISTEN 0 4096 *:6443 *:* users:(("` + process + `",pid=123,fd=7),("` + process + `",pid=123,fd=8))` + "\n"), nil
	})
}

type syscallError struct{ syscall.Errno }

func (e *syscallError) Error() string { return "listen tcp: bind: " + e.Errno.Error() }
func (e *syscallError) Unwrap() error { return e.Errno }

// resumed makes it the second run of an init.
func (n *node) resumed() {
	n.AlreadyInitialised = func(context.Context) (bool, error) { return true, nil }
}

// run runs the phase and returns its report, nil if all is well, and what it
// warned of and reported.
func (n *node) run() (report *Report, warnings, progress []string) {
	n.t.Helper()
	notify := func(e phases.Event) {
		switch e.Kind {
		case phases.Warning:
			warnings = append(warnings, e.Reason)
		case phases.Progress:
			progress = append(progress, e.Reason)
		}
	}
	err := phases.Run(n.t.Context(), []phases.Phase[Task]{InitPhase()}, &n.Task, phases.Options{Notify: notify})
	if err != nil && !errors.As(err, &report) {
		n.t.Fatalf("the phase returned %v, want a *Report", err)
	}
	return report, warnings, progress
}

// failed names what failed, in order.
func failed(r *Report) []string {
	if r == nil {
		return nil
	}
	var names []string
	for _, f := range r.Failures {
		names = append(names, f.Check)
	}
	return names
}

func TestHealthyMachine(t *testing.T) {
	n := healthy(t)
	n.Images = []string{"registry.k8s.io/pause:3.10.2"}
	r, warnings, _ := n.run()
	if r != nil || warnings != nil {
		t.Errorf("a healthy machine: %v, warnings %q, want neither", r, warnings)
	}
	if found, err := n.runtime.ImageExists(t.Context(), n.Images[0]); !found || err != nil {
		t.Errorf("the image was not pulled: %v", err)
	}
}

func TestReport(t *testing.T) {
	n := healthy(t)
	n.file("/proc/swaps", "Filename Type Size\n/dev/sda2 partition 1\n")
	n.host.Handle("kubelet", func(argv []string) ([]byte, error) { return nil, &exec.Error{Name: argv[0], Err: exec.ErrNotFound} })
	n.Images = []string{"registry.k8s.io/pause:3.10.2"}
	broken := errors.New("the CA is of another cluster")
	n.Extra = []Check{{"CertificateDir", func(context.Context) ([]string, error) {
		return []string{"a certificate ends soon"}, errors.Join(broken, fault("half a pair: ca.key is missing", nil, "copy it"))
	}}}
	r, warnings, _ := n.run()
	if diff := cmp.Diff([]string{"Swap", "KubeletVersion", "CertificateDir", "CertificateDir"}, failed(r)); diff != "" {
		t.Fatalf("everything is in one report, in order: -want +got:\n%s", diff)
	}
	if diff := cmp.Diff([]string{"CertificateDir: a certificate ends soon"}, warnings); diff != "" {
		t.Errorf("warnings: -want +got:\n%s", diff)
	}
	if r.Code() != phases.CodePreflight {
		t.Errorf("the code is %d, want %d", r.Code(), phases.CodePreflight)
	}
	if !errors.Is(r, broken) || !errors.Is(r, exec.ErrNotFound) {
		t.Error("the causes cannot be told by errors.Is")
	}
	var one *phases.Fault
	if errors.As(r, &one) {
		t.Errorf("a fault is found in the report: %v, which would stand for all of it", one)
	}
	if want := "--ignore-preflight-errors=Swap"; r.IgnoreFlag() != want {
		t.Errorf("IgnoreFlag() = %q, want %q", r.IgnoreFlag(), want)
	}
	if (&Report{Failures: r.Failures[1:]}).IgnoreFlag() != "" {
		t.Error("a flag is advised that helps nobody")
	}
	if !slices.Contains(r.Fix(), "CertificateDir: copy it") {
		t.Errorf("Fix() = %q, want the check before each fix", r.Fix())
	}
	if found, _ := n.runtime.ImageExists(t.Context(), n.Images[0]); found {
		t.Error("an image was pulled to a machine with failures, want nothing changed")
	}
}

func TestNotRootIsNotBlamedTwice(t *testing.T) {
	n := healthy(t)
	n.file("/proc/self/status", "Uid:\t1000\t1000\t1000\t1000\nCpus_allowed_list:\t0-1\n")
	n.runtime.Break(&cri.SocketError{Socket: cri.DefaultSocket, Reason: cri.ErrDenied})
	r, _, _ := n.run()
	if diff := cmp.Diff([]string{"IsPrivilegedUser"}, failed(r)); diff != "" {
		t.Errorf("only the cause is told: -want +got:\n%s", diff)
	}
}

func TestIgnore(t *testing.T) {
	for _, tt := range []struct {
		reason   string
		ignore   []string
		failed   []string
		warnings []string
	}{
		{"nothing ignored", nil, []string{"NumCPU", "Mem"}, nil},
		{"in any case of letters", []string{" numcpu "}, []string{"Mem"}, []string{"ignored: NumCPU: too few processors: 1: a control-plane node needs 2 or more"}},
		{
			"all of them", []string{"ALL"}, nil,
			[]string{
				"ignored: NumCPU: too few processors: 1: a control-plane node needs 2 or more",
				"ignored: Mem: too little memory: 0 MB: a control-plane node needs 1700 MB or more",
			},
		},
		{
			"a mistyped name is told, with the right one", []string{"NumCPUs", "Nothing-like-it"}, []string{"NumCPU", "Mem"},
			[]string{
				`there is no preflight check "numcpus" to ignore; did you mean NumCPU?`,
				`there is no preflight check "nothing-like-it" to ignore`,
			},
		},
		{
			"a name of kubeadm's that an init does not have is no mistake",
			[]string{"FileAvailable--etc-kubernetes-kubelet.conf"}, []string{"NumCPU", "Mem"}, nil,
		},
	} {
		n := healthy(t)
		n.file("/proc/self/status", "Uid:\t0\t0\t0\t0\nCpus_allowed_list:\t3\n")
		n.file("/proc/meminfo", "MemTotal: 100 kB\n")
		n.Ignore = tt.ignore
		r, warnings, _ := n.run()
		if diff := cmp.Diff(tt.failed, failed(r)); diff != "" {
			t.Errorf("%s: -want +got:\n%s", tt.reason, diff)
		}
		if diff := cmp.Diff(tt.warnings, warnings); diff != "" {
			t.Errorf("%s: warnings -want +got:\n%s", tt.reason, diff)
		}
	}
}

func TestAllStandsAlone(t *testing.T) {
	_, err := newIgnore([]string{"all", "Swap"})
	var f *phases.Fault
	if !errors.As(err, &f) || f.Code() != phases.CodeUsage {
		t.Errorf("newIgnore(all, Swap) = %v, want a usage error", err)
	}
}

func TestInterrupted(t *testing.T) {
	n := healthy(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("the user interrupted")
	n.Resolve = func(ctx context.Context, _ string) ([]netip.Addr, error) {
		cancel(why)
		<-ctx.Done()
		return nil, ctx.Err()
	}
	if err := InitPhase().Apply(ctx, &n.Task); !errors.Is(err, why) {
		t.Errorf("an interrupted preflight returned %v, want %v", err, why)
	}
}
