package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/config/goldentest"
	"github.com/hactl/hactl/config/kubeadm"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/cri"
	"github.com/hactl/hactl/phases/host"
	"github.com/hactl/hactl/phases/wait"
)

func TestExplain(t *testing.T) {
	invalid := func(list ...config.Problem) error { return &config.InvalidError{Problems: list} }
	pod := config.Problem{Path: "networking.podSubnet", What: `"x" is not a range`, Fix: "write it as 10.244.0.0/16"}
	name := config.Problem{Path: "nodeRegistration.name", What: `"A" is not a name`}
	placed := pod
	placed.Source, placed.Line, placed.Column = "ha.yaml", 7, 3
	timeout := &wait.TimeoutError{What: "kube-apiserver is healthy", Limit: 4 * time.Minute, LimitName: "timeouts.controlPlaneComponentHealthCheck", Last: "connection refused"}
	crash := &phases.Fault{
		What:  "kube-apiserver does not stay up",
		Why:   errors.New("kube-apiserver ended 3 times, last with exit code 1; its last lines:\n  bind: address already in use"),
		Fixes: []string{"free the port that the log names; who has it: ss -ltnp", "then run the same command again: finished phases are kept"},
	}
	in := func(phase string, err error) error { return &phases.PhaseError{Phase: phase, Err: err} }
	cases := []struct {
		name, reason string
		err          error
		code         phases.Code
	}{
		{"Plain", "an error that nobody thought of", errors.New("read /etc/hosts: permission denied"), phases.CodeFailed},
		{"InPhase", "and in which phase", in("certs/ca", errors.New("read /etc/hosts: permission denied")), phases.CodeFailed},
		{"Fault", "what, why and how to mend it", in("wait-control-plane", crash), phases.CodeFailed},
		{"WrappedFault", "what stands around a fault does not hide it", in("wait-control-plane", fmt.Errorf("verify the result: %w", crash)), phases.CodeFailed},
		{"Timeout", "the limit and the setting that holds it", in("wait-control-plane", timeout), phases.CodeTimeout},
		{"Timeouts", "two at once", in("wait-control-plane", errors.Join(timeout, &wait.TimeoutError{What: "etcd is healthy", Limit: 4 * time.Minute})), phases.CodeTimeout},
		{"Setting", "one setting", invalid(pod), phases.CodeUsage},
		{"Settings", "several settings, each with its fix", invalid(pod, name), phases.CodeUsage},
		{"Place", "the place in the file", invalid(placed, name), phases.CodeUsage},
		{"File", "a file that cannot be read", &kubeadm.Error{Source: "ha.yaml", Problems: []config.Problem{placed}}, phases.CodeUsage},
		{"UnknownPhase", "the phases there are", &phases.UnknownPhaseError{Typed: "cert", Known: []string{"preflight", "certs"}}, phases.CodeUsage},
		{"Unfinished", "a phase that lied", in("kubelet-start", &phases.UnfinishedError{}), phases.CodeFailed},
		{"Interrupted", "the user's own wish", in("certs/ca", fmt.Errorf("make a key: %w", ErrInterrupted)), phases.CodeInterrupted},
		{"Canceled", "the same, by the context's word", in("certs/ca", context.Canceled), phases.CodeInterrupted},
		{"NoUnit", "a typed error of a port", in("kubelet-start", &host.UnitError{Unit: "kubelet.service"}), phases.CodeFailed},
		{"Sockets", "another", &cri.AmbiguousError{Sockets: []string{"unix:///a.sock", "unix:///b.sock"}}, phases.CodeUsage},
		{"Unsafe", "refused", &phases.Fault{What: "the CA would be overwritten", Exit: phases.CodeUnsafe}, phases.CodeUnsafe},
	}
	var all strings.Builder
	for _, c := range cases {
		x := Explain(c.err)
		if x.Code != c.code {
			t.Errorf("%s: exit code %d, want %d", c.reason, x.Code, c.code)
		}
		fmt.Fprintf(&all, "# %s: %s (exit code %d)\n%s\n", c.name, c.reason, x.Code, x)
	}
	goldentest.Check(t, "explain.golden", all.String())
}

// dryRun runs init in a world and checks that nothing happened to it.
func dryRun(t *testing.T, w *world, in InitInput) (*InitResult, *log) {
	t.Helper()
	in.Config.DryRun = true
	before := w.snapshot()
	r, l, err := w.init(t.Context(), in, nil)
	if err != nil {
		t.Fatal(Explain(err))
	}
	if diff := cmp.Diff(before, w.snapshot()); diff != "" {
		t.Errorf("a dry run changes something: -before +after\n%s", diff)
	}
	return r, l
}

// nameOwner gives the token that uploaded certificates belong to, whose name
// is random, a name for golden files.
func nameOwner(r *DryRunReport) {
	owner := ""
	for _, o := range r.Objects {
		if strings.HasPrefix(o.Name, "bootstrap-token-") && !strings.HasSuffix(o.Name, "abcdef") {
			owner = o.Name
		}
	}
	if owner == "" {
		return
	}
	uid := regexp.MustCompile(`uid: hactl-[0-9]+`)
	for i := range r.Objects {
		o := &r.Objects[i]
		for _, text := range []*string{&o.Name, &o.Content, &o.Diff} {
			*text = uid.ReplaceAllString(strings.ReplaceAll(*text, owner, "bootstrap-token-(random)"), "uid: (of the token)")
		}
	}
	sortObjects(r.Objects)
}

func TestDryRun(t *testing.T) {
	cases := map[string]struct {
		reason string
		before func(*testing.T, *world) // what is there already
		golden string
	}{
		"New": {"everything would be made", func(*testing.T, *world) {}, "dryrun-new"},
		"Half": {"an earlier run was interrupted", func(t *testing.T, w *world) {
			ctx, cancel := context.WithCancelCause(t.Context())
			_, _, err := w.init(ctx, input(), func(e phases.Event) {
				if e.Phase == "upload-config/kubeadm" && e.Kind == phases.Finished {
					cancel(ErrInterrupted)
				}
			})
			if !errors.Is(err, ErrInterrupted) {
				t.Fatalf("the run before ends with %v", err)
			}
			time.Sleep(time.Minute) // of the bubble: the kubelet registers its node
		}, "dryrun-half"},
		"Done": {"nothing would be done", func(t *testing.T, w *world) {
			if _, _, err := w.init(t.Context(), input(), nil); err != nil {
				t.Fatal(err)
			}
		}, "dryrun-done"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				c.before(t, w)
				r, l := dryRun(t, w, input())
				nameOwner(r.DryRun)
				var text bytes.Buffer
				if err := r.Text(&text); err != nil {
					t.Fatal(err)
				}
				goldentest.Check(t, c.golden+".golden", text.String())
				if end := l.ends()["preflight"]; end != phases.Finished {
					t.Errorf("%s: preflight is %s", c.reason, end)
				}
			})
		})
	}
}

func TestResult(t *testing.T) {
	expires := time.Date(2026, 11, 21, 6, 0, 0, 0, time.Local)
	join := &JoinResult{
		Token: "TOKEN", CAHash: "sha256:0123", Worker: "hactl join lb:6443 --token TOKEN",
		ControlPlane: "hactl join lb:6443 --token TOKEN --control-plane --certificate-key KEY",
	}
	plain := &JoinResult{CAHash: "sha256:0123", Worker: "hactl join lb:6443 --token <token>", ControlPlane: "hactl join lb:6443 --control-plane"}
	alone := &JoinResult{CAHash: "sha256:0123", Worker: "hactl join 10.0.0.11:6443"}
	base := InitResult{Node: "cp-1", KubernetesVersion: "v1.37.1", Endpoint: "lb:6443", Kubeconfig: "/etc/kubernetes/admin.conf"}
	cases := []struct {
		name, reason string
		change       func(*InitResult)
	}{
		{"Uploaded", "further control planes can join at once", func(r *InitResult) {
			r.Join, r.CertificateKey, r.CertificatesExpire = join, "KEY", &expires
		}},
		{"NotUploaded", "the certificates come first", func(r *InitResult) { r.Join = plain }},
		{"OneNode", "without an endpoint there is no second control plane", func(r *InitResult) { r.Join = alone }},
		{"NoToken", "show-join-command was skipped", func(*InitResult) {}},
		{"OnlyCerts", "upload-certs alone shows its key", func(r *InitResult) { r.only, r.CertificateKey = true, "KEY" }},
		{"OnlyPhase", "most phases alone have nothing to show", func(r *InitResult) { r.only = true }},
	}
	var all strings.Builder
	for _, c := range cases {
		r := base
		c.change(&r)
		fmt.Fprintf(&all, "# %s: %s\n", c.name, c.reason)
		if err := r.Text(&all); err != nil {
			t.Fatal(err)
		}
		data, err := json.MarshalIndent(r, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&all, "%s\n\n", data)
	}
	// The text has the zone of this machine, the object the time in full.
	zone := regexp.MustCompile(`(06:00:00) [A-Z0-9+-]+|"2026-11-21T06:00:00[^"]*"`)
	goldentest.Check(t, "result.golden", zone.ReplaceAllString(all.String(), "(06:00 here)"))
}

// secrets are what must stand in nothing but the result: what the user gave,
// and the keys in all files.
func (w *world) secrets() []string {
	list := []string{knownToken, strings.SplitN(knownToken, ".", 2)[1], knownKey}
	for name, content := range w.snapshot() {
		if strings.HasSuffix(name, ".key") {
			_, body, _ := strings.Cut(content, "-----\n")
			list = append(list, strings.SplitN(body, "\n", 2)[0])
		}
	}
	return list
}

func TestNoSecrets(t *testing.T) {
	search := func(t *testing.T, where, text string, secrets []string) {
		for _, s := range secrets {
			if strings.Contains(text, s) {
				t.Errorf("%s tells a secret: %s", where, text)
			}
		}
	}
	told := func(t *testing.T, l *log, err error, secrets []string) {
		for _, e := range l.events {
			search(t, "event of "+e.Phase, fmt.Sprintf("%+v %q", e, e.Reason), secrets)
		}
		if err != nil {
			search(t, "error", fmt.Sprintf("%v %+v %#v", err, Explain(err), Explain(err)), secrets)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		r, l := dryRun(t, w, input())
		data, err := json.Marshal(r.DryRun)
		if err != nil {
			t.Fatal(err)
		}
		secrets := w.secrets()
		search(t, "the report of a dry run", string(data), secrets)
		told(t, l, nil, secrets)

		_, l, err = w.init(t.Context(), input(), nil)
		secrets = w.secrets()
		if err != nil || len(secrets) < 10 {
			t.Fatalf("%v, %d secrets", err, len(secrets))
		}
		told(t, l, err, secrets)

		hidden := input()
		hidden.HideToken, hidden.HideKey = true, true
		r, l, err = w.init(t.Context(), hidden, nil)
		told(t, l, err, secrets)
		if data, err = json.Marshal(r); err != nil {
			t.Fatal(err)
		}
		search(t, "a result that hides them", string(data), secrets)

		// Another key and token, which do not fit what is there; and each
		// file broken in turn: errors must not quote what they read.
		other := input()
		other.Config.Tokens[0].Value = "abcdef.secretsecret0000"
		other.Config.CertificateKey = "short" + knownKey
		_, l, err = w.init(t.Context(), other, nil)
		told(t, l, err, append(secrets, "secretsecret0000"))
		for name, content := range w.snapshot() {
			if !strings.HasPrefix(name, "/etc/kubernetes/") || slices.Contains([]string{"d"}, content[:1]) {
				continue
			}
			_, body, _ := strings.Cut(content, " ")
			w.file(name, "\tsecrets: {"+knownKey+"\n"+body, 0o600)
			_, l, err := w.init(t.Context(), input(), nil)
			told(t, l, err, secrets)
			w.file(name, body, 0o600)
		}
	})
}

// A phase alone needs its own inputs and nothing else.
func TestPhaseAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		if _, _, err := w.init(t.Context(), input(), nil); err != nil {
			t.Fatal(err)
		}
		for _, path := range leaves() {
			in := input()
			in.Only = []string{path}
			_, l, err := w.init(t.Context(), in, nil)
			if err != nil {
				t.Errorf("%s alone: %v", path, Explain(err))
			}
			if len(l.ends()) != 1 || len(l.titles) > 0 {
				t.Errorf("%s alone: ran %v", path, l.ends())
			}
		}
	})
}

// On a machine where nothing was done yet, a phase either does its part or
// says what is missing and what makes it.
func TestPhaseAloneAtFirst(t *testing.T) {
	var all strings.Builder
	for _, path := range leaves() {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			in := input()
			in.Only = []string{path}
			_, _, err := w.init(t.Context(), in, nil)
			if err == nil {
				fmt.Fprintf(&all, "# %s: done\n\n", path)
				return
			}
			fmt.Fprintf(&all, "# %s\n%s\n", path, Explain(err))
		})
	}
	goldentest.Check(t, "alone.golden", all.String())
}

func TestRefused(t *testing.T) {
	cases := map[string]struct {
		reason string
		change func(*InitInput)
		code   phases.Code
	}{
		"Phase":     {"there is no such phase", func(in *InitInput) { in.Skip = []string{"cert"} }, phases.CodeUsage},
		"Setting":   {"a setting is not valid", func(in *InitInput) { in.Config.Node.Name = "-x-" }, phases.CodeUsage},
		"Preflight": {"the machine cannot become a node", func(in *InitInput) { in.Config.Cluster.Version = "v1.36.0" }, phases.CodePreflight},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				in := input()
				c.change(&in)
				before := w.snapshot()
				_, _, err := w.init(t.Context(), in, nil)
				if x := Explain(err); err == nil || x.Code != c.code {
					t.Errorf("%s: %v, want exit code %d", c.reason, err, c.code)
				}
				if diff := cmp.Diff(before, w.snapshot()); diff != "" {
					t.Errorf("%s, and something is changed: -before +after\n%s", c.reason, diff)
				}
			})
		})
	}
}
