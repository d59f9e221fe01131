package ready_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/cri"
	"github.com/hactl/hactl/phases/host"
	"github.com/hactl/hactl/phases/kube"
	"github.com/hactl/hactl/phases/ready"
	"github.com/hactl/hactl/phases/wait"
	"github.com/hactl/hactl/templates/staticpod"
)

const (
	dir     = "/etc/kubernetes/manifests"
	kubelet = "http://127.0.0.1:10248/healthz"
)

// urls are where the components of node answer.
var urls = map[string]string{
	"etcd":                    "http://127.0.0.1:2381/readyz",
	"kube-apiserver":          "/readyz",
	"kube-controller-manager": "https://127.0.0.1:10257/healthz",
	"kube-scheduler":          "https://10.0.0.11:10259/livez",
}

// node is a machine whose kubelet and components answer when they are told
// to.
type node struct {
	t       *testing.T
	host    *host.Memory
	runtime *cri.Memory
	task    *ready.Task

	mu       sync.Mutex
	answers  map[string]error // by URL; what is not there refuses
	progress []string
}

func newNode(t *testing.T) *node {
	c := config.Init{}
	c.Default()
	c.Timeouts.Kubelet, c.Timeouts.ControlPlane = time.Minute, 4*time.Minute
	n := &node{t: t, host: host.NewMemory(), runtime: cri.NewMemory(), answers: map[string]error{}}
	api := kube.NewMemory()
	api.HandleRaw("/readyz", func() ([]byte, error) { return nil, n.ask(t.Context(), "/readyz") })
	n.host.SetService(config.KubeletUnit, host.ServiceStatus{Active: true})
	n.task = &ready.Task{
		Host: n.host, API: api, Runtime: n.runtime, Cluster: &c.Cluster, Timeouts: c.Timeouts,
		Dir: dir, Healthy: n.ask,
	}
	n.manifest("etcd", "127.0.0.1", 2381, corev1.URISchemeHTTP, "/readyz")
	n.manifest("kube-apiserver", "10.0.0.11", 6443, corev1.URISchemeHTTPS, "/livez")
	n.manifest("kube-controller-manager", "", 10257, corev1.URISchemeHTTPS, "/healthz")
	n.manifest("kube-scheduler", "10.0.0.11", 10259, corev1.URISchemeHTTPS, "/livez")
	return n
}

func (n *node) manifest(name, host string, port int32, scheme corev1.URIScheme, path string) {
	n.t.Helper()
	p := staticpod.Pod{
		Name: name, Command: []string{name}, CPU: "100m", StartupLimit: time.Minute,
		ProbeHost: host, ProbePort: port, ProbeScheme: scheme, LivePath: path, StartupPath: path,
	}
	if err := p.Write(n.t.Context(), n.host, dir); err != nil {
		n.t.Fatal(err)
	}
}

func (n *node) ask(_ context.Context, url string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err, ok := n.answers[url]; ok {
		return err
	}
	return fmt.Errorf("Get %q: %w", url, syscall.ECONNREFUSED)
}

func (n *node) answer(url string, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.answers[url] = err
}

// healthyBut makes everything healthy but these.
func (n *node) healthyBut(not ...string) {
	for name, url := range urls {
		if !slices.Contains(not, name) {
			n.answer(url, nil)
		}
	}
	if !slices.Contains(not, "kubelet") {
		n.answer(kubelet, nil)
	}
}

func (n *node) ended(name string, attempt int, log ...string) {
	n.runtime.SetContainer(cri.Container{
		ID: name, Namespace: "kube-system", Pod: name + "-cp-1", Name: name,
		State: cri.Exited, Attempt: attempt, ExitCode: 1,
	}, log...)
}

func (n *node) run() error {
	return phases.Run(n.t.Context(), []phases.Phase[ready.Task]{ready.Phase()}, n.task, phases.Options{Notify: func(e phases.Event) {
		if e.Kind == phases.Progress {
			n.progress = append(n.progress, e.Reason)
		}
	}})
}

func TestAllBecomeHealthy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t)
		after := map[string]time.Duration{
			kubelet: time.Second, urls["etcd"]: 3 * time.Second, urls["kube-apiserver"]: 7 * time.Second,
			urls["kube-controller-manager"]: 5 * time.Second, urls["kube-scheduler"]: 20 * time.Second,
		}
		for url, d := range after {
			time.AfterFunc(d, func() { n.answer(url, nil) })
		}
		began := time.Now()
		if err := n.run(); err != nil {
			t.Fatal(err)
		}
		// The longest pause between two checks is half a second.
		if took := time.Since(began); took < 20*time.Second || took > 20500*time.Millisecond {
			t.Errorf("it took %s, want as long as the slowest", took)
		}
		for name := range urls {
			if !slices.ContainsFunc(n.progress, func(s string) bool { return strings.Contains(s, name+" is healthy: no container yet") }) {
				t.Errorf("nothing is said of %s: %q", name, n.progress)
			}
		}
	})
}

// The API server is the last to be healthy, and is seen at once.
func TestServerIsSeenAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t)
		n.healthyBut("kube-apiserver")
		const later = 7310 * time.Millisecond
		time.AfterFunc(later, func() { n.answer(urls["kube-apiserver"], nil) })
		began := time.Now()
		if err := n.run(); err != nil {
			t.Fatal(err)
		}
		if late := time.Since(began) - later; late < 0 || late > 100*time.Millisecond {
			t.Errorf("seen %s late", late)
		}
	})
}

func TestExternalEtcdIsNotWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t)
		n.task.Cluster.Etcd = config.Etcd{External: &config.ExternalEtcd{}}
		if err := n.host.Remove(t.Context(), staticpod.Path(dir, "etcd")); err != nil {
			t.Fatal(err)
		}
		n.healthyBut("etcd")
		if err := n.run(); err != nil {
			t.Error(err)
		}
	})
}

// TestOutlived: what answers is a pod by an earlier manifest. Its health
// counts for nothing.
func TestOutlived(t *testing.T) {
	sandbox := func(id string, ready bool) cri.Sandbox {
		return cri.Sandbox{ID: id, Namespace: "kube-system", Pod: "kube-apiserver-cp-1", Ready: ready}
	}
	cases := map[string]struct {
		reason string
		begin  func(*cri.Memory)
		end    func(*cri.Memory)
	}{
		"TwoPods": {
			"the kubelet has started the new one beside it",
			func(m *cri.Memory) { m.SetSandbox(sandbox("old", true)); m.SetSandbox(sandbox("new", true)) },
			func(m *cri.Memory) { m.SetSandbox(sandbox("old", false)) },
		},
		"PortTaken": {
			"the new one could not listen, and has ended",
			func(m *cri.Memory) {
				m.SetContainer(cri.Container{ID: "new", Namespace: "kube-system", Name: "kube-apiserver", State: cri.Exited, ExitCode: 1})
			},
			func(m *cri.Memory) {
				m.SetContainer(cri.Container{ID: "new", Namespace: "kube-system", Name: "kube-apiserver", State: cri.Running, Attempt: 1})
			},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNode(t)
				n.healthyBut()
				c.begin(n.runtime)
				time.AfterFunc(10*time.Second, func() { c.end(n.runtime) })
				began := time.Now()
				if err := n.run(); err != nil {
					t.Fatal(err)
				}
				if took := time.Since(began); took < 10*time.Second {
					t.Errorf("%s: healthy after %s", c.reason, took)
				}
			})
		})
	}
}

func TestStatus(t *testing.T) {
	container := func(s cri.State) cri.Container {
		return cri.Container{ID: "1", Namespace: "kube-system", Name: "kube-scheduler", State: s, Attempt: 1, ExitCode: 137}
	}
	cases := map[string]struct {
		reason    string
		container cri.Container
		answer    error
		want      string
	}{
		"Created": {"the runtime has it", container(cri.Created), io.EOF, "container created"},
		"Ended":   {"not yet hopeless", container(cri.Exited), io.EOF, "ended with exit code 137, try 2"},
		"Refused": {"it does not listen yet", container(cri.Running), fmt.Errorf("dial: %w", syscall.ECONNREFUSED), "connection refused"},
		"Answers": {"it listens and is not ready", container(cri.Running), apierrors.NewServiceUnavailable("poststarthook"), "answers 503, not ready yet"},
		"Other":   {"nothing that is known", container(cri.Running), errors.New("tls: handshake failure"), "tls: handshake failure"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNode(t)
				n.healthyBut("kube-scheduler")
				n.answer(urls["kube-scheduler"], c.answer)
				n.runtime.SetContainer(c.container)
				time.AfterFunc(10*time.Second, func() {
					n.answer(urls["kube-scheduler"], nil)
					c.container.State = cri.Running
					n.runtime.SetContainer(c.container)
				})
				if err := n.run(); err != nil {
					t.Fatal(err)
				}
				want := []string{"waiting until kube-scheduler is healthy: " + c.want}
				if diff := cmp.Diff(want, n.progress); diff != "" {
					t.Errorf("%s: -want +got\n%s", c.reason, diff)
				}
			})
		})
	}
}

// before is how long a wait has gone on when something happens.
const before = 5 * time.Second

// A component that does not stay up ends the wait at once.
func TestCrash(t *testing.T) {
	journal := func(n *node, lines string) {
		n.host.Handle("journalctl", func([]string) ([]byte, error) { return []byte(lines), nil })
	}
	cases := map[string]struct {
		reason string
		change func(*node)
		what   string
		told   []string // in why and fix
	}{
		"APIServer": {"its port is taken", func(n *node) {
			n.healthyBut("kube-apiserver")
			n.ended("kube-apiserver", 2, "1", "2", "3", "4", "5", "bind: address already in use")
		}, "kube-apiserver does not stay up", []string{"ended 3 times, last with exit code 1", "  2\n", "bind: address already in use", "ss -ltnp"}},
		"Etcd": {"a flag that it does not know", func(n *node) {
			n.healthyBut("etcd", "kube-apiserver")
			n.ended("etcd", 7, "unknown flag: --x")
		}, "etcd does not stay up", []string{"ended 8 times", "extraArgs"}},
		"NoLog": {"it has said nothing", func(n *node) {
			n.healthyBut("kube-scheduler")
			n.ended("kube-scheduler", 3)
		}, "kube-scheduler does not stay up", []string{"ended 4 times", "run the same command again"}},
		"Kubelet": {"swap is on", func(n *node) {
			n.healthyBut("kubelet")
			n.host.SetService(config.KubeletUnit, host.ServiceStatus{Failed: true, Restarts: 3, Detail: "activating/auto-restart"})
			journal(n, "kubelet.service: Main process exited\n\nrunning with swap on is not supported\nkubelet.service: Failed\n")
		}, "the kubelet does not stay up", []string{"restarted 3 times (activating/auto-restart); its last lines:\n  running with swap on", "swapoff -a"}},
		"NoJournal": {"there is no journal", func(n *node) {
			n.healthyBut("kubelet")
			n.host.SetService(config.KubeletUnit, host.ServiceStatus{Failed: true, Restarts: 9})
		}, "the kubelet does not stay up", []string{"restarted 9 times", "journalctl -xeu kubelet"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNode(t)
				time.AfterFunc(before, func() { c.change(n) })
				began := time.Now()
				err := n.run()
				var fault *phases.Fault
				if !errors.As(err, &fault) || fault.What != c.what || fault.Code() != phases.CodeFailed {
					t.Fatalf("%s: %v, want that %s", c.reason, err, c.what)
				}
				text := fault.Why.Error() + "\n" + strings.Join(fault.Fixes, "\n")
				for _, want := range c.told {
					if !strings.Contains(text, want) {
						t.Errorf("%s: does not tell %q:\n%s", c.reason, want, text)
					}
				}
				if strings.Contains(text, "  1\n") || strings.Contains(text, "Main process") {
					t.Errorf("%s: tells more than the last lines:\n%s", c.reason, text)
				}
				if took := time.Since(began); took > before+time.Second {
					t.Errorf("%s: it took %s to see", c.reason, took)
				}
			})
		})
	}
}

// After the user has mended the cause, the last container of the run before
// is still there, dead, until the kubelet tries again.
func TestDeadFromBefore(t *testing.T) {
	cases := map[string]struct {
		reason string
		later  func(*node) // 20 s after the wait began
		took   time.Duration
		fails  bool
	}{
		"Mended": {"the next try goes well", func(n *node) {
			n.runtime.SetContainer(cri.Container{ID: "new", Namespace: "kube-system", Pod: "etcd-cp-1", Name: "etcd", State: cri.Running, Attempt: 6})
			n.healthyBut()
		}, 20 * time.Second, false},
		"NotMended": {"the next try ends as well", func(n *node) {
			n.runtime.SetContainer(cri.Container{ID: "new", Namespace: "kube-system", Pod: "etcd-cp-1", Name: "etcd", State: cri.Exited, Attempt: 6})
		}, 20 * time.Second, true},
		"NotTried": {"there is no other try in time", func(*node) {}, 4 * time.Minute, true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNode(t)
				n.healthyBut("etcd")
				n.ended("etcd", 5, "bind: address already in use")
				time.AfterFunc(20*time.Second, func() { c.later(n) })
				began := time.Now()
				err := n.run()
				var fault *phases.Fault
				if errors.As(err, &fault) != c.fails || !c.fails && err != nil {
					t.Errorf("%s: %v, want a fault: %v", c.reason, err, c.fails)
				}
				if took := time.Since(began); took < c.took || took > c.took+time.Second {
					t.Errorf("%s: it took %s, want %s", c.reason, took, c.took)
				}
			})
		})
	}
}

func TestTimeout(t *testing.T) {
	cases := map[string]struct {
		reason string
		change func(*node)
		limit  time.Duration
		name   string
		last   string
	}{
		"Kubelet":  {"it never answers", func(n *node) { n.healthyBut("kubelet") }, time.Minute, "timeouts.kubeletHealthCheck", "connection refused"},
		"NoImages": {"the kubelet starts nothing", func(n *node) { n.healthyBut("etcd") }, 4 * time.Minute, "timeouts.controlPlaneComponentHealthCheck", "no container yet"},
		"Twice": {"two ends are not hopeless", func(n *node) {
			n.healthyBut("etcd")
			n.ended("etcd", 1)
		}, 4 * time.Minute, "timeouts.controlPlaneComponentHealthCheck", "ended with exit code 1, try 2"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNode(t)
				c.change(n)
				began := time.Now()
				err := n.run()
				var timeout *wait.TimeoutError
				if !errors.As(err, &timeout) || timeout.LimitName != c.name || timeout.Last != c.last || timeout.Limit != c.limit {
					t.Errorf("%s: %+v, want a timeout of %s with %q", c.reason, err, c.name, c.last)
				}
				if took := time.Since(began); took != c.limit {
					t.Errorf("%s: it took %s, want %s", c.reason, took, c.limit)
				}
			})
		})
	}
}

// noKubeconfig is an error that no wait mends.
type noKubeconfig struct{ error }

func (noKubeconfig) Fix() []string { return []string{"make one"} }

func TestRefused(t *testing.T) {
	cases := map[string]struct {
		reason string
		change func(*testing.T, *node)
	}{
		"NoManifest": {"the etcd phase did not run", func(t *testing.T, n *node) {
			if err := n.host.Remove(t.Context(), staticpod.Path(dir, "etcd")); err != nil {
				t.Fatal(err)
			}
		}},
		"NoProbe": {"somebody wrote another manifest", func(t *testing.T, n *node) {
			if err := n.host.WriteFile(t.Context(), staticpod.Path(dir, "etcd"), []byte("kind: Pod\napiVersion: v1\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}},
		"NoKubeconfig": {"the API cannot be asked at all", func(_ *testing.T, n *node) {
			n.answer("/readyz", noKubeconfig{errors.New("no kubeconfig")})
		}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNode(t)
				n.healthyBut()
				c.change(t, n)
				began := time.Now()
				var fix interface{ Fix() []string }
				if err := n.run(); !errors.As(err, &fix) || len(fix.Fix()) == 0 {
					t.Errorf("%s: %v, want an error with a fix", c.reason, err)
				}
				if took := time.Since(began); took > time.Second {
					t.Errorf("%s: it took %s to see", c.reason, took)
				}
			})
		})
	}
}

func TestInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t)
		stop := errors.New("interrupted")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(2*time.Second, func() { cancel(stop) })
		err := phases.Run(ctx, []phases.Phase[ready.Task]{ready.Phase()}, n.task, phases.Options{})
		if !errors.Is(err, stop) {
			t.Errorf("%v, want %v", err, stop)
		}
	})
}
