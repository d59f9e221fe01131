package app

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/config/goldentest"
	"github.com/hactl/hactl/etcd"
	"github.com/hactl/hactl/phases"
)

const resetBackup = "/var/lib/etcd-backup-"

func resetInput() ResetInput { return ResetInput{Config: &config.Reset{}} }

func forced() ResetInput {
	in := resetInput()
	in.Config.Force = true
	return in
}

func TestReset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newResetWorld(t)
		r, l, err := w.reset(t.Context(), resetInput())
		if err != nil {
			t.Fatal(Explain(err))
		}
		if diff := cmp.Diff([]string{"cp-2", "cp-3"}, w.members()); diff != "" {
			t.Errorf("members: -want +got\n%s", diff)
		}
		if !strings.HasPrefix(r.EtcdBackup, resetBackup) {
			t.Errorf("the data of etcd is in %q", r.EtcdBackup)
		}
		want := []string{
			"/etc/kubernetes/manifests", "/var/lib/etcd", r.EtcdBackup, r.EtcdBackup + "/member",
			r.EtcdBackup + "/member/wal", r.EtcdBackup + "/member/wal/0.wal", "/var/lib/kubelet",
		}
		if diff := cmp.Diff(want, w.traces()); diff != "" {
			t.Errorf("left on the machine: -want +got\n%s", diff)
		}
		if len(w.asked) != 1 || len(l.titles) != 1 {
			t.Errorf("asked %q, titles %q", w.asked, l.titles)
		}
		goldentest.Check(t, "reset-question.golden", w.asked[0])
		goldentest.Check(t, "reset.golden", textAndJSON(t, r))
		// Again: nothing to lose, so nothing is asked.
		w.isolated = true
		_, l, err = w.reset(t.Context(), resetInput())
		if err != nil || len(w.asked) != 1 || l.ends()["cleanup-node"] != phases.Unchanged {
			t.Errorf("a second reset: %v, asked %d times, %v", err, len(w.asked), l.ends())
		}
		// And the node can begin anew.
		w.isolated = false
		w.up.Store(false)
		if _, _, err := w.init(t.Context(), input(), nil); err != nil {
			t.Errorf("init after reset: %v", Explain(err))
		}
	})
}

func textAndJSON(t *testing.T, r *ResetResult) string {
	t.Helper()
	var b bytes.Buffer
	data, err := json.MarshalIndent(r, "", "  ")
	if err := errors.Join(err, r.Text(&b)); err != nil {
		t.Fatal(err)
	}
	return b.String() + "--- JSON\n" + string(data) + "\n"
}

func TestResetOfWorker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorkerWorld(t)
		r, l, err := w.reset(t.Context(), resetInput())
		if err != nil {
			t.Fatal(Explain(err))
		}
		if l.ends()["remove-etcd-member"] != phases.Unchanged || r.EtcdBackup != "" {
			t.Errorf("a worker has no member: %v, moved to %q", l.ends(), r.EtcdBackup)
		}
		want := []string{"/var/lib/etcd", "/var/lib/etcd/member", "/var/lib/etcd/member/wal", "/var/lib/etcd/member/wal/0.wal", "/var/lib/kubelet"}
		if diff := cmp.Diff(want, w.traces()); diff != "" {
			t.Errorf("left on the machine: -want +got\n%s", diff)
		}
		if len(r.LeftAlone) == 0 || r.LeftAlone[0].What != "/var/lib/etcd" {
			t.Errorf("what is left alone does not name the data of etcd: %v", r.LeftAlone)
		}
	})
}

func TestResetRefuses(t *testing.T) {
	cases := map[string]struct {
		reason string
		before func(*resetWorld)
		in     func(*ResetInput)
		code   phases.Code
		// survives says that force does not help.
		member bool // is still there after force
	}{
		"LastMember": {
			reason: "the last member has all the data", code: phases.CodeUnsafe, member: true,
			before: func(w *resetWorld) { w.etcd = etcd.NewMemory("cp-1", "https://10.0.0.11:2380") },
		},
		"Quorum": {
			reason: "the others have no quorum", code: phases.CodeUnsafe, member: true,
			before: func(w *resetWorld) {
				if err := w.etcd.Kill("cp-2"); err != nil {
					w.t.Fatal(err)
				}
			},
		},
		"NoAnswer": {
			reason: "nobody confirms that the member is gone", code: phases.CodeUnsafe, member: true,
			before: func(w *resetWorld) {
				w.etcd.Intercept(func(etcd.Method) error { return etcd.ErrUnreachable })
				w.up.Store(false) // nor does the API
			},
		},
		"Skipped": {
			reason: "the member was to be left in", code: phases.CodeUnsafe, member: true,
			before: func(*resetWorld) {},
			in:     func(in *ResetInput) { in.Skip = []string{"remove-etcd-member"} },
		},
		"Alone": {
			reason: "cleanup-node alone asks etcd too", code: phases.CodeUnsafe, member: true,
			before: func(*resetWorld) {},
			in:     func(in *ResetInput) { in.Only = []string{"cleanup-node"} },
		},
		"NotConfirmed": {
			reason: "the user says no", code: phases.CodeFailed,
			before: func(w *resetWorld) { w.answer = false },
		},
		"Held": {
			reason: "another hactl is at work", code: phases.CodeUnsafe,
			before: func(w *resetWorld) { holder := "process 1: hactl init"; w.holder.Store(&holder) },
		},
		"Flags": {
			reason: "an unknown unmount flag", code: phases.CodeUsage,
			before: func(*resetWorld) {},
			in:     func(in *ResetInput) { in.Config.UnmountFlags = []string{"MNT_NOW"} },
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newResetWorld(t)
				c.before(w)
				before := w.snapshot()
				in := resetInput()
				if c.in != nil {
					c.in(&in)
				}
				_, _, err := w.reset(t.Context(), in)
				if x := Explain(err); err == nil || x.Code != c.code {
					t.Fatalf("%s: want code %d, got %v", c.reason, c.code, x)
				}
				if diff := cmp.Diff(before, w.snapshot()); diff != "" {
					t.Errorf("%s: the machine changed: -want +got\n%s", c.reason, diff)
				}
				if !c.member {
					return
				}
				in = forced()
				if c.in != nil {
					c.in(&in)
				}
				start := time.Now()
				r, _, err := w.reset(t.Context(), in)
				if err != nil || !strings.HasPrefix(r.EtcdBackup, resetBackup) {
					t.Fatalf("with force: %v", Explain(err))
				}
				if d := time.Since(start); d > time.Minute {
					t.Errorf("with force it took %s", d)
				}
				if !slices.Contains(w.members(), "cp-1") {
					t.Errorf("%s: the member is gone, want it left in", c.reason)
				}
			})
		})
	}
}

// The directory of an external etcd on this host stays as it is, byte by
// byte.
func TestResetWithExternalEtcd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorkerWorld(t)
		w.file("/etc/kubernetes/admin.conf", "credentials", 0o600)
		w.file("/etc/kubernetes/manifests/kube-apiserver.yaml", "apiVersion: v1\nkind: Pod\nspec:\n  containers:\n  - name: kube-apiserver\n    command:\n    - kube-apiserver\n    - --etcd-servers=https://10.0.0.11:2379,https://10.0.0.12:2379\n    - --etcd-cafile=/etc/kubernetes/pki/etcd/ca.crt\n", 0o600)
		w.file("/etc/kubernetes/pki/etcd/ca.crt", "certificate", 0o644)
		w.isolated = false // there is an administrator's kubeconfig
		data := w.read("/var/lib/etcd/member/wal/0.wal")
		for range 2 {
			_, l, err := w.reset(t.Context(), forced())
			if err != nil {
				t.Fatal(Explain(err))
			}
			if l.ends()["remove-etcd-member"] != phases.Skipped {
				t.Errorf("remove-etcd-member %s, want it skipped", l.ends()["remove-etcd-member"])
			}
			for _, f := range []string{"/var/lib/etcd/member/wal/0.wal", "/etc/kubernetes/pki/etcd/ca.crt"} {
				w.read(f)
			}
			if !bytes.Equal(data, w.read("/var/lib/etcd/member/wal/0.wal")) {
				t.Error("the data of the external etcd changed")
			}
		}
		if _, err := w.host.Stat(t.Context(), "/etc/kubernetes/admin.conf"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("admin.conf is still there: %v", err)
		}
	})
}

func TestResetDryRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newResetWorld(t)
		before := w.snapshot()
		in := resetInput()
		in.Config.DryRun = true
		r, _, err := w.reset(t.Context(), in)
		if err != nil {
			t.Fatal(Explain(err))
		}
		if diff := cmp.Diff(before, w.snapshot()); diff != "" {
			t.Errorf("a dry run changed something: -want +got\n%s", diff)
		}
		if pods, err := w.runtime.Sandboxes(t.Context()); len(pods) != 3 || err != nil || len(w.members()) != 3 || len(w.asked) > 0 {
			t.Errorf("after a dry run: pods %v, %v, members %v, asked %q", pods, err, w.members(), w.asked)
		}
		goldentest.Check(t, "reset-dryrun.golden", textAndJSON(t, r))
	})
}

// Whatever fails or is interrupted, the same command again brings the reset
// to its end, and the data of etcd is never lost.
func TestResetAgain(t *testing.T) {
	for n := int64(1); ; n++ {
		ended := false
		synctest.Test(t, func(t *testing.T) {
			w := newResetWorld(t)
			w.fuse.Store(n)
			_, _, err := w.reset(t.Context(), resetInput())
			w.fuse.Store(0)
			if ended = err == nil; ended {
				return
			}
			if !errors.Is(err, errFuse) {
				t.Fatalf("change %d: %v", n, Explain(err))
			}
			if _, _, err := w.reset(t.Context(), resetInput()); err != nil {
				t.Fatalf("again after change %d: %v", n, Explain(err))
			}
			copies := 0
			var rest []string
			for _, p := range w.traces() {
				switch {
				case strings.HasPrefix(p, resetBackup):
					if path.Base(p) == "0.wal" {
						copies++
					}
				default:
					rest = append(rest, p)
				}
			}
			if diff := cmp.Diff([]string{"/etc/kubernetes/manifests", "/var/lib/etcd", "/var/lib/kubelet"}, rest); diff != "" || copies != 1 {
				t.Errorf("change %d: %d copies of the data, left on the machine: -want +got\n%s", n, copies, diff)
			}
			if diff := cmp.Diff([]string{"cp-2", "cp-3"}, w.members()); diff != "" {
				t.Errorf("change %d: members: -want +got\n%s", n, diff)
			}
		})
		if ended {
			if n < 30 {
				t.Errorf("only %d changes failed", n-1)
			}
			return
		}
	}
}
