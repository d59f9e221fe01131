package member_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hactl/hactl/config/goldentest"
	"github.com/hactl/hactl/etcd"
	"github.com/hactl/hactl/etcd/etcdtest"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/kube"
	"github.com/hactl/hactl/phases/member"
	"github.com/hactl/hactl/phases/wait"
)

// refusal is a state in which cp-2 cannot join, or go.
type refusal struct {
	reason string
	set    func(*testing.T, *world, *node)
	is     error // that the error must be, nil for any
	code   phases.Code
	within time.Duration
}

const soon = 3 * time.Second

func refusals() map[string]refusal {
	return map[string]refusal{
		"DeadMember": {
			reason: "one of three voting members is dead: etcd would refuse a fourth",
			set: func(t *testing.T, w *world, _ *node) {
				w.voter(3)
				w.voter(4)
				kill(t, w, "cp-3")
			},
			code: phases.CodeFailed, within: soon,
		},
		"NoQuorum": {
			reason: "one of two voting members is dead",
			set:    func(t *testing.T, w *world, _ *node) { w.voter(3); kill(t, w, "cp-3") },
			code:   phases.CodeFailed, within: soon,
		},
		"AllDead": {
			reason: "no member answers",
			set:    func(t *testing.T, w *world, _ *node) { kill(t, w, "cp-1") },
			is:     etcd.ErrUnreachable, code: phases.CodeFailed, within: soon,
		},
		"NameTaken": {
			reason: "a member has this node's name and another address",
			set:    func(_ *testing.T, w *world, _ *node) { w.etcd.Join("cp-2", peer(9)) },
			code:   phases.CodeUnsafe, within: soon,
		},
		"AddressTaken": {
			reason: "a live member has this node's address, and no data is here",
			set:    func(_ *testing.T, w *world, _ *node) { w.etcd.Join("cp-9", peer(2)) },
			code:   phases.CodeUnsafe, within: soon,
		},
		"DataOfRemoved": {
			reason: "the data is of a member that was removed from this cluster",
			set:    func(t *testing.T, _ *world, n *node) { put(t, n, segment, etcdtest.LogHead(0xbad, clusterA)) },
			code:   phases.CodeUnsafe, within: soon,
		},
		"DataOfOther": {
			reason: "the data is of another cluster",
			set:    func(t *testing.T, _ *world, n *node) { put(t, n, segment, etcdtest.LogHead(0xbad, 0xabc)) },
			code:   phases.CodeUnsafe, within: soon,
		},
		"DataNotOurs": {
			reason: "the member was added anew, and older data is still there",
			set: func(t *testing.T, w *world, n *node) {
				learner(t, w, 2)
				put(t, n, segment, etcdtest.LogHead(0xbad, clusterA))
			},
			code: phases.CodeUnsafe, within: soon,
		},
		"DataUnreadable": {
			reason: "a log whose head is broken is data all the same",
			set:    func(t *testing.T, _ *world, n *node) { put(t, n, segment, []byte("broken")) },
			code:   phases.CodeUnsafe, within: soon,
		},
		"ManifestOfOther": {
			reason: "the node had another name when it was a member",
			set: func(t *testing.T, w *world, n *node) {
				other := w.node(3)
				write(t, other)
				data, err := other.ReadFile(t.Context(), manifest)
				if err != nil {
					t.Fatal(err)
				}
				put(t, n, manifest, data)
			},
			code: phases.CodeUnsafe, within: soon,
		},
		"OtherLearners": {
			reason: "the other members take several learners at a time, and this one would not",
			set: func(_ *testing.T, w *world, _ *node) {
				w.flags = []string{"--max-learners=4"}
				w.pod("cp-1", 1)
				w.flags = nil
			},
			code: phases.CodeUnsafe, within: soon,
		},
		"NoEndpoints": {
			reason: "the API knows neither a pod of etcd nor a control-plane node",
			set: func(_ *testing.T, w *world, n *node) {
				w.api = kube.NewMemory()
			},
			code: phases.CodeFailed, within: soon,
		},
	}
}

func kill(t *testing.T, w *world, name string) {
	t.Helper()
	if err := w.etcd.Kill(name); err != nil {
		t.Fatal(err)
	}
}

func learner(t *testing.T, w *world, n int) {
	t.Helper()
	if _, err := w.etcd.AddLearner(t.Context(), peer(n)); err != nil {
		t.Fatal(err)
	}
}

func put(t *testing.T, n *node, path string, data []byte) {
	t.Helper()
	if err := n.Memory.WriteFile(t.Context(), path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// write puts the manifest of a first member there.
func write(t *testing.T, n *node) {
	t.Helper()
	task := n.task()
	task.Files = n.Memory
	if o := do(t.Context(), member.Phase(), &task.Task); o.err != nil {
		t.Fatal(o.err)
	}
}

// explain writes an error as a person sees it.
func explain(to *bytes.Buffer, name string, err error) {
	var fault *phases.Fault
	if !errors.As(err, &fault) {
		fmt.Fprintf(to, "%s\n  error %v\n", name, err)
		return
	}
	fmt.Fprintf(to, "%s (%d)\n  what  %s\n", name, fault.Code(), fault.What)
	if fault.Why != nil {
		fmt.Fprintf(to, "  why   %v\n", fault.Why)
	}
	for _, fix := range fault.Fixes {
		fmt.Fprintf(to, "  fix   %s\n", fix)
	}
}

// TestRefused: check-etcd and etcd-join refuse alike, within seconds, and
// leave etcd and the node as they were.
func TestRefused(t *testing.T) {
	var text bytes.Buffer
	cases := refusals()
	for _, name := range slices.Sorted(maps.Keys(cases)) {
		c := cases[name]
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				n := w.node(2)
				c.set(t, w, n)
				changed := ""
				n.step = func(call string) error {
					switch call {
					case "mkdir", "write", "remove", "remove all", "put", "update", "add", "take out", "promote":
						changed = call
					}
					return nil
				}
				began := time.Now()
				checked := do(t.Context(), member.CheckPhase(), n.task())
				o := n.join(t.Context())
				var fault *phases.Fault
				if !errors.As(o.err, &fault) || fault.Code() != c.code || c.is != nil && !errors.Is(o.err, c.is) {
					t.Fatalf("%s: want a fault with code %d, got %v", c.reason, c.code, o.err)
				}
				if checked.err == nil || errors.Unwrap(checked.err).Error() != errors.Unwrap(o.err).Error() {
					t.Errorf("%s: check-etcd says %v, etcd-join says %v", c.reason, checked.err, o.err)
				}
				if took := time.Since(began); took > c.within {
					t.Errorf("%s: it took %s, want at most %s", c.reason, took, c.within)
				}
				if changed != "" {
					t.Errorf("%s: it called %s", c.reason, changed)
				}
				explain(&text, name, o.err)
			})
		})
	}
	goldentest.Check(t, "refusals.golden", text.Bytes())
}

// A dead member that etcd can do without is only told of.
func TestDeadButEnough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		for _, n := range []int{3, 4, 5} {
			w.voter(n)
		}
		kill(t, w, "cp-5")
		n := w.node(2)
		o := do(t.Context(), member.CheckPhase(), n.task())
		if o.err != nil || !o.tells("hactl node remove cp-5") {
			t.Errorf("check-etcd: %v, %q", o.err, o.told)
		}
		if o := n.join(t.Context()); o.err != nil {
			t.Errorf("four of four that remain make a quorum with a fifth: %v", o.err)
		}
	})
}

// TestLimits: what a person reads when time is over.
func TestLimits(t *testing.T) {
	cases := map[string]struct {
		reason string
		set    func(*testing.T, *world, *node)
	}{
		"LearnerAhead": {
			"another node's learner holds the only place, and nobody goes on with it",
			func(t *testing.T, w *world, _ *node) { learner(t, w, 3) },
		},
		"NotStarted": {
			"the kubelet does not start the manifest",
			func(_ *testing.T, _ *world, n *node) { n.idle = true },
		},
		"StuckQueue": {
			"another node renews the Lease and does not get on",
			func(t *testing.T, w *world, n *node) {
				var renewed time.Time
				n.step = func(call string) error {
					if call == "get" && time.Since(renewed) >= 5*time.Second {
						renewed = time.Now()
						w.hold("cp-3", renewed)
					}
					return nil
				}
			},
		},
	}
	var text bytes.Buffer
	for _, name := range slices.Sorted(maps.Keys(cases)) {
		c := cases[name]
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				n := w.node(2)
				c.set(t, w, n)
				o := n.join(t.Context())
				var fault *phases.Fault
				if !errors.As(o.err, &fault) || fault.Code() != phases.CodeTimeout {
					t.Fatalf("%s: want a timeout, got %v", c.reason, o.err)
				}
				explain(&text, name, o.err)
			})
		})
	}
	goldentest.Check(t, "limits.golden", text.Bytes())
}

// TestQueue: whose Lease is honoured, and for how long.
func TestQueue(t *testing.T) {
	cases := map[string]struct {
		reason string
		holder string
		age    time.Duration
		least  time.Duration
		most   time.Duration
	}{
		"Ours":    {"a run that was killed on this node", "cp-2", 0, 0, soon},
		"Fresh":   {"it may be alive, so it is watched for 15 s", "cp-3", time.Second, 15 * time.Second, 21 * time.Second},
		"Future":  {"the other node's clock is ahead", "cp-3", -time.Minute, 15 * time.Second, 21 * time.Second},
		"Ancient": {"no clock can be that wrong", "cp-3", 2 * time.Minute, 0, soon},
		"Nobody":  {"it was given back", "", 0, 0, soon},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				n := w.node(2)
				w.hold(c.holder, time.Now().Add(-c.age))
				began := time.Now()
				o := n.join(t.Context())
				if took := time.Since(began); o.err != nil || took < c.least || took > c.most {
					t.Errorf("%s: %v after %s, want %s to %s", c.reason, o.err, took, c.least, c.most)
				}
			})
		})
	}
}

// TestEndpoints: which URLs etcd is asked at.
func TestEndpoints(t *testing.T) {
	controlPlane := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: "cp-1", Labels: map[string]string{"node-role.kubernetes.io/control-plane": ""}},
		Status: corev1.NodeStatus{Addresses: []corev1.NodeAddress{
			{Type: corev1.NodeHostName, Address: "cp-1"}, {Type: corev1.NodeInternalIP, Address: "fd00::1"},
		}},
	}
	worker := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "w-1"}, Status: corev1.NodeStatus{
		Addresses: []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: "10.0.0.99"}},
	}}
	cases := map[string]struct {
		reason string
		set    func(*world)
		want   []string
	}{
		"Pods":    {"the pods say where they listen; this node's own is left out", func(w *world) { w.pod("cp-2", 2); w.pod("cp-3", 3) }, []string{client(1), client(3)}},
		"OnlyOwn": {"there is no other", func(w *world) { w.api = kube.NewMemory(); w.pod("cp-2", 2) }, []string{client(2)}},
		"Nodes": {"without pods, the control-plane nodes are tried", func(w *world) {
			w.api = kube.NewMemory()
			if err := w.api.Set(controlPlane, worker); err != nil {
				w.t.Fatal(err)
			}
		}, []string{"https://[fd00::1]:2379"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			c.set(w)
			task := w.node(2).task()
			var got []string
			dialed := errors.New("dialed")
			task.Etcd = func(_ context.Context, endpoints []string) (etcd.Cluster, func() error, error) {
				got = endpoints
				return nil, nil, dialed
			}
			if o := do(t.Context(), member.CheckPhase(), task); !errors.Is(o.err, dialed) {
				t.Fatal(o.err)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("%s: want %q, got %q", c.reason, c.want, got)
			}
		})
	}
}

// The API does not answer at all.
func TestNoAPI(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newWorld(t).node(2)
		n.step = func(call string) error {
			if call == "list" {
				return syscall.ECONNREFUSED
			}
			return nil
		}
		var late *wait.TimeoutError
		if o := n.join(t.Context()); !errors.As(o.err, &late) || late.LimitName != "timeouts.kubernetesAPICall" {
			t.Errorf("want the limit of the API, got %v", o.err)
		}
	})
}
