package kubelet_test

import (
	"errors"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	kubeletconfig "k8s.io/kubelet/config/v1beta1"
	"sigs.k8s.io/yaml"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/config/goldentest"
	"github.com/hactl/hactl/config/kubeadm/kubeadmtest"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/host"
	"github.com/hactl/hactl/phases/kubelet"
)

// load reads a configuration of the control plane's tests, as init would on
// machine "machine".
func load(t *testing.T, name string) *config.Init {
	t.Helper()
	return kubeadmtest.Init(t, "../controlplane/testdata/"+name+".config.yaml", "machine")
}

// machine is one with a kubelet that has not been started, and the task of
// init on it.
type machine struct {
	*host.Memory
	task    *kubelet.Task
	actions []host.ServiceAction
}

func newMachine(t *testing.T, c *config.Init) *machine {
	t.Helper()
	m := &machine{Memory: host.NewMemory()}
	m.task = &kubelet.Task{Host: m.Memory, Cluster: &c.Cluster, Node: &c.Node, Dir: config.KubeletDir, ConfDir: config.KubernetesDir}
	m.file(t, config.KubernetesDir+"/kubelet.conf", kubeletConf)
	m.SetService(config.KubeletUnit, host.ServiceStatus{})
	m.HandleService(config.KubeletUnit, func(a host.ServiceAction) error {
		m.actions = append(m.actions, a)
		return nil
	})
	return m
}

// run returns how the phase ended and what it warned of.
func (m *machine) run(t *testing.T, p phases.Phase[kubelet.Task]) (end phases.Kind, warnings []string, err error) {
	t.Helper()
	err = phases.Run(t.Context(), []phases.Phase[kubelet.Task]{p}, m.task, phases.Options{Notify: func(e phases.Event) {
		switch {
		case e.Kind == phases.Warning:
			warnings = append(warnings, e.Reason)
		case !e.Group:
			end = e.Kind
		}
	}})
	return end, warnings, err
}

func (m *machine) file(t *testing.T, path, content string) {
	t.Helper()
	if err := m.WriteFile(t.Context(), path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (m *machine) read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := m.ReadFile(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestFiles: the golden files are, byte for byte, what kubeadm v1.37.1
// writes for the same configurations (kubeadm init phase kubelet-start
// --dry-run) on a machine without systemd-resolved.
func TestFiles(t *testing.T) {
	cases := map[string]struct{ reason, config string }{
		"Default": {"nothing is configured; the node has another name than the machine", "default"},
		"Extra":   {"arguments, and a configuration of the user's own", "extra"},
		"IPv6":    {"the DNS server has an IPv6 address", "ipv6"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t, load(t, c.config))
			if end, _, err := m.run(t, kubelet.StartPhase()); err != nil || end != phases.Finished {
				t.Fatalf("%s: the end is %s, %v, want finished", c.reason, end, err)
			}
			for _, name := range []string{"config.yaml", "instance-config.yaml", "kubeadm-flags.env"} {
				path := filepath.Join(config.KubeletDir, name)
				goldentest.Check(t, c.config+"."+name, m.read(t, path))
				if info, err := m.Stat(t.Context(), path); err != nil || info.Mode.Perm() != 0o644 {
					t.Errorf("%s: mode %v, %v, want 0644", path, info.Mode, err)
				}
			}
		})
	}
}

func TestFlags(t *testing.T) {
	const override = "hostname-override"
	cases := map[string]struct {
		reason, node string
		args         []config.Arg
		want         string
	}{
		"SameName":   {"the kubelet finds the name by itself", "machine", nil, ``},
		"OtherName":  {"the kubelet must be told", "cp-1", nil, `--hostname-override=cp-1`},
		"Override":   {"the user's word counts, and is there once", "cp-1", []config.Arg{{Name: override, Value: "cp-2"}}, `--hostname-override=cp-2`},
		"OverrideBy": {"even if it is the machine's own name", "cp-1", []config.Arg{{Name: override, Value: "machine"}}, `--hostname-override=machine`},
		"Quotes":     {"the file is read by systemd, which takes escaped quotes", "machine", []config.Arg{{Name: "x", Value: `a"b`}}, `--x=a\"b`},
		"Merge":      {"there is nothing to append to", "machine", []config.Arg{{Name: "v", Value: "4", Merge: config.MergeAppend}}, ``},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			in := load(t, "default")
			in.Node.Name, in.Node.KubeletArgs = c.node, c.args
			m := newMachine(t, in)
			if _, _, err := m.run(t, kubelet.StartPhase()); err != nil {
				t.Fatal(err)
			}
			got := string(m.read(t, config.KubeletDir+"/kubeadm-flags.env"))
			if diff := cmp.Diff("KUBELET_KUBEADM_ARGS=\""+c.want+"\"\n", got); diff != "" {
				t.Errorf("%s: -want +got\n%s", c.reason, diff)
			}
		})
	}
}

func TestStart(t *testing.T) {
	type actions = []host.ServiceAction
	cases := map[string]struct {
		reason string
		change func(*testing.T, *machine) // after a first run
		want   actions                    // of a second
		end    phases.Kind
	}{
		"Running": {"everything is as it should be", func(*testing.T, *machine) {}, nil, phases.Unchanged},
		"Stopped": {"the kubelet was stopped", func(_ *testing.T, m *machine) {
			m.SetService(config.KubeletUnit, host.ServiceStatus{Enabled: true})
		}, actions{host.RestartService}, phases.Finished},
		"ConfigChanged": {"a running kubelet has read another configuration", func(t *testing.T, m *machine) {
			m.file(t, config.KubeletDir+"/config.yaml", "kind: KubeletConfiguration\n")
		}, actions{host.RestartService}, phases.Finished},
		"FlagsLost": {"a file is gone", func(t *testing.T, m *machine) {
			if err := m.Remove(t.Context(), config.KubeletDir+"/kubeadm-flags.env"); err != nil {
				t.Fatal(err)
			}
		}, actions{host.RestartService}, phases.Finished},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t, load(t, "default"))
			if _, _, err := m.run(t, kubelet.StartPhase()); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(actions{host.EnableService, host.RestartService}, m.actions); diff != "" {
				t.Errorf("a first run: -want +got\n%s", diff)
			}
			m.actions = nil
			c.change(t, m)
			end, _, err := m.run(t, kubelet.StartPhase())
			if err != nil || end != c.end {
				t.Errorf("%s: the end is %s, %v, want %s", c.reason, end, err, c.end)
			}
			if diff := cmp.Diff(c.want, m.actions); diff != "" {
				t.Errorf("%s: -want +got\n%s", c.reason, diff)
			}
		})
	}
}

func TestStartFails(t *testing.T) {
	broken := errors.New("no such cgroup")
	cases := map[string]struct {
		reason string
		change func(*machine)
		want   error
	}{
		"NoUnit": {"the kubelet is not installed", func(m *machine) { m.task.Host = host.NewMemory() }, nil},
		"Broken": {"systemd does not start it", func(m *machine) {
			m.HandleService(config.KubeletUnit, func(a host.ServiceAction) error {
				if a == host.RestartService {
					return broken
				}
				return nil
			})
		}, broken},
		"NoCredentials": {"the kubelet has no way into the cluster", func(m *machine) {
			m.HandleService(config.KubeletUnit, func(host.ServiceAction) error { return broken })
			if err := m.Remove(t.Context(), config.KubernetesDir+"/kubelet.conf"); err != nil {
				t.Fatal(err)
			}
		}, nil},
		"NotStarted": {"systemd says yes and the kubelet is not running", func(m *machine) {
			m.task.Host = deaf{m.Memory}
		}, nil},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t, load(t, "default"))
			c.change(m)
			_, _, err := m.run(t, kubelet.StartPhase())
			var fault *phases.Fault
			var unfinished *phases.UnfinishedError
			if !errors.As(err, &fault) && !errors.As(err, &unfinished) || c.want != nil && !errors.Is(err, c.want) {
				t.Errorf("%s: %v, want a fault of %v", c.reason, err, c.want)
			}
		})
	}
}

// deaf is a machine whose service manager does nothing.
type deaf struct{ *host.Memory }

func (d deaf) Services() host.Services { return host.NewOverlay(d.Memory).Services() }

// Pods must not be given the stub resolver of systemd-resolved, and the
// cluster's configuration must not be given this node's resolver.
func TestResolver(t *testing.T) {
	const stub = "/run/systemd/resolve/resolv.conf"
	given := "/etc/my-resolv.conf"
	cases := map[string]struct {
		reason   string
		resolved bool
		given    *string
		want     string
	}{
		"None":     {"the kubelet's default", false, nil, ""},
		"Resolved": {"its list of real servers", true, nil, stub},
		"Given":    {"the user's word counts", true, &given, given},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			in := load(t, "default")
			in.Cluster.Kubelet.ResolverConfig = c.given
			m := newMachine(t, in)
			m.SetService("systemd-resolved.service", host.ServiceStatus{Active: c.resolved})
			if _, _, err := m.run(t, kubelet.StartPhase()); err != nil {
				t.Fatal(err)
			}
			live := kubeletconfig.KubeletConfiguration{}
			err := yaml.UnmarshalStrict(m.read(t, config.KubeletDir+"/config.yaml"), &live)
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			if p := live.ResolverConfig; p != nil {
				got = *p
			}
			if got != c.want {
				t.Errorf("%s: resolvConf %q, want %q", c.reason, got, c.want)
			}
			if in.Cluster.Kubelet.ResolverConfig != c.given || in.Cluster.Kubelet.ContainerRuntimeEndpoint != "" {
				t.Error("the cluster's configuration was changed")
			}
		})
	}
}
