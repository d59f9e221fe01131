package removal_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/hactl/hactl/etcd"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/kube"
	"github.com/hactl/hactl/phases/removal"
)

// world is a cluster of three control planes and a worker, seen from cp-1.
type world struct {
	t    *testing.T
	api  *kube.Memory
	etcd *etcd.Memory
	task removal.Task
}

func peer(n int) string { return fmt.Sprintf("https://10.0.0.1%d:2380", n) }

func newWorld(t *testing.T, name string) *world {
	w := &world{t: t, api: kube.NewMemory(), etcd: etcd.NewMemory("cp-1", peer(1))}
	w.etcd.Join("cp-2", peer(2))
	w.etcd.Join("cp-3", peer(3))
	for n := 1; n <= 3; n++ {
		w.node(fmt.Sprintf("cp-%d", n), fmt.Sprintf("10.0.0.1%d", n), true)
	}
	w.node("w-1", "10.0.0.21", true)
	w.lease("kube-node-lease", "cp-2", "cp-2", nil)
	w.lease("kube-system", "hactl-etcd-join", "cp-2", nil)
	w.lease("kube-system", "apiserver-aaa", "apiserver-aaa_1", apiServer("cp-1"))
	w.lease("kube-system", "apiserver-bbb", "apiserver-bbb_1", apiServer("cp-2"))
	w.task = removal.Task{
		API: w.api, Etcd: w.etcd, Name: name, Here: []string{"cp-1", "10.0.0.11"},
		EtcdLimit: 20 * time.Second, APILimit: 20 * time.Second,
	}
	return w
}

func apiServer(host string) map[string]string {
	return map[string]string{"apiserver.kubernetes.io/identity": "kube-apiserver", "kubernetes.io/hostname": host}
}

func (w *world) set(o kube.Object) {
	w.t.Helper()
	if err := w.api.Set(o); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) node(name, address string, ready bool) {
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if strings.HasPrefix(name, "cp-") {
		n.Labels = map[string]string{"node-role.kubernetes.io/control-plane": ""}
	}
	n.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: address}}
	status := corev1.ConditionUnknown
	if ready {
		status = corev1.ConditionTrue
	}
	n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: status}}
	w.set(n)
}

func (w *world) lease(namespace, name, holder string, labels map[string]string) {
	w.set(&coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: labels},
		Spec:       coordinationv1.LeaseSpec{HolderIdentity: &holder},
	})
}

// burn makes a control plane's machine go away.
func (w *world) burn(n int) {
	name := fmt.Sprintf("cp-%d", n)
	w.node(name, "10.0.0.1"+fmt.Sprint(n), false)
	if err := w.etcd.Kill(name); err != nil {
		w.t.Fatal(err)
	}
}

// dies is burn, seen before the cluster takes the node for lost.
func (w *world) dies(n int) {
	w.t.Helper()
	if err := w.etcd.Kill(fmt.Sprintf("cp-%d", n)); err != nil {
		w.t.Fatal(err)
	}
}

// renew renews a node's lease, as its kubelet does.
func (w *world) renew(name string) {
	now := metav1.NowMicro()
	w.set(&coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Namespace: "kube-node-lease", Name: name},
		Spec:       coordinationv1.LeaseSpec{HolderIdentity: &name, RenewTime: &now},
	})
}

func (w *world) run(ctx context.Context) (warnings []string, err error) {
	err = phases.Run(ctx, removal.Phases(), &w.task, phases.Options{Notify: func(e phases.Event) {
		if e.Kind == phases.Warning {
			warnings = append(warnings, e.Reason)
		}
	}})
	return warnings, err
}

// left are the names of members, nodes and leases.
func (w *world) left() []string {
	w.t.Helper()
	report, err := w.etcd.Health(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	var names []string
	for _, m := range report.Members {
		names = append(names, "member "+m.Name)
	}
	nodes, leases := &corev1.NodeList{}, &coordinationv1.LeaseList{}
	if err := errors.Join(w.api.List(w.t.Context(), nodes, "", ""), w.api.List(w.t.Context(), leases, "", "")); err != nil {
		w.t.Fatal(err)
	}
	for _, n := range nodes.Items {
		names = append(names, "node "+n.Name)
	}
	for _, l := range leases.Items {
		names = append(names, "lease "+l.Name)
	}
	slices.Sort(names)
	return names
}

func TestRemove(t *testing.T) {
	cases := map[string]struct {
		reason string
		name   string
		change func(*world)
		gone   []string
		before int
		after  int
		warns  bool
	}{
		"Dead": {
			reason: "all that was the node's goes, and nothing else",
			name:   "cp-2", change: func(w *world) { w.burn(2) },
			gone:   []string{"lease apiserver-bbb", "lease cp-2", "lease hactl-etcd-join", "member cp-2", "node cp-2"},
			before: 3, after: 2,
		},
		"DiedJustNow": {
			reason: "the cluster still takes the node for ready, but it gives no sign of life",
			name:   "cp-2", change: func(w *world) { w.dies(2) },
			gone:   []string{"lease apiserver-bbb", "lease cp-2", "lease hactl-etcd-join", "member cp-2", "node cp-2"},
			before: 3, after: 2,
		},
		"NodeGone": {
			reason: "somebody deleted the Node: the member goes by its name",
			name:   "cp-3", change: func(w *world) { w.burn(3); w.without("cp-3") },
			gone: []string{"member cp-3", "node cp-3"}, before: 3, after: 2,
		},
		"QueueOfOthers": {
			reason: "another node holds the queue of joins",
			name:   "cp-3", change: func(w *world) { w.burn(3) },
			gone: []string{"member cp-3", "node cp-3"}, before: 3, after: 2,
		},
		"NeverStarted": {
			reason: "a learner without a name goes by the node's address",
			name:   "cp-4", change: func(w *world) { w.node("cp-4", "10.0.0.14", false); w.learner(peer(4)) },
			gone: []string{"member ", "node cp-4"}, before: 3, after: 3,
		},
		"ByAddress": {
			reason: "a learner without a node goes by its address",
			name:   "10.0.0.14", change: func(w *world) { w.learner(peer(4)) },
			gone: []string{"member "}, before: 3, after: 3,
		},
		"AddressReused": {
			reason: "cp-4 has the address of the dead cp-2 now: its member stays",
			name:   "cp-2", change: func(w *world) {
				w.node("cp-2", "10.0.0.14", false)
				w.node("cp-4", "10.0.0.14", true)
				w.etcd.Join("cp-4", peer(4))
				if err := w.etcd.Kill("cp-2"); err != nil {
					w.t.Fatal(err)
				}
			},
			gone:   []string{"lease apiserver-bbb", "lease cp-2", "lease hactl-etcd-join", "member cp-2", "node cp-2"},
			before: 4, after: 3,
		},
		"Worker": {
			reason: "there is only the Node",
			name:   "w-1", change: func(w *world) { w.node("w-1", "10.0.0.21", false) },
			gone: []string{"node w-1"}, before: 3, after: 3,
		},
		"Leftover": {
			reason: "an earlier run stopped before the leases",
			name:   "cp-9", change: func(w *world) { w.lease("kube-node-lease", "cp-9", "cp-9", nil) },
			gone: []string{"lease cp-9"}, before: 3, after: 3,
		},
		"Forced": {
			reason: "the user accepts what it costs, and is told",
			name:   "cp-2", change: func(w *world) { w.task.Force = true },
			gone:   []string{"lease apiserver-bbb", "lease cp-2", "lease hactl-etcd-join", "member cp-2", "node cp-2"},
			before: 3, after: 2, warns: true,
		},
		"External": {
			reason: "the members of an external etcd are not the nodes'",
			name:   "cp-2", change: func(w *world) { w.node("cp-2", "10.0.0.12", false); w.task.Etcd = nil },
			gone: []string{"lease apiserver-bbb", "lease cp-2", "lease hactl-etcd-join", "node cp-2"},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, c.name)
				before := w.left()
				c.change(w)
				before = slices.Compact(slices.Sorted(slices.Values(append(before, w.left()...))))
				warnings, err := w.run(t.Context())
				if err != nil {
					t.Fatalf("%s: %v", c.reason, err)
				}
				left := w.left()
				gone := slices.DeleteFunc(before, func(n string) bool { return slices.Contains(left, n) })
				if diff := cmp.Diff(c.gone, gone); diff != "" {
					t.Errorf("%s: -want +got\n%s", c.reason, diff)
				}
				if r := w.task.Result; r.VotersBefore != c.before || r.VotersAfter != c.after {
					t.Errorf("%s: %d → %d voters, want %d → %d", c.reason, r.VotersBefore, r.VotersAfter, c.before, c.after)
				}
				if c.warns != (len(warnings) > 0) {
					t.Errorf("%s: warnings %q", c.reason, warnings)
				}
			})
		})
	}
}

func (w *world) learner(peer string) {
	time.Sleep(10 * time.Second) // of the bubble: the members are connected
	if _, err := w.etcd.AddLearner(w.t.Context(), peer); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) without(node string) {
	if err := w.api.Delete(w.t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: node}}); err != nil {
		w.t.Fatal(err)
	}
}

func TestRefuse(t *testing.T) {
	cases := map[string]struct {
		reason string
		name   string
		change func(*world)
		code   phases.Code
		says   string
	}{
		"Here":      {"hactl reset does more", "cp-1", func(*world) {}, phases.CodeUsage, "cp-1 is this node"},
		"HereByIP":  {"the same by its address", "10.0.0.11", func(*world) {}, phases.CodeUsage, "is this node"},
		"HereAlias": {"its member has another name than the node", "other", func(w *world) { w.node("other", "10.0.0.11", false); w.without("cp-1") }, phases.CodeUsage, "is this node"},
		"Unknown":   {"a typing error must not look like success", "cp-22", func(*world) {}, phases.CodeUsage, `named "cp-22"`},
		"Ready":     {"the kubelet is alive", "w-1", func(*world) {}, phases.CodeUnsafe, "its kubelet reports that it is ready"},
		"Answers":   {"only the kubelet is dead", "cp-2", func(w *world) { w.node("cp-2", "10.0.0.12", false) }, phases.CodeUnsafe, "its etcd member answers"},
		"Renews": {"only its etcd is dead", "cp-2", func(w *world) {
			w.dies(2)
			time.AfterFunc(9*time.Second, func() { w.renew("cp-2") })
		}, phases.CodeUnsafe, "its kubelet reports that it is ready"},
		"NoQuorum": {"etcd cannot change anything", "cp-2", func(w *world) { w.burn(2); w.burn(3) }, phases.CodeUnsafe, "1 of 3 voting members answer"},
		"Forced": {"force does not buy a quorum", "cp-3", func(w *world) {
			w.burn(2)
			w.task.Force = true
		}, phases.CodeUnsafe, "3 → 2 voting members, of which 2 must answer"},
		"Last": {"its data would be gone", "cp-2", func(w *world) {
			w.etcd = etcd.NewMemory("cp-2", peer(2))
			w.task.Etcd, w.task.Force = w.etcd, true
		}, phases.CodeUnsafe, "only voting member"},
		"EtcdDown": {"nothing is known", "cp-2", func(w *world) {
			w.etcd.Intercept(func(etcd.Method) error { return etcd.ErrUnreachable })
		}, phases.CodeFailed, "no etcd member answers"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, c.name)
				c.change(w)
				w.api.Intercept(func(v kube.Verb, _ runtime.Object) error {
					if v != kube.Get && v != kube.List {
						t.Errorf("%s: %s before it was refused", c.reason, v)
					}
					return nil
				})
				_, err := w.run(t.Context())
				var fault *phases.Fault
				if !errors.As(err, &fault) || fault.Code() != c.code || len(fault.Fixes) == 0 {
					t.Fatalf("%s: got %v, want a fault with a fix and code %d", c.reason, err, c.code)
				}
				if !strings.Contains(err.Error(), c.says) {
					t.Errorf("%s: %v\ndoes not say %q", c.reason, err, c.says)
				}
				w.etcd.Intercept(func(etcd.Method) error { return nil })
				if report, err := w.etcd.Health(t.Context()); err == nil && name != "Last" && len(report.Members) != 3 {
					t.Errorf("%s: %d members are left", c.reason, len(report.Members))
				}
			})
		})
	}
}

// However often a run is interrupted, the next one ends well.
func TestRemoveAgain(t *testing.T) {
	for fuse := 1; fuse <= 5; fuse++ {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, "cp-2")
			w.burn(2)
			n := 0
			blow := func() error {
				if n++; n == fuse {
					return errors.New("the fuse is blown")
				}
				return nil
			}
			w.api.Intercept(func(v kube.Verb, _ runtime.Object) error {
				if v == kube.Delete {
					return blow()
				}
				return nil
			})
			w.etcd.Intercept(func(m etcd.Method) error {
				if m == etcd.MethodRemove {
					return blow()
				}
				return nil
			})
			if _, err := w.run(t.Context()); err == nil {
				t.Fatalf("fuse %d: no error", fuse)
			}
			w.task.Result = removal.Result{}
			if _, err := w.run(t.Context()); err != nil {
				t.Fatalf("fuse %d: %v", fuse, err)
			}
			for _, n := range w.left() {
				if strings.Contains(n, "cp-2") || n == "lease hactl-etcd-join" || n == "lease apiserver-bbb" {
					t.Errorf("fuse %d: %s is left", fuse, n)
				}
			}
		})
	}
}

// An election while the member goes is waited for.
func TestRemoveWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "cp-2")
		w.burn(2)
		tries := 0
		w.etcd.Intercept(func(m etcd.Method) error {
			if tries++; m == etcd.MethodRemove && tries < 6 {
				return etcd.ErrNoQuorum
			}
			return nil
		})
		if _, err := w.run(t.Context()); err != nil {
			t.Error(err)
		}
	})
}
