package preflight

import (
	"context"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/util/version"

	"github.com/hactl/hactl/phases/cri"
)

// commandLimit is how long a program that only tells something may take.
const commandLimit = 15 * time.Second

const (
	isPrivilegedUser = "IsPrivilegedUser"
	imagePull        = "ImagePull"
)

// facts are what several checks want to know: each is found out once, when
// the first check asks.
type facts struct {
	resumed bool // an earlier run of this node goes on
	runtime func() (cri.Status, error)
	kubelet func() (*version.Version, error)
	process func() (map[string]string, error)
}

func (t *Task) facts(ctx context.Context, resumed bool) *facts {
	return &facts{
		resumed: resumed,
		runtime: sync.OnceValues(func() (cri.Status, error) { return t.Runtime.Status(ctx) }),
		kubelet: sync.OnceValues(func() (*version.Version, error) { return t.kubeletVersion(ctx) }),
		process: sync.OnceValues(func() (map[string]string, error) { return t.process(ctx) }),
	}
}

// initChecks are the checks of an init, named as kubeadm v1.37 names them
// where it has the same.
func (t *Task) initChecks(f *facts) []Check {
	list := []Check{
		{isPrivilegedUser, func(context.Context) ([]string, error) { return nil, privileged(f) }},
		{"NumCPU", func(context.Context) ([]string, error) { return nil, cpus(f) }},
		{"Mem", t.memory},
		{"KubernetesVersion", t.newest},
		{"ClockSane", t.clock},
	}
	list = append(list, t.commonChecks(f)...)
	list = append(list,
		Check{"AdvertiseAddress", t.advertised},
		Check{"ControlPlaneEndpoint", t.endpointResolves},
		Check{"Firewalld", t.firewall},
		Check{"HTTPProxy", t.proxied},
		Check{"HTTPProxyCIDR", t.proxiedSubnets},
	)
	list = append(list, t.portChecks(f)...)
	list = append(list, t.manifestChecks(f)...)
	list = append(list, t.forwardingChecks()...)
	return append(list, t.etcdChecks(f)...)
}

// commonChecks are those of every kind of node.
func (t *Task) commonChecks(f *facts) []Check {
	list := []Check{
		{"CRI", func(context.Context) ([]string, error) { return nil, runtimeReady(f) }},
		{"ContainerRuntimeVersion", func(context.Context) ([]string, error) { return runtimeVersion(f), nil }},
		{"Swap", t.swap},
		{"SystemVerification", func(ctx context.Context) ([]string, error) { return t.system(ctx, f) }},
		{"Hostname", t.hostname},
		{"KubeletVersion", func(context.Context) ([]string, error) { return nil, t.kubeletFits(f) }},
		{"Service-kubelet", t.kubeletService},
	}
	for _, tool := range append([]string{"losetup", "mount", "cp"}, t.Tools...) {
		list = append(list, Check{"FileExisting-" + tool, func(ctx context.Context) ([]string, error) {
			return nil, t.inPath(ctx, tool)
		}})
	}
	return list
}

// dashed is a path as kubeadm writes it into the name of a check.
func dashed(path string) string { return strings.ReplaceAll(path, "/", "-") }
