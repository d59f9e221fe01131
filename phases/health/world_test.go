package health_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/etcd"
	"github.com/hactl/hactl/phases/health"
	"github.com/hactl/hactl/phases/host"
	"github.com/hactl/hactl/phases/kube"
)

// secret is what no report may show.
const secret = "0123456789abcdef"

// world is a cluster of three control planes, a worker and a load balancer, seen from
// cp-1.
type world struct {
	t       *testing.T
	host    *host.Memory
	api     *kube.Memory
	etcd    *etcd.Memory
	start   time.Time
	mu      sync.Mutex
	answers map[string]func(context.Context) (health.Answer, error) // by URL
	dialled health.EtcdAccess
	task    health.Task
}

var clock = time.Date(2026, 11, 21, 4, 0, 0, 0, time.UTC)

// newWorld must be called in a bubble.
func newWorld(t *testing.T) *world {
	w := &world{
		t: t, host: host.NewMemory(), api: kube.NewMemory(), start: time.Now(),
		etcd:    etcd.NewMemory("cp-1", "https://10.0.0.11:2380"),
		answers: map[string]func(context.Context) (health.Answer, error){},
	}
	w.etcd.Join("cp-2", "https://10.0.0.12:2380")
	w.etcd.Join("cp-3", "https://10.0.0.13:2380")
	for n := 1; n <= 3; n++ {
		w.controlPlane(n)
	}
	w.set(node("w-1", "10.0.0.21"))
	w.set(token("abcdef", map[string]string{"expiration": "2026-11-21T05:00:00Z", "usage-bootstrap-signing": "true", "usage-bootstrap-authentication": "true"}))
	w.set(token("proxy0", map[string]string{"expiration": "2026-11-21T06:00:00Z"}))
	uploaded := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "kubeadm-certs"}}
	yes := true
	uploaded.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "Secret", Name: "bootstrap-token-proxy0", UID: "1", Controller: &yes}}
	w.set(uploaded)
	w.files()
	w.task = health.Task{
		Files: w.host, APIs: []kube.API{w.api}, Kubeconfig: "/etc/kubernetes/admin.conf", Node: "cp-1",
		Now: w.now, Ask: w.ask,
		Dial: func(_ context.Context, a health.EtcdAccess) (etcd.Cluster, func() error, error) {
			w.dialled = a
			return w.etcd, func() error { return nil }, nil
		},
		ParseToken: parse,
		Cluster: func(context.Context, kube.API) (*config.Cluster, error) {
			return &config.Cluster{}, nil
		},
	}
	return w
}

func parse(s *corev1.Secret) (config.Token, error) {
	id := string(s.Data["token-id"])
	t := config.Token{Value: config.Secret(id + "." + secret)}
	for key := range s.Data {
		if usage, ok := strings.CutPrefix(key, "usage-bootstrap-"); ok {
			t.Usages = append(t.Usages, usage)
		}
	}
	if len(t.Usages) > 1 {
		t.Usages = []string{"authentication", "signing"}
	}
	t.Expires, _ = time.Parse(time.RFC3339, string(s.Data["expiration"]))
	return t, nil
}

func token(id string, data map[string]string) *corev1.Secret {
	s := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "bootstrap-token-" + id},
		Type:       "bootstrap.kubernetes.io/token", Data: map[string][]byte{"token-id": []byte(id), "token-secret": []byte(secret)},
	}
	for k, v := range data {
		s.Data[k] = []byte(v)
	}
	return s
}

func node(name, address string) *corev1.Node {
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}
	n.Status.NodeInfo.KubeletVersion = "v1.37.1"
	n.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: address}}
	n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}
	return n
}

func (w *world) controlPlane(n int) {
	name, address := fmt.Sprintf("cp-%d", n), fmt.Sprintf("10.0.0.1%d", n)
	o := node(name, address)
	o.Labels = map[string]string{"node-role.kubernetes.io/control-plane": ""}
	w.set(o)
	w.set(&corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "kube-system", Name: "etcd-" + name, Labels: map[string]string{"component": "etcd", "tier": "control-plane"},
			Annotations: map[string]string{"kubeadm.kubernetes.io/etcd.advertise-client-urls": "https://" + address + ":2379"},
		},
		Spec: corev1.PodSpec{NodeName: name},
	})
	w.set(&corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "kube-system", Name: "kube-apiserver-" + name, Labels: map[string]string{"component": "kube-apiserver", "tier": "control-plane"},
			Annotations: map[string]string{"kubeadm.kubernetes.io/kube-apiserver.advertise-address.endpoint": address + ":6443"},
		},
		Spec: corev1.PodSpec{NodeName: name},
	})
}

func (w *world) set(o kube.Object) {
	w.t.Helper()
	if err := w.api.Set(o); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) file(name, content string) {
	w.t.Helper()
	if err := w.host.WriteFile(w.t.Context(), name, []byte(content), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) files() {
	year := clock.AddDate(1, 0, 0)
	w.file("/etc/kubernetes/pki/ca.crt", certificate(w.t, "kubernetes", clock.AddDate(10, 0, 0), true))
	w.file("/etc/kubernetes/pki/apiserver.crt", certificate(w.t, "kube-apiserver", year, false))
	w.file("/etc/kubernetes/pki/etcd/server.crt", certificate(w.t, "cp-1", year, false))
	w.file("/etc/kubernetes/admin.conf", kubeconfig("client-certificate-data: "+
		base64.StdEncoding.EncodeToString([]byte(certificate(w.t, "kubernetes-admin", year, false)))))
	w.file("/etc/kubernetes/kubelet.conf", kubeconfig("client-certificate: /var/lib/kubelet/pki/kubelet-client-current.pem"))
	w.file("/var/lib/kubelet/pki/kubelet-client-current.pem", certificate(w.t, "system:node:cp-1", year.AddDate(0, 0, -1), false))
	w.manifest("kube-apiserver", "--advertise-address=10.0.0.11", "--secure-port=6443", "--client-ca-file=/etc/kubernetes/pki/ca.crt",
		"--etcd-servers=https://127.0.0.1:2379", "--etcd-cafile=/etc/kubernetes/pki/etcd/ca.crt")
	w.manifest("etcd", "--name=cp-1", "--advertise-client-urls=https://10.0.0.11:2379")
}

func (w *world) manifest(name string, flags ...string) {
	data, err := json.Marshal(corev1.Pod{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		Spec:     corev1.PodSpec{Containers: []corev1.Container{{Name: name, Command: append([]string{name}, flags...)}}},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.file("/etc/kubernetes/manifests/"+name+".yaml", string(data))
}

func kubeconfig(user string) string {
	return `apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "https://lb.example.com:6443"}}]
users: [{name: u, user: {` + user + `}}]
contexts: [{name: x, context: {cluster: c, user: u}}]
current-context: x
`
}

func certificate(t *testing.T, name string, until time.Time, ca bool) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: clock.AddDate(0, 0, -1), NotAfter: until, IsCA: ca, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func (w *world) now() time.Time { return clock.Add(time.Since(w.start)) }

func (w *world) ask(ctx context.Context, url string, _ []byte) (health.Answer, error) {
	w.mu.Lock()
	answer := w.answers[url]
	w.mu.Unlock()
	if answer != nil {
		return answer(ctx)
	}
	return health.Answer{Status: http.StatusOK, Date: w.now().Truncate(time.Second)}, nil
}

func (w *world) kill(name string) {
	w.t.Helper()
	if err := w.etcd.Kill(name); err != nil {
		w.t.Fatal(err)
	}
}

func hang(ctx context.Context) (health.Answer, error) {
	<-ctx.Done()
	return health.Answer{}, &url.Error{Op: "Get", Err: ctx.Err()}
}

func fails(err error) func(context.Context) (health.Answer, error) {
	return func(context.Context) (health.Answer, error) { return health.Answer{}, err }
}

// hanging is an API that never answers.
type hanging struct{ kube.API }

func (hanging) Raw(ctx context.Context, _ string) ([]byte, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// slow is an API that only says that it lives: etcd behind it is gone.
type slow struct{ kube.API }

func (slow) List(ctx context.Context, _ runtime.Object, _, _ string) error {
	<-ctx.Done()
	return ctx.Err()
}
