package controlplane_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	corev1 "k8s.io/api/core/v1"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/config/goldentest"
	"github.com/hactl/hactl/config/kubeadm/kubeadmtest"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/controlplane"
	"github.com/hactl/hactl/phases/host"
	"github.com/hactl/hactl/templates/staticpod"
)

var components = []string{controlplane.APIServer, controlplane.ControllerManager, controlplane.Scheduler}

// load reads testdata/name.config.yaml, as init would on node cp-1.
func load(t *testing.T, name string) *config.Init {
	t.Helper()
	return kubeadmtest.Init(t, "testdata/"+name+".config.yaml", "cp-1")
}

func task(c *config.Init) (*controlplane.Task, *host.Memory) {
	m := host.NewMemory()
	return &controlplane.Task{
		Files: m, Cluster: &c.Cluster, Local: c.Local, Timeouts: c.Timeouts, Dir: "/etc/kubernetes/manifests",
		Environ: []string{"HOME=/root", "https_proxy=http://proxy:3128"},
	}, m
}

func run(t *testing.T, task *controlplane.Task) ([]phases.Kind, error) {
	t.Helper()
	var ends []phases.Kind
	err := phases.Run(t.Context(), []phases.Phase[controlplane.Task]{controlplane.Phase()}, task, phases.Options{Notify: func(e phases.Event) {
		if !e.Group && e.Kind != phases.Started {
			ends = append(ends, e.Kind)
		}
	}})
	return ends, err
}

func read(t *testing.T, m *host.Memory, path string) []byte {
	t.Helper()
	data, err := m.ReadFile(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// debian are the directories with CA certificates on that distribution.
var debian = []string{"/etc/ca-certificates", "/usr/local/share/ca-certificates", "/usr/share/ca-certificates"}

// TestManifests: the golden files are, byte for byte, what kubeadm v1.37.1
// writes on Debian for the same configurations (kubeadm init phase
// control-plane all --dry-run), except of merge, whose API version kubeadm
// does not take yet.
func TestManifests(t *testing.T) {
	cases := map[string]struct{ reason, config string }{
		"Default":      {"nothing is configured", "default"},
		"Extra":        {"arguments, volumes and variables are added, and take the place of others; a pod subnet", "extra"},
		"IPv6":         {"the node has an IPv6 address", "ipv6"},
		"ExternalEtcd": {"etcd's credentials are in directories of their own", "external-etcd"},
		"Merge":        {"arguments are added to the defaults (kubeadm.k8s.io/v1)", "merge"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			task, m := task(load(t, c.config))
			for _, dir := range debian {
				if err := m.Mkdir(t.Context(), dir, 0o755); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := run(t, task); err != nil {
				t.Fatalf("%s: %v", c.reason, err)
			}
			for _, component := range components {
				path := staticpod.Path(task.Dir, component)
				goldentest.Check(t, c.config+"."+component+".yaml", read(t, m, path))
				if info, err := m.Stat(t.Context(), path); err != nil || info.Mode.Perm() != 0o600 {
					t.Errorf("%s: mode %v, %v, want 0600", path, info.Mode, err)
				}
			}
			ends, err := run(t, task)
			if diff := cmp.Diff([]phases.Kind{phases.Unchanged, phases.Unchanged, phases.Unchanged}, ends); diff != "" || err != nil {
				t.Errorf("a second run: %v, -want +got\n%s", err, diff)
			}
		})
	}
}

func TestChangedManifestIsWrittenAnew(t *testing.T) {
	cases := map[string]struct {
		reason string
		change func(*corev1.Pod)
		want   phases.Kind
	}{
		"Nothing":    {"another order of fields is the same pod", func(*corev1.Pod) {}, phases.Unchanged},
		"Image":      {"another version", func(p *corev1.Pod) { p.Spec.Containers[0].Image = "kube-apiserver:v1.36.0" }, phases.Finished},
		"Flag":       {"another flag", func(p *corev1.Pod) { p.Spec.Containers[0].Command[1] = "--v=9" }, phases.Finished},
		"Annotation": {"another endpoint", func(p *corev1.Pod) { p.Annotations = nil }, phases.Finished},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			task, m := task(load(t, "default"))
			if _, err := run(t, task); err != nil {
				t.Fatal(err)
			}
			path := staticpod.Path(task.Dir, controlplane.APIServer)
			want := read(t, m, path)
			pod := &corev1.Pod{}
			if err := yaml.UnmarshalStrict(want, pod); err != nil {
				t.Fatal(err)
			}
			c.change(pod)
			changed, err := yaml.Marshal(pod)
			if err != nil {
				t.Fatal(err)
			}
			if err := m.WriteFile(t.Context(), path, append([]byte("# edited\n"), changed...), 0o600); err != nil {
				t.Fatal(err)
			}
			ends, err := run(t, task)
			if err != nil || ends[0] != c.want {
				t.Errorf("%s: the end is %v, %v, want %s", c.reason, ends, err, c.want)
			}
			if got := read(t, m, path); c.want == phases.Finished && !bytes.Equal(want, got) {
				t.Errorf("%s: not written anew:\n%s", c.reason, got)
			}
		})
	}
}

func TestFlags(t *testing.T) {
	cases := map[string]struct {
		reason          string
		change          func(*config.Init)
		files           []string
		component, flag string
		want            string
		absent          bool
	}{
		"ExternalCA": {
			"the CA's key is elsewhere: the signer stays off", func(*config.Init) {}, []string{"/etc/kubernetes/pki/ca.crt"},
			controlplane.ControllerManager, "cluster-signing-key-file", "", false,
		},
		"OwnCA": {
			"the CA's key is here", func(*config.Init) {}, []string{"/etc/kubernetes/pki/ca.crt", "/etc/kubernetes/pki/ca.key"},
			controlplane.ControllerManager, "cluster-signing-key-file", "/etc/kubernetes/pki/ca.key", false,
		},
		"NoCAYet": {
			"a phase run alone need not find the CA", func(*config.Init) {}, nil,
			controlplane.ControllerManager, "cluster-signing-key-file", "/etc/kubernetes/pki/ca.key", false,
		},
		"AuthorizationFile": {
			"authorization-config and authorization-mode exclude each other", func(c *config.Init) {
				c.Cluster.APIServer.ExtraArgs = []config.Arg{{Name: "authorization-config", Value: "/etc/kubernetes/authz.yaml"}}
			}, nil, controlplane.APIServer, "authorization-mode", "", true,
		},
		"NoPodSubnet": {
			"without a pod subnet nodes get no ranges", func(*config.Init) {}, nil,
			controlplane.ControllerManager, "allocate-node-cidrs", "", true,
		},
		"PlainEtcd": {
			"an external etcd without certificates", func(c *config.Init) {
				c.Cluster.Etcd = config.Etcd{External: &config.ExternalEtcd{Endpoints: []string{"http://10.0.0.9:2379"}}}
			}, nil, controlplane.APIServer, "etcd-cafile", "", true,
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			in := load(t, "default")
			c.change(in)
			task, m := task(in)
			for _, f := range c.files {
				if err := m.WriteFile(t.Context(), f, nil, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := run(t, task); err != nil {
				t.Fatalf("%s: %v", c.reason, err)
			}
			pod, err := staticpod.Read(t.Context(), m, task.Dir, c.component)
			if err != nil {
				t.Fatal(err)
			}
			if got, found := staticpod.Flag(pod, c.flag); got != c.want || found == c.absent {
				t.Errorf("%s: --%s is %q, there %v, want %q, there %v", c.reason, c.flag, got, found, c.want, !c.absent)
			}
		})
	}
}

// Credentials of etcd in one directory within the other need one mount, and
// directories whose names begin alike are two.
func TestEtcdMounts(t *testing.T) {
	cases := map[string]struct {
		reason, ca, cert, key string
		want                  []string
	}{
		"Nested":    {"the parent holds the child, whatever comes first", "/etc/etcd/pki/ca.crt", "/etc/etcd/client.crt", "/etc/etcd/keys/client.key", []string{"/etc/etcd"}},
		"Alike":     {"/etc/etcd does not hold /etc/etcd2", "/etc/etcd/ca.crt", "/etc/etcd2/client.crt", "/etc/etcd2/client.key", []string{"/etc/etcd", "/etc/etcd2"}},
		"InCertDir": {"the certificates' directory is mounted already", "/etc/kubernetes/pki/etcd/ca.crt", "/etc/kubernetes/pki/client.crt", "/etc/kubernetes/pki/client.key", nil},
		"InSystem":  {"so are the system's", "/etc/ssl/certs/ca.crt", "/srv/client.crt", "/srv/client.key", []string{"/srv"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			in := load(t, "external-etcd")
			x := in.Cluster.Etcd.External
			x.CAFile, x.CertFile, x.KeyFile = c.ca, c.cert, c.key
			task, m := task(in)
			if _, err := run(t, task); err != nil {
				t.Fatal(err)
			}
			pod, err := staticpod.Read(t.Context(), m, task.Dir, controlplane.APIServer)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, v := range pod.Spec.Volumes {
				if strings.HasPrefix(v.Name, "etcd-certs-") {
					got = append(got, v.HostPath.Path)
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("%s: -want +got\n%s", c.reason, diff)
			}
		})
	}
}

func TestNoEtcd(t *testing.T) {
	in := load(t, "default")
	in.Cluster.Etcd = config.Etcd{}
	task, _ := task(in)
	_, err := run(t, task)
	var fault *phases.Fault
	if !errors.As(err, &fault) || fault.Code() != phases.CodeUsage {
		t.Errorf("neither etcd.local nor etcd.external: %v, want a fault of usage", err)
	}
}
