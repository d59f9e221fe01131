package etcdhost_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/config/goldentest"
	"github.com/hactl/hactl/etcd/etcdtest"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/etcdhost"
	"github.com/hactl/hactl/phases/host"
)

// both runs a test with each runtime, in a bubble.
func both(t *testing.T, test func(*testing.T, etcdhost.Runtime)) {
	for _, r := range etcdhost.Runtimes() {
		t.Run(string(r), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { test(t, r) })
		})
	}
}

func TestInit(t *testing.T) {
	both(t, func(t *testing.T, r etcdhost.Runtime) {
		w := newWorld(t)
		m := w.machine(1, r)
		m.must(w.etcd.Kill("etcd-1")) // it is to be started
		for _, want := range []phases.Kind{phases.Finished, phases.Unchanged} {
			o := m.found(t.Context())
			if o.err != nil || o.end["member"] != want {
				t.Fatalf("%v, member %v, want %v\n%v", o.err, o.end["member"], want, o.told)
			}
		}
		files := map[etcdhost.Runtime][]string{
			etcdhost.Systemd: {etcdhost.UnitFile},
			etcdhost.StaticPod: {
				manifest, "/etc/systemd/system/kubelet.service.d/20-hactl-etcd.conf", "/etc/hactl/etcd-kubelet.yaml",
			},
		}
		for _, f := range files[r] {
			data, err := m.ReadFile(t.Context(), f)
			if err != nil {
				t.Fatal(err)
			}
			goldentest.Check(t, filepath.Base(f), data)
		}
		if m.has(manifest) == (r == etcdhost.Systemd) {
			t.Error("etcd is set up for the other runtime")
		}
	})
}

func TestJoin(t *testing.T) {
	both(t, func(t *testing.T, r etcdhost.Runtime) {
		w := newWorld(t)
		m := w.machine(2, r)
		o := m.join(t.Context())
		if o.err != nil || w.members() != "etcd-1 voter, etcd-2 voter" {
			t.Fatalf("%v: %s", o.err, w.members())
		}
		if !o.tells("1 → 2 voting members, tolerates 0 → 0") || !o.tells("add one more etcd host") {
			t.Errorf("the tolerance is not told: %v", o.told)
		}
		if again := m.join(t.Context()); again.err != nil || again.end["etcd-join"] != phases.Unchanged {
			t.Errorf("again: %v, %v", again.err, again.end)
		}
	})
}

// Hosts that join at the same time are taken one after the other.
func TestJoinAtOnce(t *testing.T) {
	both(t, func(t *testing.T, r etcdhost.Runtime) {
		w := newWorld(t)
		var running sync.WaitGroup
		for n := 2; n <= 5; n++ {
			m := w.machine(n, r)
			task := m.task(client(1))
			running.Go(func() {
				if o := run(t.Context(), task, etcdhost.JoinPhase(), etcdhost.WaitPhase()); o.err != nil {
					t.Errorf("etcd-%d: %v", n, o.err)
				}
			})
		}
		running.Wait()
		if got := w.members(); got != "etcd-1 voter, etcd-2 voter, etcd-3 voter, etcd-4 voter, etcd-5 voter" || w.crashes > 0 {
			t.Errorf("%s; %d crashes", got, w.crashes)
		}
	})
}

// A join that is killed at any of its changes is continued by the next one.
func TestJoinKilled(t *testing.T) {
	both(t, func(t *testing.T, r etcdhost.Runtime) {
		for fuse := 1; ; fuse++ {
			w := newWorld(t)
			m := w.machine(2, r)
			m.fuse = fuse
			task := m.task(client(1))
			first := run(t.Context(), task, etcdhost.KubeletPhase(), etcdhost.JoinPhase())
			if first.err == nil {
				if fuse < 2 {
					t.Error("no change was counted")
				}
				return
			}
			m.fuse = 0
			if o := m.join(t.Context()); o.err != nil || w.members() != "etcd-1 voter, etcd-2 voter" {
				t.Fatalf("killed at change %d, then: %v: %s", fuse, o.err, w.members())
			}
		}
	})
}

// A member that does not come up is taken back, and the next join passes.
func TestJoinTakenBack(t *testing.T) {
	both(t, func(t *testing.T, r etcdhost.Runtime) {
		w := newWorld(t)
		m := w.machine(2, r)
		m.idle = true
		o := m.join(t.Context())
		var fault *phases.Fault
		if !errors.As(o.err, &fault) || fault.Exit != phases.CodeTimeout || !o.undone {
			t.Fatalf("%v, taken back: %v", o.err, o.undone)
		}
		if got := w.members(); got != "etcd-1 voter" || m.has(dataDir) || m.has(manifest) || m.has(etcdhost.UnitFile) {
			t.Errorf("left behind: %s, data %v", got, m.has(dataDir))
		}
		m.idle = false
		time.Sleep(2 * time.Second) // etcd refuses a URL twice in one second
		if o := m.join(t.Context()); o.err != nil {
			t.Error(o.err)
		}
	})
}

func TestRefusals(t *testing.T) {
	cases := map[string]struct {
		reason  string
		prepare func(*world, *machine)
		run     func(*machine, context.Context) outcome
		tells   string
	}{
		"DeadMember": {
			reason: "etcd with one of three dead takes no member", run: (*machine).join, tells: "etcd-9",
			prepare: func(w *world, m *machine) {
				w.etcd.Join("etcd-8", peer(8))
				w.etcd.Join("etcd-9", peer(9))
				m.must(w.etcd.Kill("etcd-9"))
			},
		},
		"NameTaken": {
			reason: "another host has the name", run: (*machine).join, tells: "another member with the name etcd-2",
			prepare: func(w *world, _ *machine) { w.etcd.Join("etcd-2", peer(9)) },
		},
		"AddressTaken": {
			reason: "another machine answers at this host's address", run: (*machine).join, tells: "is alive",
			prepare: func(w *world, _ *machine) { w.etcd.Join("etcd-2", peer(2)) },
		},
		"ForeignData": {
			reason: "the data is of a member that is none", run: (*machine).join, tells: "not in the cluster",
			prepare: func(w *world, m *machine) {
				m.must(m.Memory.WriteFile(w.t.Context(), segment, etcdtest.LogHead(7, 8), 0o600))
			},
		},
		"UnreadableData": {
			reason: "nobody knows whose it is", run: (*machine).join, tells: "nothing tells whose",
			prepare: func(w *world, m *machine) { m.must(m.Memory.WriteFile(w.t.Context(), segment, []byte("?"), 0o600)) },
		},
		"StrayData": {
			reason: "a new cluster would lose it", run: (*machine).found, tells: "nothing on this host runs it",
			prepare: func(w *world, m *machine) {
				m.must(m.Memory.WriteFile(w.t.Context(), segment, etcdtest.LogHead(7, 8), 0o600))
			},
		},
		"InitAfterJoin": {
			reason: "it would begin another cluster with its data", run: (*machine).found, tells: "joined an etcd cluster already",
			prepare: func(w *world, m *machine) { m.must(m.join(w.t.Context()).err) },
		},
		"JoinAfterInit": {
			reason: "a member of one cluster cannot be one of another", run: (*machine).join, tells: "cluster of its own",
			prepare: func(w *world, m *machine) {
				m.must(run(w.t.Context(), m.task(), etcdhost.MemberPhase()).err)
			},
		},
		"NoCertificates": {
			reason: "etcd would end again and again", run: (*machine).found, tells: "no certificates",
			prepare: func(w *world, m *machine) {
				m.must(m.Memory.Remove(w.t.Context(), config.DefaultCertsDir+"/etcd/peer.key"))
			},
		},
		"ForeignUnit": {
			reason: "somebody else's service", run: (*machine).join, tells: "hactl did not write it",
			prepare: func(w *world, m *machine) {
				m.must(m.Memory.WriteFile(w.t.Context(), etcdhost.UnitFile, []byte("[Service]\n"), 0o644))
			},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				m := w.machine(2, etcdhost.Systemd)
				c.prepare(w, m)
				before := w.members()
				o := c.run(m, t.Context())
				var fault *phases.Fault
				if !errors.As(o.err, &fault) || !strings.Contains(fault.Error(), c.tells) || len(fault.Fixes) == 0 {
					t.Errorf("%s: %v, want a fault that tells %q", c.reason, o.err, c.tells)
				}
				if after := w.members(); after != before {
					t.Errorf("%s: the cluster has changed: %s, then %s", c.reason, before, after)
				}
			})
		})
	}
}

// A host whose disk was lost joins anew in the place of its old member.
func TestReplace(t *testing.T) {
	both(t, func(t *testing.T, r etcdhost.Runtime) {
		w := newWorld(t)
		w.etcd.Join("etcd-2", peer(2))
		w.etcd.Join("etcd-3", peer(3))
		if err := w.etcd.Kill("etcd-2"); err != nil {
			t.Fatal(err)
		}
		m := w.machine(2, r)
		o := m.join(t.Context())
		if o.err != nil || w.members() != "etcd-1 voter, etcd-2 voter, etcd-3 voter" || !o.tells("takes its place") {
			t.Errorf("%v: %s\n%v", o.err, w.members(), o.told)
		}
	})
}

func TestPeersClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		task := w.machine(2, etcdhost.Systemd).task(client(1))
		task.Reach = func(_ context.Context, address string) error {
			if address == "10.0.0.31:2380" {
				return errors.New("no route to host")
			}
			return nil
		}
		o := run(t.Context(), task, etcdhost.CheckPhase())
		if o.err == nil || !strings.Contains(o.err.Error(), "10.0.0.31:2380") || w.members() != "etcd-1 voter" {
			t.Errorf("%v: %s", o.err, w.members())
		}
	})
}

func TestSettle(t *testing.T) {
	const etcdProgram, kubelet, node = "/usr/bin/etcd", "/usr/bin/kubelet", "/etc/kubernetes/kubelet.conf"
	cases := map[string]struct {
		reason string
		files  []string
		forced etcdhost.Runtime
		want   etcdhost.Runtime
		code   phases.Code
	}{
		"Both":          {reason: "who installs etcd wants it to run", files: []string{etcdProgram, kubelet}, want: etcdhost.Systemd},
		"KubeletOnly":   {reason: "the kubelet pulls etcd", files: []string{kubelet}, want: etcdhost.StaticPod},
		"Forced":        {reason: "the user's word", files: []string{etcdProgram, kubelet}, forced: etcdhost.StaticPod, want: etcdhost.StaticPod},
		"Nothing":       {reason: "nothing could run it", code: phases.CodePreflight},
		"ForcedMissing": {reason: "what is forced is not there", files: []string{kubelet}, forced: etcdhost.Systemd, code: phases.CodePreflight},
		"Node":          {reason: "the kubelet is a cluster's", files: []string{kubelet, node}, code: phases.CodeUnsafe},
		"NodeWithEtcd":  {reason: "a service leaves the kubelet alone", files: []string{etcdProgram, kubelet, node}, want: etcdhost.Systemd},
		"Installed":     {reason: "it goes on as it began", files: []string{etcdProgram, kubelet, "/etc/systemd/system/kubelet.service.d/20-hactl-etcd.conf"}, want: etcdhost.StaticPod},
		"InstalledElse": {reason: "it never changes by itself", files: []string{etcdProgram, etcdhost.UnitFile, kubelet}, forced: etcdhost.StaticPod, code: phases.CodeUnsafe},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			h := host.NewMemory()
			for _, f := range c.files {
				if err := h.WriteFile(t.Context(), f, nil, 0o755); err != nil {
					t.Fatal(err)
				}
			}
			task := &etcdhost.Task{Host: h}
			err := task.Settle(t.Context(), c.forced, []string{"relative", "/usr/bin"})
			var fault *phases.Fault
			if errors.As(err, &fault) != (c.code != 0) || c.code != 0 && fault.Exit != c.code || c.code == 0 && task.Runtime != c.want {
				t.Errorf("%s: %s, %v", c.reason, task.Runtime, err)
			}
		})
	}
}

func TestChecks(t *testing.T) {
	cases := map[string]struct {
		reason  string
		version string
		took    time.Duration
		failed  string
		warns   string
	}{
		"Good": {reason: "a new etcd on a fast disk", version: "etcd Version: 3.7.0\n", took: 2 * time.Millisecond},
		"Slow": {reason: "the device is named", version: "etcd Version: 3.6.1\n", took: 60 * time.Millisecond, warns: "/dev/mmcblk0p2"},
		"Old":  {reason: "it does not know all flags", version: "etcd Version: 3.5.24\n", failed: "EtcdVersion"},
		"Odd":  {reason: "that is no etcd", version: "hello\n", failed: "EtcdVersion"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			m := w.machine(2, etcdhost.Systemd)
			m.Handle("/usr/bin/etcd", func([]string) ([]byte, error) { return []byte(c.version), nil })
			mounts := "22 1 179:2 / / rw shared:1 - ext4 /dev/root rw\n30 22 179:2 / /var/lib rw - ext4 /dev/mmcblk0p2 rw\n31 22 0:5 / /var/lib/etcdother rw - tmpfs tmpfs rw\n"
			m.must(m.Memory.WriteFile(t.Context(), "/proc/self/mountinfo", []byte(mounts), 0o444))
			m.must(m.Mkdir(t.Context(), "/var/lib", 0o755))
			var asked string
			probes := etcdhost.Probes{Sync: func(_ context.Context, dir string) (time.Duration, error) { asked = dir; return c.took, nil }}
			var failed, warnings []string
			for _, check := range m.task(client(1)).Checks(probes) {
				warned, err := check.Run(t.Context())
				warnings = append(warnings, warned...)
				if err != nil {
					failed = append(failed, check.Name)
				}
			}
			if strings.Join(failed, " ") != c.failed || !strings.Contains(strings.Join(warnings, "\n"), c.warns) || (len(warnings) > 0) != (c.warns != "") {
				t.Errorf("%s: failed %v, warnings %v", c.reason, failed, warnings)
			}
			if asked != "/var/lib" {
				t.Errorf("the disk of %s was measured, not that of the data directory's parent", asked)
			}
		})
	}
}

func TestParseEndpoint(t *testing.T) {
	for typed, want := range map[string]string{
		"https://10.0.0.31:2379": "https://10.0.0.31:2379", "https://10.0.0.31:2379/": "https://10.0.0.31:2379",
		"10.0.0.31": "https://10.0.0.31:2379", " 10.0.0.31:4001 ": "https://10.0.0.31:4001", "etcd-1.lab": "https://etcd-1.lab:2379",
		"fd00::31": "https://[fd00::31]:2379", "https://[fd00::31]": "https://[fd00::31]:2379",
		"http://10.0.0.31:2379": "", "": "", "https://10.0.0.31:2379/x": "", "https://a:b@10.0.0.31": "",
	} {
		got, err := etcdhost.ParseEndpoint(typed)
		if got != want || (err != nil) != (want == "") {
			t.Errorf("ParseEndpoint(%q) = %q, %v, want %q", typed, got, err, want)
		}
	}
}

func TestKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.etcd.Join("etcd-3", peer(3))
		m := w.machine(2, etcdhost.Systemd)
		if o := m.join(t.Context()); o.err != nil {
			t.Fatal(o.err)
		}
		got, err := m.task().Known(t.Context())
		if diff := cmp.Diff([]string{client(2), client(1), client(2), client(3)}, got); diff != "" || err != nil {
			t.Errorf("its own first: %v -want +got\n%s", err, diff)
		}
	})
}
