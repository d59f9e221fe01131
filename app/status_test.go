package app

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/config/goldentest"
	"github.com/hactl/hactl/etcd"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/health"
	"github.com/hactl/hactl/phases/host"
)

// trio is a world in which init has run and two control planes have joined.
type trio struct {
	*world
	etcd *etcd.Memory
	dead map[string]bool // API servers, by URL
}

func threeNodes(t *testing.T, f func(*testing.T, *trio)) {
	t.Helper()
	cluster(t, func(t *testing.T, w *world) {
		c := &trio{world: w, etcd: etcd.NewMemory("cp-1", "https://10.0.0.11:2380"), dead: map[string]bool{}}
		w.file("/var/lib/kubelet/pki/kubelet-client-current.pem", newAuthority(t, w.now(), "system:node:cp-1").pem, 0o600)
		for n := 1; n <= 3; n++ {
			c.controlPlane(n, true)
		}
		f(t, c)
	})
}

func (c *trio) controlPlane(n int, ready bool) {
	name, address := fmt.Sprintf("cp-%d", n), fmt.Sprintf("10.0.0.1%d", n)
	if n > 1 && ready {
		c.etcd.Join(name, "https://"+address+":2380")
	}
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{config.ControlPlaneRole: ""}}}
	node.Status.NodeInfo.KubeletVersion = "v1.37.1"
	node.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: address}}
	condition := corev1.NodeCondition{Type: corev1.NodeReady, Status: corev1.ConditionTrue}
	if !ready {
		condition.Status, condition.Message = corev1.ConditionUnknown, "Kubelet stopped posting node status."
	}
	node.Status.Conditions = []corev1.NodeCondition{condition}
	if err := c.api.Set(node, pod(name, "etcd", "etcd.advertise-client-urls", "https://"+address+":2379"),
		pod(name, "kube-apiserver", "kube-apiserver.advertise-address.endpoint", address+":6443")); err != nil {
		c.t.Fatal(err)
	}
}

// pod is a mirror pod of a control plane with kubeadm's annotation.
func pod(node, component, annotation, value string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "kube-system", Name: component + "-" + node,
			Labels:      map[string]string{"component": component, "tier": "control-plane"},
			Annotations: map[string]string{"kubeadm.kubernetes.io/" + annotation: value},
		},
		Spec: corev1.PodSpec{NodeName: node},
	}
}

// burn makes the machine of a control plane go away.
func (c *trio) burn(n int) {
	if err := c.etcd.Kill(fmt.Sprintf("cp-%d", n)); err != nil {
		c.t.Fatal(err)
	}
	c.controlPlane(n, false)
	c.dead[fmt.Sprintf("https://10.0.0.1%d:6443", n)] = true
}

func (c *trio) ports() ports {
	p := c.world.ports()
	p.dialEtcd = func(context.Context, host.Files, string, []string) (etcd.Cluster, func() error, error) {
		return c.etcd, func() error { return nil }, nil
	}
	p.askServer = func(_ context.Context, server string, _ []byte) (health.Answer, error) {
		if c.dead[server] {
			return health.Answer{}, &url.Error{Op: "Get", URL: server, Err: syscall.EHOSTUNREACH}
		}
		return health.Answer{Status: 200, Date: c.now().Truncate(time.Second)}, nil
	}
	return p
}

func TestStatus(t *testing.T) {
	cases := map[string]struct {
		reason  string
		change  func(*trio)
		healthy bool
	}{
		"healthy": {"all is well", func(*trio) {}, true},
		"dead":    {"a machine is gone", func(c *trio) { c.burn(2) }, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			threeNodes(t, func(t *testing.T, w *trio) {
				c.change(w)
				r, err := statusOver(t.Context(), w.ports(), StatusInput{})
				if err != nil {
					t.Fatal(Explain(err))
				}
				if r.Healthy != c.healthy || c.healthy != (len(r.Findings) == 0) {
					t.Errorf("%s: healthy %v, %+v", c.reason, r.Healthy, r.Findings)
				}
				var text bytes.Buffer
				if err := r.Text(&text); err != nil {
					t.Fatal(err)
				}
				for line := range strings.Lines(text.String()) {
					if n := len([]rune(line)); n > 101 && !strings.Contains(line, "fix  ") && !strings.HasPrefix(line, "  ") {
						t.Errorf("%d columns: %s", n, line)
					}
				}
				data, err := json.MarshalIndent(r, "", "  ")
				if err != nil {
					t.Fatal(err)
				}
				if secret := strings.TrimPrefix(knownToken, "abcdef."); bytes.Contains(data, []byte(secret)) || strings.Contains(text.String(), secret) {
					t.Error("the status shows the secret of a token")
				}
				goldentest.Check(t, "status-"+name+".txt", text.String())
				goldentest.Check(t, "status-"+name+".json", string(data)+"\n")
			})
		})
	}
}

func TestStatusWithoutCluster(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		_, err := statusOver(t.Context(), w.ports(), StatusInput{})
		if err == nil || Explain(err).Code != phases.CodeUsage || len(Explain(err).Fix) == 0 {
			t.Errorf("a node that knows no cluster: %v", err)
		}
	})
}
