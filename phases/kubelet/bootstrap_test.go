package kubelet_test

import (
	"context"
	"crypto/x509"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hactl/hactl/certs"
	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/host"
	"github.com/hactl/hactl/phases/kube"
	"github.com/hactl/hactl/phases/kubelet"
	"github.com/hactl/hactl/phases/wait"
)

func clientLeaf(cn string) certs.Leaf {
	return certs.Leaf{CommonName: cn, Organizations: []string{"system:nodes"}, Usages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
}

// started is a joiner whose kubelet runs, with everything that the wait needs.
func started(t *testing.T) (*machine, *certs.Authority, *kube.Memory) {
	t.Helper()
	m, ca := newJoiner(t)
	memory := kube.NewMemory()
	j := m.task.Join
	j.API, j.Limit, j.HealthLimit = memory, time.Minute, 10*time.Second
	j.Healthy = func(context.Context, string) error { return nil }
	if _, _, err := m.run(t, kubelet.JoinStartPhase()); err != nil {
		t.Fatal(err)
	}
	return m, ca, memory
}

func TestBootstrap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, ca, _ := started(t)
		var asked string
		healthyAt := time.Now().Add(6 * time.Second)
		m.task.Join.Healthy = func(_ context.Context, url string) error {
			asked = url
			if time.Now().Before(healthyAt) {
				return errors.New("connection refused")
			}
			return nil
		}
		time.AfterFunc(time.Second, func() { m.point(t, ca) })
		time.AfterFunc(3*time.Second, func() { m.got(t, ca) })
		began := time.Now()
		if end, _, err := m.run(t, kubelet.BootstrapPhase()); err != nil || end != phases.Finished {
			t.Fatalf("the end is %s, %v", end, err)
		}
		if took := time.Since(began); took < 6*time.Second || took > 7*time.Second {
			t.Errorf("took %s, want little more than 6s", took)
		}
		if asked != "http://127.0.0.1:10248/healthz" {
			t.Errorf("asked %s", asked)
		}
		if _, err := m.Stat(t.Context(), bootstrapConf); err == nil {
			t.Error("bootstrap-kubelet.conf is still there")
		}
		if end, _, err := m.run(t, kubelet.BootstrapPhase()); err != nil || end != phases.Unchanged {
			t.Errorf("a second run: the end is %s, %v, want unchanged", end, err)
		}
		if end, _, err := m.run(t, kubelet.JoinStartPhase()); err != nil || end != phases.Unchanged {
			t.Errorf("kubelet-start after it: the end is %s, %v, want unchanged", end, err)
		}
	})
}

// A kubelet whose health is turned off is not asked.
func TestBootstrapWithoutHealth(t *testing.T) {
	m, ca, _ := started(t)
	m.task.Cluster.Kubelet.HealthzPort = new(int32(0))
	m.task.Join.Healthy = func(context.Context, string) error { return errors.New("nobody listens") }
	m.got(t, ca)
	if end, _, err := m.run(t, kubelet.BootstrapPhase()); err != nil || end != phases.Finished {
		t.Errorf("the end is %s, %v", end, err)
	}
}

// request is the kubelet's signing request.
func request(t *testing.T, cn string, status certificatesv1.CertificateSigningRequestStatus) *certificatesv1.CertificateSigningRequest {
	t.Helper()
	key, err := certs.NewKey(certs.ECDSAP256)
	if err != nil {
		t.Fatal(err)
	}
	r, err := certs.CreateRequest(clientLeaf(cn), key)
	if err != nil {
		t.Fatal(err)
	}
	return &certificatesv1.CertificateSigningRequest{
		TypeMeta:   metav1.TypeMeta{APIVersion: "certificates.k8s.io/v1", Kind: "CertificateSigningRequest"},
		ObjectMeta: metav1.ObjectMeta{Name: "csr-1"},
		Spec: certificatesv1.CertificateSigningRequestSpec{
			SignerName: certificatesv1.KubeAPIServerClientKubeletSignerName, Request: certs.EncodeRequest(r),
			Usages: []certificatesv1.KeyUsage{certificatesv1.UsageClientAuth},
		},
		Status: status,
	}
}

func TestBootstrapFails(t *testing.T) {
	type status = certificatesv1.CertificateSigningRequestStatus
	put := func(cn string, s status) func(*testing.T, *machine, *kube.Memory) {
		return func(t *testing.T, _ *machine, memory *kube.Memory) {
			if err := memory.Set(request(t, cn, s)); err != nil {
				t.Fatal(err)
			}
		}
	}
	condition := func(c certificatesv1.RequestConditionType) status {
		return status{Conditions: []certificatesv1.CertificateSigningRequestCondition{{Type: c, Status: corev1.ConditionTrue}}}
	}
	const node = "system:node:cp-1"
	cases := map[string]struct {
		reason string
		change func(*testing.T, *machine, *kube.Memory)
		says   string
		code   phases.Code
		within time.Duration
	}{
		"NoRequest":   {"the kubelet does not reach the cluster", func(*testing.T, *machine, *kube.Memory) {}, "has not asked", phases.CodeTimeout, time.Minute},
		"OtherNode":   {"only another node asks", put("system:node:other", status{}), "has not asked", phases.CodeTimeout, time.Minute},
		"NotApproved": {"nobody approves", put(node, status{}), "csr-1 is not approved", phases.CodeTimeout, time.Minute},
		"Denied":      {"somebody said no", put(node, condition(certificatesv1.CertificateDenied)), "csr-1 was denied", phases.CodeTimeout, time.Minute},
		"NotSigned":   {"the controller-manager is away", put(node, condition(certificatesv1.CertificateApproved)), "approved, but not signed", phases.CodeTimeout, time.Minute},
		"Crashes": {"the kubelet ends again and again", func(_ *testing.T, m *machine, _ *kube.Memory) {
			m.Handle("journalctl", func([]string) ([]byte, error) {
				return []byte("kubelet.service: Failed\nE: running with swap on is not supported\n"), nil
			})
			time.AfterFunc(5*time.Second, func() {
				m.SetService(config.KubeletUnit, host.ServiceStatus{Failed: true, Restarts: 3, Detail: "activating/auto-restart"})
			})
		}, "running with swap on", phases.CodeFailed, 6 * time.Second},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m, _, memory := started(t)
				c.change(t, m, memory)
				began := time.Now()
				_, _, err := m.run(t, kubelet.BootstrapPhase())
				if took := time.Since(began); took > c.within {
					t.Errorf("%s: took %s", c.reason, took)
				}
				var fault *phases.Fault
				if !errors.As(err, &fault) || fault.Code() != c.code || !strings.Contains(fault.Error(), c.says) || len(fault.Fixes) == 0 {
					t.Errorf("%s: %v, want code %d and %q", c.reason, err, c.code, c.says)
				}
				if strings.Contains(err.Error(), "abcdef.first") {
					t.Error("the token is told")
				}
				if _, err := m.Stat(t.Context(), bootstrapConf); err != nil {
					t.Errorf("%s: the kubelet cannot try on: %v", c.reason, err)
				}
			})
		})
	}
}

// Ends of the time before it was configured say nothing of the kubelet.
func TestBootstrapAfterCrashes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, ca, _ := started(t)
		m.SetService(config.KubeletUnit, host.ServiceStatus{Failed: true, Restarts: 70})
		time.AfterFunc(5*time.Second, func() { m.got(t, ca) })
		if end, _, err := m.run(t, kubelet.BootstrapPhase()); err != nil || end != phases.Finished {
			t.Errorf("the end is %s, %v", end, err)
		}
	})
}

func TestBootstrapUnhealthy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, ca, _ := started(t)
		m.got(t, ca)
		m.task.Join.Healthy = func(context.Context, string) error { return errors.New("connection refused") }
		_, _, err := m.run(t, kubelet.BootstrapPhase())
		var timeout *wait.TimeoutError
		if !errors.As(err, &timeout) || timeout.LimitName != "timeouts.kubeletHealthCheck" || timeout.Limit != 10*time.Second {
			t.Errorf("%v, want a timeout of the health", err)
		}
	})
}

// A kubelet that waited long for its certificate would register its node much
// later; one that got it soon is left alone.
func TestBootstrapLate(t *testing.T) {
	for name, c := range map[string]struct {
		reason string
		after  time.Duration
		want   int
	}{
		"Soon": {"the next try to register comes soon", time.Second, 0},
		"Late": {"the tries have become rare", 8 * time.Second, 1},
		"Near": {"they are rare, and one is about to come", 12 * time.Second, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m, ca, _ := started(t)
				got := 0
				m.HandleService(config.KubeletUnit, func(a host.ServiceAction) error {
					if a == host.RestartService {
						got++
					}
					return nil
				})
				time.AfterFunc(c.after, func() { m.got(t, ca) })
				if end, _, err := m.run(t, kubelet.BootstrapPhase()); err != nil || end != phases.Finished {
					t.Fatalf("the end is %s, %v", end, err)
				}
				if got != c.want {
					t.Errorf("%s: the kubelet was started anew %d times, want %d", c.reason, got, c.want)
				}
			})
		})
	}
}
