package kubelet_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/config/goldentest"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/kubelet"
)

const (
	conf    = config.KubernetesDir + "/kubelet.conf"
	current = config.KubeletDir + "/pki/kubelet-client-current.pem"

	kubeletConf = `apiVersion: v1
kind: Config
clusters:
- name: kubernetes
  cluster: {server: "https://lb.example.com:6443", certificate-authority-data: Y2E=}
contexts:
- name: system:node:cp-1@kubernetes
  context: {cluster: kubernetes, user: system:node:cp-1}
current-context: system:node:cp-1@kubernetes
users:
- name: system:node:cp-1
  user: {client-certificate-data: Y2VydA==, client-key-data: a2V5}
- name: other
  user: {token: mine}
`
)

func TestFinalize(t *testing.T) {
	m := newMachine(t, load(t, "default"))
	m.file(t, current, "certificate and key")
	if end, warnings, err := m.run(t, kubelet.FinalizePhase()); err != nil || end != phases.Finished || len(warnings) > 0 {
		t.Fatalf("the end is %s, %q, %v, want finished", end, warnings, err)
	}
	goldentest.Check(t, "finalized.kubelet.conf", m.read(t, conf))
	if info, err := m.Stat(t.Context(), conf); err != nil || info.Mode.Perm() != 0o600 {
		t.Errorf("mode %v, %v, want 0600", info.Mode, err)
	}
	if end, _, err := m.run(t, kubelet.FinalizePhase()); err != nil || end != phases.Unchanged {
		t.Errorf("a second run: the end is %s, %v, want unchanged", end, err)
	}
	if len(m.actions) > 0 {
		t.Errorf("the kubelet is touched: %v", m.actions)
	}
}

func TestFinalizeElsewhere(t *testing.T) {
	in := load(t, "default")
	in.Node.KubeletArgs = []config.Arg{{Name: "cert-dir", Value: "/srv/a"}, {Name: "cert-dir", Value: "/srv/b"}}
	m := newMachine(t, in)
	m.file(t, "/srv/b/kubelet-client-current.pem", "certificate and key")
	if _, _, err := m.run(t, kubelet.FinalizePhase()); err != nil {
		t.Fatal(err)
	}
	got, err := clientcmd.Load(m.read(t, conf))
	if err != nil {
		t.Fatal(err)
	}
	user := got.AuthInfos["system:node:cp-1"]
	if diff := cmp.Diff("/srv/b/kubelet-client-current.pem", user.ClientCertificate); diff != "" || len(user.ClientKeyData) > 0 {
		t.Errorf("the last --cert-dir counts: -want +got\n%s", diff)
	}
}

func TestFinalizeRefused(t *testing.T) {
	cases := map[string]struct {
		reason, conf string
		fault        bool
	}{
		"Missing":   {"there is no kubelet.conf", "", true},
		"NoContext": {"it has no current context", "apiVersion: v1\nkind: Config\n", true},
		"NoUser":    {"the context's user is not there", "apiVersion: v1\nkind: Config\ncurrent-context: a\ncontexts: [{name: a, context: {user: b}}]\n", true},
		"NoYAML":    {"it is something else", "\t{", false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t, load(t, "default"))
			m.file(t, current, "certificate and key")
			m.file(t, conf, c.conf)
			if c.conf == "" {
				if err := m.Remove(t.Context(), conf); err != nil {
					t.Fatal(err)
				}
			}
			_, _, err := m.run(t, kubelet.FinalizePhase())
			var fault *phases.Fault
			if err == nil || errors.As(err, &fault) != c.fault {
				t.Errorf("%s: %v, want a fault: %v", c.reason, err, c.fault)
			}
		})
	}
}

// A kubelet that does not renew its certificate keeps the one it was given.
func TestFinalizeWithoutRotation(t *testing.T) {
	m := newMachine(t, load(t, "default"))
	end, warnings, err := m.run(t, kubelet.FinalizePhase())
	if err != nil || end != phases.Unchanged || len(warnings) != 1 {
		t.Errorf("the end is %s, %v, warnings %q, want unchanged and one warning", end, err, warnings)
	}
	if diff := cmp.Diff(kubeletConf, string(m.read(t, conf))); diff != "" {
		t.Errorf("kubelet.conf was changed: -want +got\n%s", diff)
	}
}
