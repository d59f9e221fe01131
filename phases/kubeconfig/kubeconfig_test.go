package kubeconfig

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"errors"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"

	"github.com/hactl/hactl/certs"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/host"
)

var epoch = time.Date(2026, 9, 1, 12, 0, 0, 0, time.UTC)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// newTask returns a task on a machine that has nothing yet.
func newTask() *Task {
	return &Task{
		Host: host.NewMemory(), Dir: "/etc/kubernetes", CertDir: "/etc/kubernetes/pki",
		ClusterName: "kubernetes", Endpoint: "https://lb:6443", LocalEndpoint: "https://10.0.0.1:6443",
		NodeName: "cp1", Algorithm: certs.ECDSAP256, Now: func() time.Time { return epoch },
	}
}

// putCA gives the machine a CA and returns it.
func putCA(t *testing.T, task *Task) *certs.Authority {
	t.Helper()
	key, err := certs.NewKey(certs.ECDSAP256)
	must(t, err)
	ca, err := certs.NewAuthority(certs.AuthoritySpec{CommonName: "kubernetes"}, key, epoch)
	must(t, err)
	data, err := certs.EncodeKey(key)
	must(t, err)
	write(t, task, task.caKey(), data)
	write(t, task, task.caCert(), certs.EncodeCert(ca.Cert))
	return ca
}

func write(t *testing.T, task *Task, name string, data []byte) {
	t.Helper()
	must(t, task.Host.WriteFile(t.Context(), name, data, 0o600))
}

func remove(t *testing.T, task *Task, name string) {
	t.Helper()
	must(t, task.Host.Remove(t.Context(), name))
}

func read(t *testing.T, task *Task, name string) []byte {
	t.Helper()
	data, err := task.Host.ReadFile(t.Context(), name)
	must(t, err)
	return data
}

// edit changes an existing kubeconfig.
func edit(t *testing.T, task *Task, name string, change func(*api.Cluster, *api.AuthInfo)) {
	t.Helper()
	config, err := clientcmd.Load(read(t, task, name))
	must(t, err)
	current := config.Contexts[config.CurrentContext]
	change(config.Clusters[current.Cluster], config.AuthInfos[current.AuthInfo])
	data, err := clientcmd.Write(*config)
	must(t, err)
	write(t, task, name, data)
}

// run returns the last thing that happened to each sub-phase, and warnings.
func run(t *testing.T, p phases.Phase[Task], task *Task, only ...string) (kinds map[string]phases.Kind, warnings []string, err error) {
	t.Helper()
	kinds = map[string]phases.Kind{}
	err = phases.Run(t.Context(), []phases.Phase[Task]{p}, task, phases.Options{
		Only: only,
		Notify: func(e phases.Event) {
			switch {
			case e.Kind == phases.Warning:
				warnings = append(warnings, e.Reason)
			case !e.Group:
				kinds[strings.TrimPrefix(e.Phase, "kubeconfig/")] = e.Kind
			}
		},
	})
	return kinds, warnings, err
}

// done returns a task whose files are complete.
func done(t *testing.T) *Task {
	t.Helper()
	task := newTask()
	putCA(t, task)
	_, _, err := run(t, Phase(), task)
	must(t, err)
	return task
}

func all(kind phases.Kind) map[string]phases.Kind {
	return map[string]phases.Kind{"admin": kind, "super-admin": kind, "kubelet": kind, "controller-manager": kind, "scheduler": kind}
}

func TestPhaseMakesEverythingOnce(t *testing.T) {
	task := newTask()
	putCA(t, task)
	for _, want := range []phases.Kind{phases.Finished, phases.Unchanged} {
		kinds, warnings, err := run(t, Phase(), task)
		must(t, err)
		if diff := cmp.Diff(all(want), kinds); diff != "" || len(warnings) > 0 {
			t.Errorf("warnings %q, -want +got\n%s", warnings, diff)
		}
	}
	type file struct {
		Context, Server, CN string
		Organizations       []string
		Mode                string
	}
	want := map[string]file{
		"admin":              {"kubernetes-admin@kubernetes", "https://lb:6443", "kubernetes-admin", []string{"kubeadm:cluster-admins"}, "-rw-------"},
		"super-admin":        {"kubernetes-super-admin@kubernetes", "https://lb:6443", "kubernetes-super-admin", []string{"system:masters"}, "-rw-------"},
		"kubelet":            {"system:node:cp1@kubernetes", "https://10.0.0.1:6443", "system:node:cp1", []string{"system:nodes"}, "-rw-------"},
		"controller-manager": {"system:kube-controller-manager@kubernetes", "https://10.0.0.1:6443", "system:kube-controller-manager", nil, "-rw-------"},
		"scheduler":          {"system:kube-scheduler@kubernetes", "https://10.0.0.1:6443", "system:kube-scheduler", nil, "-rw-------"},
	}
	got := map[string]file{}
	for name := range want {
		path := "/etc/kubernetes/" + name + ".conf"
		config, err := clientcmd.Load(read(t, task, path))
		must(t, err)
		must(t, clientcmd.ConfirmUsable(*config, ""))
		info, err := task.Host.Stat(t.Context(), path)
		must(t, err)
		current := config.Contexts[config.CurrentContext]
		chain, err := certs.ParseCerts(config.AuthInfos[current.AuthInfo].ClientCertificateData)
		must(t, err)
		if current.AuthInfo != chain[0].Subject.CommonName {
			t.Errorf("%s: the user is called %q", name, current.AuthInfo)
		}
		got[name] = file{config.CurrentContext, config.Clusters["kubernetes"].Server,
			chain[0].Subject.CommonName, chain[0].Subject.Organization, info.Mode.String()}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestJoinPhase(t *testing.T) {
	task := newTask()
	task.Algorithm = certs.ECDSAP384
	putCA(t, task)
	for _, end := range []phases.Kind{phases.Finished, phases.Unchanged} {
		kinds, _, err := run(t, JoinPhase(), task)
		must(t, err)
		want := all(end)
		delete(want, "super-admin")
		if diff := cmp.Diff(want, kinds); diff != "" {
			t.Errorf("-want +got\n%s", diff)
		}
	}
	config, err := clientcmd.Load(read(t, task, "/etc/kubernetes/kubelet.conf"))
	must(t, err)
	if got := config.Clusters["kubernetes"].Server; got != task.LocalEndpoint {
		t.Errorf("the kubelet uses %s, not its own API server", got)
	}
	for file, want := range map[string]elliptic.Curve{"kubelet.conf": elliptic.P256(), "scheduler.conf": elliptic.P384()} {
		config, err := clientcmd.Load(read(t, task, "/etc/kubernetes/"+file))
		must(t, err)
		key, err := certs.ParseKey(config.AuthInfos[config.Contexts[config.CurrentContext].AuthInfo].ClientKeyData)
		must(t, err)
		if got := key.Public().(*ecdsa.PublicKey).Curve; got != want {
			t.Errorf("%s has a key on %s, want %s: the kubelet's is as TLS bootstrap makes it", file, got.Params().Name, want.Params().Name)
		}
	}
	for _, p := range JoinPhase().Phases {
		if p.Hidden != (p.Name == "kubelet") {
			t.Errorf("%s: hidden %v", p.Name, p.Hidden)
		}
	}
}

// Without the CA's key, the kubelet bootstraps.
func TestJoinPhaseWithoutKey(t *testing.T) {
	cases := map[string]struct {
		reason string
		remove func(*Task) []string
		want   phases.Kind
	}{
		"NoKey": {"an external CA", func(t *Task) []string { return []string{t.caKey()} }, phases.Unchanged},
		"NoCA":  {"nothing is there", func(t *Task) []string { return []string{t.caKey(), t.caCert()} }, phases.Unchanged},
		"Key":   {"the node can sign", func(*Task) []string { return nil }, phases.Finished},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			task := newTask()
			putCA(t, task)
			for _, name := range c.remove(task) {
				remove(t, task, name)
			}
			kinds, _, err := run(t, JoinPhase(), task, "kubeconfig/kubelet")
			must(t, err)
			if kinds["kubelet"] != c.want {
				t.Errorf("%s: %v, want %s", c.reason, kinds, c.want)
			}
			_, err = task.Host.Stat(t.Context(), "/etc/kubernetes/kubelet.conf")
			if can, canErr := CanSign(t.Context(), task); canErr != nil || can != (err == nil) {
				t.Errorf("%s: CanSign %v, %v; the file: %v", c.reason, can, canErr, err)
			}
		})
	}
}

func TestAccepts(t *testing.T) {
	const rotated = "/var/lib/kubelet/pki/kubelet-client-current.pem"
	cases := map[string]struct {
		reason   string
		change   func(*testing.T, *Task)
		warnings int
	}{
		"OtherServer": {"kubeadm only warns", func(_ *testing.T, task *Task) { task.Endpoint = "https://new:6443" }, 2},
		"Rotated": {"kubelet-finalize points the kubelet to its own certificate", func(t *testing.T, task *Task) {
			edit(t, task, "/etc/kubernetes/kubelet.conf", func(_ *api.Cluster, a *api.AuthInfo) {
				*a = api.AuthInfo{ClientCertificate: rotated, ClientKey: rotated}
			})
		}, 0},
		"CAFile": {"a person pointed to the CA instead of embedding it", func(t *testing.T, task *Task) {
			edit(t, task, "/etc/kubernetes/admin.conf", func(c *api.Cluster, _ *api.AuthInfo) {
				c.CertificateAuthorityData, c.CertificateAuthority = nil, "pki/ca.crt"
			})
		}, 0},
		"Token": {"a person chose other credentials", func(t *testing.T, task *Task) {
			edit(t, task, "/etc/kubernetes/admin.conf", func(_ *api.Cluster, a *api.AuthInfo) { *a = api.AuthInfo{Token: "x"} })
		}, 0},
		"ExternalCA": {"every file is there", func(t *testing.T, task *Task) { remove(t, task, task.caKey()) }, 0},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			task := done(t)
			c.change(t, task)
			if p := Problems(t.Context(), task); len(p) > 0 {
				t.Errorf("%s: %v", c.reason, p)
			}
			kinds, warnings, err := run(t, Phase(), task)
			if err != nil {
				t.Fatalf("%s: %v", c.reason, err)
			}
			if diff := cmp.Diff(all(phases.Unchanged), kinds); diff != "" || len(warnings) != c.warnings {
				t.Errorf("warnings %q, -want +got\n%s", warnings, diff)
			}
		})
	}
}

func is(target error) func(error) bool {
	return func(err error) bool { return errors.Is(err, target) }
}

func as[E error]() func(error) bool {
	return func(err error) bool { var e E; return errors.As(err, &e) }
}

func TestRefusals(t *testing.T) {
	const admin = "/etc/kubernetes/admin.conf"
	cases := map[string]struct {
		reason string
		change func(*testing.T, *Task)
		phase  string
		is     func(error) bool // nil: any fault
		text   string
		count  int // of all problems
	}{
		"OtherCA": {"it is of another cluster", func(t *testing.T, task *Task) { putCA(t, task) },
			"admin", is(ErrOtherCA), "remove " + admin, 5},
		"NoCA": {"it would trust the machine's CAs", func(t *testing.T, task *Task) {
			edit(t, task, admin, func(c *api.Cluster, _ *api.AuthInfo) { c.CertificateAuthorityData = nil })
		}, "admin", is(ErrNoCA), admin, 1},
		"OtherNode": {"it came from another node", func(_ *testing.T, task *Task) { task.NodeName = "cp2" },
			"kubelet", as[*certs.SubjectError](), "system:node:cp2", 1},
		"OtherUser": {"the controller manager would be the scheduler", func(t *testing.T, task *Task) {
			write(t, task, "/etc/kubernetes/controller-manager.conf", read(t, task, "/etc/kubernetes/scheduler.conf"))
		}, "controller-manager", as[*certs.SubjectError](), "controller-manager.conf", 1},
		"Expired": {"nobody accepts it", func(_ *testing.T, task *Task) {
			task.Now = func() time.Time { return epoch.Add(certs.DefaultValidity + time.Hour) }
		}, "scheduler", as[*certs.ExpiredError](), "scheduler.conf", 5},
		"KeyDoesNotFit": {"it cannot log in", func(t *testing.T, task *Task) {
			edit(t, task, admin, func(_ *api.Cluster, a *api.AuthInfo) { a.ClientKeyData = read(t, task, task.caKey()) })
		}, "admin", is(certs.ErrKeyMismatch), admin, 1},
		"NoCredentials": {"it cannot log in", func(t *testing.T, task *Task) {
			edit(t, task, admin, func(_ *api.Cluster, a *api.AuthInfo) { *a = api.AuthInfo{} })
		}, "admin", is(ErrNoCredentials), admin, 1},
		"LostCertificate": {"the file it points to is gone", func(t *testing.T, task *Task) {
			edit(t, task, admin, func(_ *api.Cluster, a *api.AuthInfo) { *a = api.AuthInfo{ClientCertificate: "gone.pem"} })
		}, "admin", nil, "/etc/kubernetes/gone.pem", 1},
		"Garbage": {"it is no kubeconfig", func(t *testing.T, task *Task) { write(t, task, admin, []byte("{")) },
			"admin", nil, admin, 1},
		"Empty": {"it was cut", func(t *testing.T, task *Task) { write(t, task, admin, nil) },
			"admin", is(ErrNoContext), admin, 1},
		"LostCA": {"the files are of an earlier cluster", func(t *testing.T, task *Task) {
			remove(t, task, task.caCert())
			remove(t, task, task.caKey())
		}, "admin", nil, "hactl init phase certs ca", 5},
		"ExternalCA": {"hactl cannot sign", func(t *testing.T, task *Task) {
			remove(t, task, task.caKey())
			remove(t, task, admin)
		}, "admin", is(certs.ErrExternalCA), admin, 1},
		"BadCA": {"the certificates phase tells of it", func(t *testing.T, task *Task) {
			write(t, task, task.caKey(), nil)
		}, "admin", is(certs.ErrNoPEM), "ca.key", 0},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			task := done(t)
			c.change(t, task)
			_, _, err := run(t, Phase(), task, "kubeconfig/"+c.phase)
			var fault *phases.Fault
			if !errors.As(err, &fault) {
				t.Fatalf("%s: got %v, want a fault", c.reason, err)
			}
			if c.is != nil && !c.is(err) {
				t.Errorf("%s: got %v", c.reason, err)
			}
			if text := err.Error() + strings.Join(fault.Fixes, " "); len(fault.Fixes) == 0 || !strings.Contains(text, c.text) {
				t.Errorf("%q is neither in %v nor in %q", c.text, err, fault.Fixes)
			}
			if p := Problems(t.Context(), task); len(p) != c.count {
				t.Errorf("%d problems, want %d: %v", len(p), c.count, p)
			}
		})
	}
}

func TestProblemsOfAnEmptyMachine(t *testing.T) {
	if p := Problems(t.Context(), newTask()); len(p) > 0 {
		t.Errorf("got %v", p)
	}
}

// TestJoinProblems: without the CA's key, the kubelet bootstraps, and
// super-admin.conf is not for a node that joins.
func TestJoinProblems(t *testing.T) {
	task := newTask()
	putCA(t, task)
	if err := phases.Run(t.Context(), []phases.Phase[Task]{JoinPhase()}, task, phases.Options{}); err != nil {
		t.Fatal(err)
	}
	kubelet := path.Join(task.Dir, "kubelet.conf")
	remove(t, task, task.caKey())
	remove(t, task, kubelet)
	if p := JoinProblems(t.Context(), task); len(p) > 0 {
		t.Errorf("all others are there: %v", p)
	}
	write(t, task, kubelet, []byte("broken"))
	if p := JoinProblems(t.Context(), task); len(p) != 1 {
		t.Errorf("the kubelet's file is broken: %v", p)
	}
	remove(t, task, path.Join(task.Dir, "admin.conf"))
	if p := JoinProblems(t.Context(), task); len(p) != 2 {
		t.Errorf("and nobody can make admin.conf: %v", p)
	}
}

func FuzzLoad(f *testing.F) {
	f.Add([]byte("apiVersion: v1\nkind: Config\n"))
	f.Add([]byte("current-context: a\ncontexts: [{name: a, context: {cluster: a, user: a}}]\nclusters: [{name: a}]\nusers: [{name: a}]\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		task := newTask()
		ca := putCA(t, task)
		u := users()[0]
		write(t, task, task.file(u), data)
		found, err := task.load(t.Context(), u)
		if (err == nil) != (found != nil) {
			t.Fatalf("%v and %v", found, err)
		}
		if found != nil {
			_ = task.compare(t.Context(), u, found, certs.Pair{Cert: ca.Cert, Key: ca.Key})
		}
	})
}
