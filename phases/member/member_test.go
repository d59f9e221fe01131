package member_test

import (
	"testing"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/config/goldentest"
	"github.com/hactl/hactl/config/kubeadm/kubeadmtest"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/host"
	"github.com/hactl/hactl/phases/member"
	"github.com/hactl/hactl/templates/staticpod"
)

const dir = "/etc/kubernetes/manifests"

// load reads a configuration of the control plane's tests, as init would on
// node cp-1.
func load(t *testing.T, name string) *config.Init {
	t.Helper()
	return kubeadmtest.Init(t, "../controlplane/testdata/"+name+".config.yaml", "cp-1")
}

func task(c *config.Init) (*member.Task, *host.Memory) {
	m := host.NewMemory()
	return &member.Task{Files: m, Cluster: &c.Cluster, Local: c.Local, NodeName: c.Node.Name, Timeouts: c.Timeouts, Dir: dir}, m
}

// run returns how the phase ended.
func run(t *testing.T, task *member.Task) phases.Kind {
	t.Helper()
	var end phases.Kind
	err := phases.Run(t.Context(), []phases.Phase[member.Task]{member.Phase()}, task, phases.Options{Notify: func(e phases.Event) {
		if !e.Group || e.Kind == phases.Skipped {
			end = e.Kind
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	return end
}

// TestManifest: the golden files are, byte for byte, what kubeadm v1.37.1
// writes for the same configurations (kubeadm init phase etcd local
// --dry-run), except of merge, whose API version kubeadm does not take yet.
func TestManifest(t *testing.T) {
	cases := map[string]struct{ reason, config, data string }{
		"Default": {"nothing is configured", "default", "/var/lib/etcd"},
		"Extra":   {"another directory, image, metrics URL, and arguments and variables", "extra", "/srv/etcd"},
		"IPv6":    {"the node has an IPv6 address", "ipv6", "/var/lib/etcd"},
		"Merge":   {"arguments are added to the defaults (kubeadm.k8s.io/v1)", "merge", "/var/lib/etcd"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			task, m := task(load(t, c.config))
			if end := run(t, task); end != phases.Finished {
				t.Errorf("%s: the end is %s, want finished", c.reason, end)
			}
			data, err := m.ReadFile(t.Context(), staticpod.Path(dir, member.Name))
			if err != nil {
				t.Fatal(err)
			}
			goldentest.Check(t, c.config+".etcd.yaml", data)
			info, err := m.Stat(t.Context(), c.data)
			if err != nil || info.Mode.Perm() != 0o700 {
				t.Errorf("data directory: mode %v, %v, want 0700", info.Mode, err)
			}
			if end := run(t, task); end != phases.Unchanged {
				t.Errorf("a second run: the end is %s, want unchanged", end)
			}
		})
	}
}

func TestExternalEtcd(t *testing.T) {
	task, m := task(load(t, "external-etcd"))
	if end := run(t, task); end != phases.Skipped {
		t.Errorf("etcd runs elsewhere: the end is %s, want skipped", end)
	}
	if info, err := m.Stat(t.Context(), "/"); err != nil || len(info.Names) > 0 {
		t.Errorf("there is %v, %v, want nothing", info.Names, err)
	}
}

// The API server must not be started over a data directory that is gone
// with its manifest still there, nor the other way round.
func TestHalfDone(t *testing.T) {
	for _, lost := range []string{"/var/lib/etcd", staticpod.Path(dir, member.Name)} {
		task, m := task(load(t, "default"))
		run(t, task)
		if err := m.Remove(t.Context(), lost); err != nil {
			t.Fatal(err)
		}
		if end := run(t, task); end != phases.Finished {
			t.Errorf("without %s: the end is %s, want finished", lost, end)
		}
		if _, err := m.Stat(t.Context(), lost); err != nil {
			t.Errorf("%s is not made anew: %v", lost, err)
		}
	}
}

func TestProbe(t *testing.T) {
	cases := map[string]struct {
		reason, urls string
		host, scheme string
		port         int32
	}{
		"First":    {"the first URL is asked", "http://10.0.0.11:2399,http://127.0.0.1:2381", "10.0.0.11", "HTTP", 2399},
		"TLS":      {"over TLS", "https://127.0.0.1:2382", "127.0.0.1", "HTTPS", 2382},
		"NoPort":   {"the usual port", "http://10.0.0.11", "10.0.0.11", "HTTP", 2381},
		"NoHost":   {"this node", "http://:2399", "127.0.0.1", "HTTP", 2399},
		"AnyHost":  {"as kubeadm writes it; the kernel takes it as this node", "http://0.0.0.0:2381", "0.0.0.0", "HTTP", 2381},
		"NoURL":    {"what cannot be read is not followed", "http://%zz", "127.0.0.1", "HTTP", 2381},
		"NoNumber": {"a port is a number", "http://10.0.0.11:0", "10.0.0.11", "HTTP", 2381},
		"NoScheme": {"etcd speaks HTTP there unless told otherwise", "unix://10.0.0.11:2381", "10.0.0.11", "HTTP", 2381},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			in := load(t, "default")
			in.Cluster.Etcd.Local.ExtraArgs = []config.Arg{{Name: "listen-metrics-urls", Value: c.urls}}
			task, m := task(in)
			run(t, task)
			pod, err := staticpod.Read(t.Context(), m, dir, member.Name)
			if err != nil {
				t.Fatal(err)
			}
			container := pod.Spec.Containers[0]
			get := container.LivenessProbe.HTTPGet
			if get.Host != c.host || string(get.Scheme) != c.scheme || container.Ports[0].ContainerPort != c.port {
				t.Errorf("%s: probe of %s %s port %d, want %s %s port %d", c.reason,
					get.Scheme, get.Host, container.Ports[0].ContainerPort, c.scheme, c.host, c.port)
			}
		})
	}
}
