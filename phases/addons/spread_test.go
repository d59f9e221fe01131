package addons_test

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/addons"
	"github.com/hactl/hactl/phases/kube"
)

func TestSpread(t *testing.T) {
	cases := map[string]struct {
		reason string
		nodes  string // name, and a star if it is Ready
		pods   string // the nodes of the replicas
		later  bool   // cp-2 becomes Ready after 3 s
		left   string // nodes of the replicas that nobody deleted
		warned bool
	}{
		"Crowd":    {"all on the first node", "cp-1* cp-2*", "cp-1 cp-1", false, "cp-1", false},
		"Later":    {"the node is Ready after a moment", "cp-1* cp-2", "cp-1 cp-1", true, "cp-1", false},
		"Never":    {"the node has no network: nothing is deleted", "cp-1* cp-2", "cp-1 cp-1", false, "cp-1 cp-1", true},
		"Spread":   {"they are on two nodes", "cp-1* cp-2*", "cp-1 cp-3", false, "cp-1 cp-3", false},
		"Pending":  {"one is not scheduled yet", "cp-1* cp-2*", "cp-1 -", false, "cp-1 -", false},
		"One":      {"there is one replica only", "cp-1* cp-2*", "cp-1", false, "cp-1", false},
		"OnThis":   {"the crowd is on this node", "cp-1* cp-2*", "cp-2 cp-2", false, "cp-2 cp-2", false},
		"NoCNI":    {"no node has a network: nobody waits", "cp-1 cp-2", "cp-1 cp-1", false, "cp-1 cp-1", false},
		"Disabled": {"the cluster has no CoreDNS", "cp-1* cp-2*", "", false, "", false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				api := kube.NewMemory()
				for _, n := range strings.Fields(c.nodes) {
					set(t, api, node(strings.TrimSuffix(n, "*"), strings.HasSuffix(n, "*")))
				}
				for i, at := range strings.Fields(c.pods) {
					p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: fmt.Sprint("coredns-", i), Labels: map[string]string{"k8s-app": "kube-dns"}}}
					p.Spec.NodeName = strings.Trim(at, "-")
					if at != "-" {
						p.Spec.NodeName = at
					}
					set(t, api, p)
				}
				if c.later {
					time.AfterFunc(3*time.Second, func() { set(t, api, node("cp-2", true)) })
				}
				warned := false
				s := &addons.Spread{API: api, NodeName: "cp-2", Limit: 20 * time.Second}
				err := phases.Run(t.Context(), []phases.Phase[addons.Spread]{addons.SpreadPhase()}, s, phases.Options{Notify: func(e phases.Event) {
					warned = warned || e.Kind == phases.Warning
				}})
				if err != nil {
					t.Fatalf("%s: %v", c.reason, err)
				}
				pods := &corev1.PodList{}
				if err := api.List(t.Context(), pods, "kube-system", ""); err != nil {
					t.Fatal(err)
				}
				var left []string
				for _, p := range pods.Items {
					at := p.Spec.NodeName
					if at == "" {
						at = "-"
					}
					left = append(left, at)
				}
				if diff := cmp.Diff(c.left, strings.Join(left, " ")); diff != "" || warned != c.warned {
					t.Errorf("%s: warned %v, want %v; replicas left: -want +got\n%s", c.reason, warned, c.warned, diff)
				}
			})
		})
	}
}

// The API server ends, for a moment or for good, while another control plane
// joins. The node has joined, so nothing fails.
func TestSpreadWithoutServer(t *testing.T) {
	for name, c := range map[string]struct {
		reason string
		on     kube.Verb
		times  int // that it does not answer
		left   int // replicas that nobody deleted
		warned bool
	}{
		"List":   {"asked again", kube.List, 3, 1, false},
		"Delete": {"deleted again", kube.Delete, 3, 1, false},
		"Gone":   {"nothing is known of the replicas, and that is said", kube.List, 1000, 2, true},
		"Kept":   {"nothing is deleted, and that is said", kube.Delete, 1000, 2, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				api := kube.NewMemory()
				set(t, api, node("cp-1", true))
				set(t, api, node("cp-2", true))
				for i := range 2 {
					p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: fmt.Sprint("coredns-", i), Labels: map[string]string{"k8s-app": "kube-dns"}}}
					p.Spec.NodeName = "cp-1"
					set(t, api, p)
				}
				times := c.times
				api.Intercept(func(v kube.Verb, _ runtime.Object) error {
					if v != c.on || times == 0 {
						return nil
					}
					times--
					return io.ErrUnexpectedEOF
				})
				warnings := 0
				s := &addons.Spread{API: api, NodeName: "cp-2", Limit: 20 * time.Second}
				err := phases.Run(t.Context(), []phases.Phase[addons.Spread]{addons.SpreadPhase()}, s, phases.Options{Notify: func(e phases.Event) {
					if e.Kind == phases.Warning {
						warnings++
					}
				}})
				if err != nil || warnings > 1 || (warnings == 1) != c.warned {
					t.Errorf("%s: %v, %d warnings", c.reason, err, warnings)
				}
				api.Intercept(nil)
				pods := &corev1.PodList{}
				if err := api.List(t.Context(), pods, "kube-system", ""); err != nil || len(pods.Items) != c.left {
					t.Errorf("%s: %d replicas left, want %d; %v", c.reason, len(pods.Items), c.left, err)
				}
			})
		})
	}
}

func node(name string, ready bool) *corev1.Node {
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if ready {
		n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}
	}
	return n
}

func set(t *testing.T, api *kube.Memory, obj kube.Object) {
	t.Helper()
	if err := api.Set(obj); err != nil {
		t.Error(err)
	}
}
