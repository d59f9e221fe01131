package preflight

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hactl/hactl/config/goldentest"
	"github.com/hactl/hactl/phases/cri"
	"github.com/hactl/hactl/phases/host"
)

type scenario struct {
	reason string
	change func(*node)
	failed []string // the checks
	warned []string // the checks
}

// Each failure alone, with its words in testdata/failures.golden.
func TestChecks(t *testing.T) {
	var words strings.Builder
	for _, list := range [][]scenario{machineScenarios(), runtimeScenarios(), kubeletScenarios(), portScenarios(), fileScenarios(), networkScenarios()} {
		for _, tt := range list {
			n := healthy(t)
			tt.change(n)
			r, warnings, _ := n.run()
			if diff := cmp.Diff(tt.failed, failed(r)); diff != "" {
				t.Errorf("%s: failures -want +got:\n%s", tt.reason, diff)
			}
			var warned []string
			fmt.Fprintf(&words, "# %s\n", tt.reason)
			for _, w := range warnings {
				check, _, _ := strings.Cut(w, ":")
				warned = append(warned, check)
				fmt.Fprintf(&words, "warning: %s\n", w)
			}
			if diff := cmp.Diff(tt.warned, warned); diff != "" {
				t.Errorf("%s: warnings -want +got:\n%s", tt.reason, diff)
			}
			if r != nil {
				fmt.Fprintf(&words, "error: %s\n", r.Error())
				for _, fix := range r.Fix() {
					fmt.Fprintf(&words, "  fix: %s\n", fix)
				}
			}
			words.WriteString("\n")
		}
	}
	goldentest.Check(t, "failures.golden", words.String())
}

func machineScenarios() []scenario {
	const oneCPU = "Uid:\t0\t0\t0\t0\nCpus_allowed_list:\t0\n"
	swap := func(n *node) {
		n.file("/proc/swaps", "Filename Type Size Used Priority\n/dev/sda2 partition 1 0 -2\n/swap file 1 0 -3\n")
	}
	return []scenario{
		{"not root", func(n *node) { n.file("/proc/self/status", "Uid:\t0\t1000\t0\t0\nCpus_allowed_list:\t0-3,8\n") }, []string{"IsPrivilegedUser"}, nil},
		{"one processor", func(n *node) { n.file("/proc/self/status", oneCPU) }, []string{"NumCPU"}, nil},
		{"little memory", func(n *node) { n.file("/proc/meminfo", "MemTotal: 1000000 kB\n") }, []string{"Mem"}, nil},
		{"swap on", swap, []string{"Swap"}, nil},
		{"swap on, and the kubelet told to live with it", func(n *node) { swap(n); n.SwapAllowed = true }, nil, []string{"Swap"}},
		{"a kernel without swap", func(n *node) { n.remove("/proc/swaps") }, nil, nil},
		{"a program missing", func(n *node) { n.remove("/usr/bin/losetup") }, []string{"FileExisting-losetup"}, nil},
		{"a program that cannot be run", func(n *node) { n.remove("/usr/bin/cp"); n.file("/usr/bin/cp", "") }, []string{"FileExisting-cp"}, nil},
		{"a program that the caller needs missing", func(n *node) { n.Tools = []string{"keepalived"} }, []string{"FileExisting-keepalived"}, nil},
		{"no forwarding", func(n *node) { n.file("/proc/sys/net/ipv4/ip_forward", "0\n") }, []string{"FileContent--proc-sys-net-ipv4-ip_forward"}, nil},
		{
			"IPv6 Pods on a kernel without IPv6",
			func(n *node) { n.Subnets = append(n.Subnets, netip.MustParsePrefix("fd00::/108")) },
			[]string{"FileContent--proc-sys-net-ipv6-conf-default-forwarding"}, nil,
		},
		{"a clock in the past", func(n *node) { n.Now = func() time.Time { return time.Unix(0, 0) } }, []string{"ClockSane"}, nil},
	}
}

func runtimeScenarios() []scenario {
	socket := func(reason error) func(*node) {
		return func(n *node) { n.runtime.Break(&cri.SocketError{Socket: cri.DefaultSocket, Reason: reason}) }
	}
	return []scenario{
		{"no container runtime", socket(cri.ErrNoSocket), []string{"CRI"}, nil},
		{"a container runtime that ended", socket(cri.ErrRefused), []string{"CRI"}, nil},
		{"a container runtime that hangs", socket(cri.ErrNoAnswer), []string{"CRI"}, nil},
		{"a containerd with CRI off", socket(cri.ErrNoCRI), []string{"CRI"}, nil},
		{
			"a container runtime that is not ready",
			func(n *node) {
				n.runtime.SetStatus(cri.Status{Runtime: cri.Condition{Reason: "Starting", Message: "runc is missing"}, CgroupDriver: "systemd"})
			},
			[]string{"CRI"}, nil,
		},
		{
			"no pod network yet, and a runtime that does not tell its cgroup driver",
			func(n *node) { n.runtime.SetStatus(cri.Status{Runtime: cri.Condition{Met: true}}) },
			nil, []string{"ContainerRuntimeVersion"},
		},
		{
			"an image that nobody has",
			func(n *node) {
				n.Images = []string{"registry.k8s.io/pause:3.10.2", "registry.example/kube-apiserver:v1.37.1"}
				n.runtime.OnPull(func(_ context.Context, image string) error {
					if strings.HasPrefix(image, "registry.example") {
						return errors.New("not found")
					}
					return nil
				})
			},
			[]string{"ImagePull"}, nil,
		},
	}
}

func kubeletScenarios() []scenario {
	verify := func(warnings, problems []error) func(*node) {
		return func(n *node) {
			n.Verify = func(context.Context, string) ([]error, []error) { return warnings, problems }
		}
	}
	v1 := errors.New("cgroups v1 support is deprecated and will be removed in a future release. Please migrate")
	return []scenario{
		{"no kubelet", func(n *node) { n.Host = without{n.host, "kubelet"} }, []string{"KubeletVersion"}, nil},
		{"a kubelet that crashes", func(n *node) { n.kubelet("", &host.ExitError{Argv0: "kubelet", Code: 139}) }, []string{"KubeletVersion"}, nil},
		{"a kubelet of another kind", func(n *node) { n.kubelet("hello\n", nil) }, []string{"KubeletVersion"}, nil},
		{"a kubelet four minor versions old", func(n *node) { n.kubelet("Kubernetes v1.33.9\n", nil) }, []string{"KubeletVersion"}, nil},
		{"a kubelet three minor versions old", func(n *node) { n.kubelet("Kubernetes v1.34.0\n", nil) }, nil, nil},
		{"a kubelet newer than the control plane", func(n *node) { n.kubelet("Kubernetes v1.38.0-alpha.1\n", nil) }, []string{"KubeletVersion"}, nil},
		{"a Kubernetes newer than hactl", func(n *node) { n.KubernetesVersion = "v1.38.0" }, nil, []string{"KubernetesVersion"}},
		{"no kubelet service", func(n *node) { n.host.SetService("kubelet.service", host.ServiceStatus{}); n.Host = noUnit{n.host} }, []string{"Service-kubelet"}, nil},
		{"a kubelet that does not start by itself", func(n *node) { n.host.SetService("kubelet.service", host.ServiceStatus{Exists: true}) }, nil, []string{"Service-kubelet"}},
		{"cgroup v1 on a kubelet that refuses it", verify(nil, []error{v1}), []string{"SystemVerification"}, nil},
		{"cgroup v1 allowed", verify([]error{v1}, nil), nil, []string{"SystemVerification"}},
		{"a kernel that does not tell how it was built", verify(nil, []error{errors.New("failed to parse kernel config: no config path")}), nil, []string{"SystemVerification"}},
		{"a kernel without what is needed", verify(nil, []error{errors.New("unexpected kernel config: CONFIG_MEMCG")}), []string{"SystemVerification"}, nil},
	}
}

func portScenarios() []scenario {
	return []scenario{
		{"a foreign process on the API server's port", func(n *node) { n.listens(":6443", "haproxy") }, []string{"Port-6443"}, nil},
		{"an unknown process on a port", func(n *node) { n.ports[":10250"] = syscall.EADDRINUSE }, []string{"Port-10250"}, nil},
		{"an own component on its port, by another init", func(n *node) { n.listens("127.0.0.1:2379", "etcd") }, []string{"Port-2379"}, nil},
		{"an own component on its port, resumed", func(n *node) { n.resumed(); n.listens(":10257", "kube-controller") }, nil, nil},
		{"an unknown process on a port, resumed", func(n *node) { n.resumed(); n.ports[":10257"] = syscall.EADDRINUSE }, nil, nil},
		{"a foreign process on a port, resumed", func(n *node) { n.resumed(); n.listens(":10257", "nc") }, []string{"Port-10257"}, nil},
		{"an address that the machine lacks is not a port's fault", func(n *node) { n.ports["10.0.0.11:2380"] = syscall.EADDRNOTAVAIL }, nil, nil},
		{"a port that may not be used", func(n *node) { n.BindPort = 443; n.ports[":443"] = &syscallError{syscall.EACCES} }, []string{"Port-443"}, nil},
		{"a port on the address that the arguments say", func(n *node) { n.Bind = map[int]string{10259: "127.0.0.1"}; n.ports[":10259"] = syscall.EADDRINUSE }, nil, nil},
		{"etcd's ports where etcd is elsewhere", func(n *node) { n.ExternalEtcd = true; n.ports["10.0.0.11:2380"] = syscall.EADDRINUSE }, nil, nil},
	}
}

func fileScenarios() []scenario {
	const manifest = "/etc/kubernetes/manifests/kube-apiserver.yaml"
	return []scenario{
		{"a manifest of another control plane", func(n *node) { n.file(manifest, "") }, []string{"FileAvailable--etc-kubernetes-manifests-kube-apiserver.yaml"}, nil},
		{"a manifest of this control plane", func(n *node) { n.file(manifest, ""); n.resumed() }, nil, nil},
		{"data of another etcd", func(n *node) { n.file("/var/lib/etcd/member/wal", "") }, []string{"DirAvailable--var-lib-etcd"}, nil},
		{"what is no data of etcd", func(n *node) { n.file("/var/lib/etcd/movies", "") }, []string{"DirAvailable--var-lib-etcd"}, nil},
		{"data of this etcd", func(n *node) { n.file("/var/lib/etcd/member/wal", ""); n.resumed() }, nil, nil},
		{"a fresh file system for etcd", func(n *node) { n.file("/var/lib/etcd/lost+found/.x", "") }, nil, nil},
		{"a file in the place of etcd's directory", func(n *node) { n.file("/var/lib/etcd", "") }, []string{"DirAvailable--var-lib-etcd"}, nil},
		{"data where etcd is elsewhere", func(n *node) { n.file("/var/lib/etcd/member/wal", ""); n.ExternalEtcd = true }, nil, nil},
		{
			"no certificates for an external etcd",
			func(n *node) { n.ExternalEtcd, n.ClientFiles = true, []string{"/etc/kubernetes/pki/etcd/ca.crt"} },
			[]string{"ExternalEtcdClientCertificates"}, nil,
		},
	}
}

func networkScenarios() []scenario {
	resolve := func(bad string, err error) func(*node) {
		return func(n *node) {
			n.Resolve = func(_ context.Context, name string) ([]netip.Addr, error) {
				if name == bad {
					return nil, err
				}
				return []netip.Addr{netip.MustParseAddr("10.0.0.5")}, nil
			}
		}
	}
	return []scenario{
		{"an address that the machine lacks", func(n *node) { n.AdvertiseAddress = netip.MustParseAddr("10.0.0.12") }, []string{"AdvertiseAddress"}, nil},
		{
			"a machine without a network",
			func(n *node) {
				n.Interfaces = func() ([]netip.Prefix, error) { return []netip.Prefix{netip.MustParsePrefix("127.0.0.1/8")}, nil }
			},
			[]string{"AdvertiseAddress"}, nil,
		},
		{"an endpoint that does not resolve", resolve("lb.example", errors.New("no such host")), []string{"ControlPlaneEndpoint"}, nil},
		{"an endpoint without an address", resolve("lb.example", nil), []string{"ControlPlaneEndpoint"}, nil},
		{"an endpoint that is an address", func(n *node) { resolve("[fd00::5]", errors.New("asked"))(n); n.EndpointHost = "[fd00::5]" }, nil, nil},
		{"an own name that does not resolve", resolve("cp-1", errors.New("no such host")), nil, []string{"Hostname"}},
		{"a name that no Node can have", func(n *node) { n.NodeName = "CP_1" }, []string{"Hostname"}, nil},
		{
			"a firewall", func(n *node) {
				n.host.SetService("firewalld.service", host.ServiceStatus{Exists: true, Active: true})
			}, nil, []string{"Firewalld"},
		},
		{
			"a proxy", func(n *node) {
				n.Proxy = func(*http.Request) (*url.URL, error) { return url.Parse("http://user:secret@proxy.example:3128") }
			}, nil, []string{"HTTPProxy", "HTTPProxyCIDR"},
		},
		{
			"a proxy setting that is none", func(n *node) {
				n.Proxy = func(r *http.Request) (*url.URL, error) {
					if r.URL.Hostname() == "10.96.0.1" {
						return nil, nil
					}
					return nil, errors.New("invalid proxy address")
				}
			}, []string{"HTTPProxy"}, nil,
		},
	}
}

func (n *node) remove(path string) {
	n.t.Helper()
	if err := n.host.Remove(n.t.Context(), path); err != nil {
		n.t.Fatal(err)
	}
}
