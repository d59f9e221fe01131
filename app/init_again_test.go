package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/host"
	"github.com/hactl/hactl/phases/journal"
)

// refused runs init, which must be refused with the exit code and by all of
// the words, and change nothing. It returns the words of the refusal.
func (w *world) refused(in InitInput, code phases.Code, words ...string) string {
	w.t.Helper()
	before := w.snapshot()
	_, _, err := w.init(w.t.Context(), in, nil)
	if err == nil {
		w.t.Error("init is not refused")
		return ""
	}
	x := Explain(err)
	if x.Code != code {
		w.t.Errorf("exit code %d, want %d: %s", x.Code, code, x)
	}
	if len(x.Fix) == 0 {
		w.t.Errorf("no way out: %s", x)
	}
	for _, word := range words {
		if !strings.Contains(x.String(), word) {
			w.t.Errorf("the refusal does not say %q:\n%s", word, x)
		}
	}
	if diff := cmp.Diff(before, w.snapshot()); diff != "" {
		w.t.Errorf("refused, and something is changed: -before +after\n%s", diff)
	}
	return x.String()
}

func (w *world) must(in InitInput) {
	w.t.Helper()
	if _, _, err := w.init(w.t.Context(), in, nil); err != nil {
		w.t.Fatal(Explain(err))
	}
}

// stopAfter runs init until a phase has ended.
func (w *world) stopAfter(in InitInput, phase string) {
	w.t.Helper()
	ctx, cancel := context.WithCancelCause(w.t.Context())
	_, _, err := w.init(ctx, in, func(e phases.Event) {
		if e.Phase == phase && e.Kind == phases.Finished {
			cancel(ErrInterrupted)
		}
	})
	if !errors.Is(err, ErrInterrupted) {
		w.t.Fatalf("stopped after %s: %v", phase, err)
	}
}

// A run that goes on must have the configuration of the run before, in all
// that stays.
func TestOtherConfiguration(t *testing.T) {
	pods := netip.MustParsePrefix("10.1.0.0/16")
	cases := map[string]struct {
		reason string
		change func(*InitInput)
		words  []string // of the refusal; none if it must not be refused
	}{
		"Same":     {"nothing differs", func(*InitInput) {}, nil},
		"Subnet":   {"a setting of the cluster", func(in *InitInput) { in.Config.Cluster.Networking.PodSubnets = []netip.Prefix{pods} }, []string{"networking.podSubnet was 10.244.0.0/16 and is now 10.1.0.0/16"}},
		"Endpoint": {"a setting is gone", func(in *InitInput) { in.Config.Cluster.ControlPlaneEndpoint = config.HostPort{} }, []string{"controlPlaneEndpoint was lb.example.com:6443 and is now not set"}},
		"Node": {"settings of the node, all named", func(in *InitInput) {
			in.Config.Node.Name, in.Config.Local.Port = "cp-9", 7443
		}, []string{"nodeRegistration.name was cp-1 and is now cp-9", "localAPIEndpoint.bindPort was 6443 and is now 7443"}},
		"Argument": {"a flag of a component", func(in *InitInput) {
			in.Config.Cluster.APIServer.ExtraArgs = []config.Arg{{Name: "v", Value: "4"}}
		}, []string{"apiServer.extraArgs[v].value was not set and is now 4"}},
		"Harmless": {"what no trace is left of", func(in *InitInput) {
			c := in.Config
			c.Tokens = []config.Token{{Value: "ghijkl.0123456789abcdef", TTL: time.Hour}}
			c.CertificateKey = ""
			c.Timeouts.KubernetesAPI, c.Timeouts.ControlPlane = time.Hour, 9*time.Minute
			c.Node.IgnorePreflight = []string{"NumCPU"}
			c.Node.PullSerial = true
			in.Skip = []string{"addon/kube-proxy"}
		}, nil},
	}
	for name, c := range cases {
		for _, after := range []string{"certs/ca", "etcd/local", "addon/kube-proxy"} {
			t.Run(name+"/"+strings.ReplaceAll(after, "/", "-"), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t)
					w.stopAfter(input(), after)
					in := input()
					c.change(&in)
					if c.words == nil {
						w.must(in)
						return
					}
					w.refused(in, phases.CodeUnsafe, c.words...)
					dry := input()
					c.change(&dry)
					dry.Config.DryRun = true
					w.refused(dry, phases.CodeUnsafe, c.words...)
				})
			})
		}
	}
}

// Where nothing is made yet, nothing keeps a run from another configuration.
func TestOtherConfigurationAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.fuse.Store(2) // the record is written, the CA's key is not
		if _, _, err := w.init(t.Context(), input(), nil); !errors.Is(err, errFuse) {
			t.Fatal(err)
		}
		w.fuse.Store(0)
		if _, err := w.host.ReadFile(t.Context(), journal.Path); err != nil {
			t.Fatalf("the record comes before all: %v", err)
		}
		in := input()
		in.Config.Cluster.Networking.PodSubnets = []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}
		w.must(in)
		r, err := journal.Read(t.Context(), w.host)
		if err != nil || r.Config["clusterConfiguration.networking.podSubnet"] != "10.1.0.0/16" {
			t.Errorf("the record is %+v, %v", r, err)
		}
	})
}

// The record has what the next run and reset need, and no secrets; phases
// alone write none.
func TestRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		alone := input()
		alone.Only = []string{"certs"}
		w.must(alone)
		if r, err := journal.Read(t.Context(), w.host); r != nil || err != nil {
			t.Errorf("after a phase alone: %+v, %v", r, err)
		}
		w.must(input())
		r, err := journal.Read(t.Context(), w.host)
		if err != nil {
			t.Fatal(err)
		}
		if r.Use != journal.UseInit || r.Node != "cp-1" || r.EtcdDataDir != "/var/lib/etcd" || len(r.Config) < 10 {
			t.Errorf("the record is %+v", r)
		}
		data, err := w.host.ReadFile(t.Context(), journal.Path)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range w.secrets() {
			if strings.Contains(string(data), s) {
				t.Errorf("the record holds a secret:\n%s", data)
			}
		}
	})
}

func TestTwoAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		tried := false
		_, _, err := w.init(t.Context(), input(), func(e phases.Event) {
			if e.Phase != "certs/ca" || e.Kind != phases.Finished {
				return
			}
			tried = true
			second := w.refused(input(), phases.CodeUnsafe, "hactl init", "process ")
			if strings.Contains(second, knownToken) || strings.Contains(second, knownKey) {
				t.Errorf("the refusal tells a secret: %s", second)
			}
			alone := input()
			alone.Only = []string{"certs/sa"}
			w.refused(alone, phases.CodeUnsafe, "hactl init")
			dry := input()
			dry.Config.DryRun = true
			if _, _, err := w.init(t.Context(), dry, nil); err != nil {
				t.Errorf("a dry run meanwhile: %v", Explain(err))
			}
		})
		if err != nil || !tried {
			t.Fatal(err, tried)
		}
		w.must(input()) // the first has let go
		alone := input()
		alone.Only = []string{"certs/ca"}
		if _, _, err := w.init(t.Context(), alone, func(phases.Event) {
			if got := *w.holder.Load(); !strings.HasSuffix(got, ": hactl init phase certs/ca") {
				t.Errorf("the holder is %q", got)
			}
		}); err != nil {
			t.Error(err)
		}
	})
}

// Who may not lock the machine may still make files of his own.
func TestLockIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := &machine{ports: w.ports()}
		for _, c := range []struct {
			err error
			ok  bool
		}{{errNoPermission, true}, {errors.New("no space left"), false}, {&host.LockedError{Path: "/x"}, false}} {
			m.lock = func(context.Context, string) (func() error, error) { return nil, c.err }
			if err := m.hold(t.Context(), "hactl init"); (err == nil) != c.ok {
				t.Errorf("lock: %v: hold() = %v", c.err, err)
			}
		}
	})
}

var errNoPermission = fmt.Errorf("open /run/hactl.lock: %w", fs.ErrPermission)

// Patches are the node's: who does not give them again uses them again.
func TestRecordedPatches(t *testing.T) {
	patched := func(w *world, file, word string) {
		w.t.Helper()
		pod, err := w.host.ReadFile(w.t.Context(), file)
		if err != nil || !strings.Contains(string(pod), word) {
			w.t.Errorf("%s has no %q: %v", file, word, err)
		}
	}
	with := func(dir string, only ...string) InitInput {
		in := input()
		in.Config.PatchesDir, in.Only = dir, only
		return in
	}
	synctest.Test(t, func(t *testing.T) {
		const etcd = "/etc/kubernetes/manifests/etcd.yaml"
		w := newWorld(t)
		w.file("/p/etcd.yaml", "metadata: {annotations: {mark: one}}", 0o600)
		w.file("/p/README.txt", "not a patch", 0o600)
		w.file("/q/etcd.yaml", "metadata: {annotations: {mark: two}}", 0o600)
		w.must(with("/p"))
		patched(w, etcd, "mark: one")

		_, l, err := w.init(t.Context(), with(""), nil)
		if err != nil {
			t.Fatal(Explain(err))
		}
		said := ""
		for _, e := range l.events {
			if e.Kind == phases.Warning {
				said += e.Reason
			}
		}
		if !strings.Contains(said, "patches of an earlier run are used") || !strings.Contains(said, "etcd.yaml") || l.ends()["etcd/local"] != phases.Unchanged {
			t.Errorf("without --patches: said %q, etcd/local is %s", said, l.ends()["etcd/local"])
		}
		w.refused(with("/q"), phases.CodeUnsafe, "patches/etcd.yaml")

		w.must(with("/q", "etcd/local"))
		patched(w, etcd, "mark: two")
		r, err := journal.Read(t.Context(), w.host)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(map[string]string{"etcd.yaml": "metadata: {annotations: {mark: two}}"}, r.Patches); diff != "" {
			t.Errorf("recorded patches: -want +got\n%s", diff)
		}
		w.must(with(""))
		patched(w, etcd, "mark: two")

		if err := w.host.Mkdir(t.Context(), "/empty", 0o755); err != nil {
			t.Fatal(err)
		}
		w.must(with("/empty", "etcd/local"))
		if _, l, err := w.init(t.Context(), with(""), nil); err != nil || l.warns("patches of an earlier run") || strings.Contains(string(w.mustRead(etcd)), "mark") {
			t.Errorf("after an empty directory, there are still patches: %v", err)
		}
	})
}

// A run that goes on takes the version that the first run found.
func TestLabel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		asked := 0
		p := w.ports()
		p.release = func(context.Context, string) (string, error) { asked++; return fmt.Sprintf("v1.37.%d", asked), nil }
		run := func(label string, only ...string) {
			t.Helper()
			in := input()
			in.Config.Cluster.Version, in.Only = label, only
			if _, err := initOver(t.Context(), p, in, func(string) {}, func(phases.Event) {}); err != nil {
				t.Fatal(Explain(err))
			}
		}
		run("stable-1", "certs")
		run("stable-1", "kubeconfig/admin")
		if asked != 0 {
			t.Errorf("phases that need no version asked %d times", asked)
		}
		run("stable-1")
		run("stable-1")
		run("stable-1.37", "control-plane")
		if asked != 1 {
			t.Errorf("asked %d times, want once for all runs", asked)
		}
		if m := (&machine{record: &journal.Record{Use: journal.UseInit, Config: map[string]string{"clusterConfiguration.kubernetesVersion": "v1.37.1"}}}); m.recordedVersion("stable-1.36") != "" {
			t.Error("a label of another minor version takes the recorded one")
		}
	})
}

func TestAddonManifest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		before := w.snapshot()
		for addon, word := range map[string]string{"coredns": "kind: Deployment", "kube-proxy": "kind: DaemonSet"} {
			in := input()
			in.Only = []string{"addon/" + addon}
			m, err := addonManifestOver(t.Context(), w.ports(), in, func(phases.Event) {})
			if err != nil {
				t.Fatal(Explain(err))
			}
			if !strings.Contains(m.Manifest, word) {
				t.Errorf("%s: no %q in\n%s", addon, word, m.Manifest)
			}
		}
		if diff := cmp.Diff(before, w.snapshot()); diff != "" {
			t.Errorf("-before +after\n%s", diff)
		}
	})
}
