package health_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/config/goldentest"
	"github.com/hactl/hactl/etcd"
	"github.com/hactl/hactl/phases/health"
	"github.com/hactl/hactl/phases/kube"
)

func TestGatherGolden(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		r := health.Gather(t.Context(), &w.task)
		data, err := json.MarshalIndent(r, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(data, []byte(secret)) {
			t.Error("the report shows the secret of a token")
		}
		goldentest.Check(t, "report.golden", append(data, '\n'))
		if diff := cmp.Diff([]health.Finding{}, health.Judge(r)); diff != "" {
			t.Errorf("a healthy cluster needs attention: -want +got\n%s", diff)
		}
	})
}

// Each case breaks one thing: it costs less than three seconds, is told with
// a fix, and the other parts are there.
func TestGatherAndJudge(t *testing.T) {
	refused := fails(&url.Error{Op: "Get", Err: syscall.ECONNREFUSED})
	cases := map[string]struct {
		reason string
		change func(*world)
		want   []string // in order, a part of each finding
	}{
		"DeadNode": {"its three troubles are one finding", func(w *world) {
			n := node("cp-2", "10.0.0.12")
			n.Labels = map[string]string{"node-role.kubernetes.io/control-plane": ""}
			n.Status.Conditions[0].Status, n.Status.Conditions[0].Message = corev1.ConditionUnknown, "Kubelet stopped posting node status."
			w.set(n)
			w.kill("cp-2")
			w.answers["https://10.0.0.12:6443"] = hang
		}, []string{"cp-2: the node is not ready (Kubelet stopped posting node status); its etcd member does not answer; its API server: timeout"}},
		"NoQuorum": {"lists hang then", func(w *world) {
			w.kill("cp-2")
			w.kill("cp-3")
			w.task.APIs = []kube.API{slow{w.api}}
		}, []string{"etcd has no quorum: 1 of 3", "the nodes cannot be listed: no answer", "cp-2: its etcd", "cp-3: its etcd"}},
		"OwnServerDown": {"the endpoint leads to another one", func(w *world) {
			w.task.APIs = []kube.API{hanging{}, w.api}
			w.answers["https://10.0.0.11:6443"] = refused
		}, []string{"cp-1: its API server: refused"}},
		"AllServersDown": {"etcd is asked all the same", func(w *world) {
			w.task.APIs = []kube.API{hanging{}, hanging{}}
			w.answers["https://10.0.0.11:6443"] = refused
			w.answers["https://lb.example.com:6443"] = hang
		}, []string{"the nodes cannot be listed: no answer within 2s", "cp-1: its API server: refused", "the control-plane endpoint https://lb.example.com:6443: timeout"}},
		"EtcdHostDead": {"no node tells of it", func(w *world) {
			w.etcd.Join("etcd-4", "https://10.0.0.34:2380")
			w.kill("etcd-4")
			if err := w.host.Remove(w.t.Context(), "/etc/kubernetes/manifests/etcd.yaml"); err != nil {
				w.t.Fatal(err)
			}
			w.manifest("kube-apiserver", "--advertise-address=10.0.0.11", "--secure-port=6443", "--client-ca-file=/etc/kubernetes/pki/ca.crt",
				"--etcd-servers=https://10.0.0.34:2379", "--etcd-cafile=/etc/etcd/ca.crt")
		}, []string{"etcd host etcd-4 does not answer"}},
		"EtcdSilent": {"the reason is told", func(w *world) {
			w.etcd.Intercept(func(etcd.Method) error { return etcd.ErrUnreachable })
		}, []string{"etcd cannot be asked: no etcd member answers"}},
		"OtherCluster": {"the load balancer leads elsewhere", func(w *world) {
			w.answers["https://lb.example.com:6443"] = fails(&url.Error{Op: "Get", Err: x509.UnknownAuthorityError{}})
		}, []string{"endpoint https://lb.example.com:6443: other CA"}},
		"OtherName": {"a SAN is missing", func(w *world) {
			w.answers["https://lb.example.com:6443"] = fails(x509.HostnameError{Certificate: &x509.Certificate{}, Host: "lb.example.com"})
		}, []string{"endpoint https://lb.example.com:6443: other name"}},
		"Closed": {"the load balancer has no backends", func(w *world) {
			w.answers["https://lb.example.com:6443"] = fails(&url.Error{Op: "Get", Err: io.EOF})
		}, []string{"endpoint https://lb.example.com:6443: closed"}},
		"NotReady": {"it answers with an error", func(w *world) {
			w.answers["https://10.0.0.13:6443"] = func(context.Context) (health.Answer, error) { return health.Answer{Status: 500}, nil }
		}, []string{"cp-3: its API server: not ready"}},
		"ClosedToStrangers": {"an answer is an answer", func(w *world) {
			w.answers["https://10.0.0.13:6443"] = func(context.Context) (health.Answer, error) { return health.Answer{Status: 401}, nil }
		}, nil},
		"Skew": {"TLS would break", func(w *world) {
			w.answers["https://10.0.0.13:6443"] = func(context.Context) (health.Answer, error) {
				return health.Answer{Status: 200, Date: w.now().Add(-time.Minute)}, nil
			}
		}, []string{"the clock of cp-3 is 60 s from this node's"}},
		"Two": {"worse than one", func(w *world) {
			report, _ := w.etcd.Health(w.t.Context())
			if err := w.etcd.Remove(w.t.Context(), report.Members[2].ID); err != nil {
				w.t.Fatal(err)
			}
		}, []string{"with two voting members"}},
		"Learner": {"a join has not ended", func(w *world) {
			time.Sleep(10 * time.Second)
			if _, err := w.etcd.AddLearner(w.t.Context(), "https://10.0.0.14:2380"); err != nil {
				w.t.Fatal(err)
			}
		}, []string{"etcd member 10.0.0.14 has no vote yet"}},
		"Orphan": {"its node was deleted", func(w *world) {
			if err := w.api.Delete(w.t.Context(), node("cp-3", "")); err != nil {
				w.t.Fatal(err)
			}
		}, []string{"etcd member cp-3 belongs to no node"}},
		"Removed": {"the pods of a removed node stay for a minute", func(w *world) {
			report, _ := w.etcd.Health(w.t.Context())
			if err := errors.Join(w.api.Delete(w.t.Context(), node("cp-3", "")), w.etcd.Remove(w.t.Context(), report.Members[2].ID)); err != nil {
				w.t.Fatal(err)
			}
			w.answers["https://10.0.0.13:6443"] = hang
		}, []string{"with two voting members"}},
		"AlarmAndLag": {"the member says so itself", func(w *world) {
			if err := w.etcd.Edit("cp-3", func(m *etcd.MemberHealth) { m.Alarms, m.Lag = []string{"NOSPACE"}, 5000 }); err != nil {
				w.t.Fatal(err)
			}
		}, []string{"cp-3 raises the alarm NOSPACE", "cp-3 is 5000 entries behind"}},
		"Expired": {"the kubelet does not renew its own", func(w *world) {
			w.file("/var/lib/kubelet/pki/kubelet-client-current.pem", certificate(w.t, "system:node:cp-1", clock.Add(-time.Hour), false))
			w.file("/etc/kubernetes/pki/apiserver.crt", certificate(w.t, "kube-apiserver", clock.AddDate(0, 0, 20), false))
		}, []string{"kubelet-client-current.pem expired at", "apiserver.crt expires in 47h"}},
		"Broken": {"the others are listed", func(w *world) {
			w.file("/etc/kubernetes/pki/apiserver.crt", "nonsense")
			w.file("/etc/kubernetes/admin.conf", "{")
		}, []string{"/etc/kubernetes/admin.conf cannot be used", "apiserver.crt cannot be used"}},
		"KubeletGone": {"kubelet.conf points to nothing", func(w *world) {
			if err := w.host.Remove(w.t.Context(), "/var/lib/kubelet/pki/kubelet-client-current.pem"); err != nil {
				w.t.Fatal(err)
			}
		}, []string{"kubelet-client-current.pem cannot be used"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				c.change(w)
				if name == "Expired" {
					// Its short life: 21 days, of which the last tenth counts.
					w.start = w.start.Add(-18*24*time.Hour - time.Hour)
				}
				began := time.Now()
				r := health.Gather(t.Context(), &w.task)
				if took := time.Since(began); took >= 3*time.Second {
					t.Errorf("%s: took %s", c.reason, took)
				}
				found := health.Judge(r)
				for i, f := range found {
					if i >= len(c.want) || !strings.Contains(f.What, c.want[i]) || len(f.Fix) == 0 {
						t.Errorf("%s: finding %d: %q, fix %q", c.reason, i, f.What, f.Fix)
					}
				}
				if len(found) != len(c.want) {
					t.Errorf("%s: %d findings, want %d", c.reason, len(found), len(c.want))
				}
			})
		})
	}
}

func TestEtcdAccess(t *testing.T) {
	external := &config.ExternalEtcd{Endpoints: []string{"https://10.0.9.1:2379"}, CAFile: "/etc/etcd/ca.crt", CertFile: "/etc/etcd/c.crt", KeyFile: "/etc/etcd/c.key"}
	all := []string{"https://10.0.0.11:2379", "https://10.0.0.12:2379", "https://10.0.0.13:2379"}
	remove := func(w *world, names ...string) {
		for _, n := range names {
			if err := w.host.Remove(w.t.Context(), "/etc/kubernetes/manifests/"+n+".yaml"); err != nil {
				w.t.Fatal(err)
			}
		}
	}
	cases := map[string]struct {
		reason string
		change func(*world)
		want   health.EtcdAccess
	}{
		"All":      {"this node's first", func(*world) {}, health.EtcdAccess{Endpoints: all, CertDir: "/etc/kubernetes/pki"}},
		"NoAPI":    {"this node's alone", func(w *world) { w.task.APIs = []kube.API{hanging{}} }, health.EtcdAccess{Endpoints: all[:1], CertDir: "/etc/kubernetes/pki"}},
		"NoMember": {"its manifest is away", func(w *world) { remove(w, "etcd") }, health.EtcdAccess{Endpoints: all, CertDir: "/etc/kubernetes/pki"}},
		"Nothing":  {"there is always the local one", func(w *world) { remove(w, "etcd", "kube-apiserver"); w.task.APIs = nil }, health.EtcdAccess{Endpoints: []string{"https://127.0.0.1:2379"}, CertDir: "/etc/kubernetes/pki"}},
		"External": {"the API server's flags", func(w *world) {
			remove(w, "etcd")
			w.manifest("kube-apiserver", "--client-ca-file=/etc/kubernetes/pki/ca.crt", "--etcd-servers=https://10.0.9.1:2379",
				"--etcd-cafile=/etc/etcd/ca.crt", "--etcd-certfile=/etc/etcd/c.crt", "--etcd-keyfile=/etc/etcd/c.key")
		}, health.EtcdAccess{Endpoints: external.Endpoints, CertDir: "/etc/kubernetes/pki", External: external}},
		"Configured": {"without manifests, the cluster's configuration", func(w *world) {
			remove(w, "etcd", "kube-apiserver")
			w.api.Intercept(func(_ kube.Verb, o runtime.Object) error {
				if _, ok := o.(*corev1.PodList); ok {
					return errors.New("no pods")
				}
				return nil
			})
			w.task.Cluster = func(context.Context, kube.API) (*config.Cluster, error) {
				return &config.Cluster{Etcd: config.Etcd{External: external}}, nil
			}
		}, health.EtcdAccess{Endpoints: external.Endpoints, CertDir: "/etc/kubernetes/pki", External: external}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				c.change(w)
				health.Gather(t.Context(), &w.task)
				if diff := cmp.Diff(c.want, w.dialled); diff != "" {
					t.Errorf("%s: -want +got\n%s", c.reason, diff)
				}
			})
		})
	}
}
