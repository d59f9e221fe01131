package kubelet_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"

	"github.com/hactl/hactl/certs"
	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/config/goldentest"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/host"
	"github.com/hactl/hactl/phases/kubelet"
)

const (
	bootstrapConf = config.KubernetesDir + "/bootstrap-kubelet.conf"
	caFile        = "/etc/kubernetes/pki/ca.crt"
	lb            = "https://lb.example.com:6443"
)

// authority makes a CA that is valid now.
func authority(t *testing.T) *certs.Authority {
	t.Helper()
	key, err := certs.NewKey(certs.ECDSAP256)
	if err != nil {
		t.Fatal(err)
	}
	ca, err := certs.NewAuthority(certs.AuthoritySpec{CommonName: "kubernetes"}, key, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

// bootstrapWith is what discovery finds.
func bootstrapWith(ca *certs.Authority, token string) *api.Config {
	c := api.NewConfig()
	c.Clusters["kubernetes"] = &api.Cluster{Server: lb, CertificateAuthorityData: certs.EncodeCert(ca.Cert)}
	c.AuthInfos["tls-bootstrap-token-user"] = &api.AuthInfo{Token: token}
	c.CurrentContext = "tls-bootstrap-token-user@kubernetes"
	c.Contexts[c.CurrentContext] = &api.Context{Cluster: "kubernetes", AuthInfo: "tls-bootstrap-token-user"}
	return c
}

// newJoiner is a machine that has nothing, and the task of a worker's join.
func newJoiner(t *testing.T) (*machine, *certs.Authority) {
	t.Helper()
	m := newMachine(t, load(t, "default"))
	m.gone(t, conf)
	m.task.Node.Taints = nil
	ca := authority(t)
	m.task.Join = &kubelet.Join{
		Bootstrap: bootstrapWith(ca, "abcdef.first"), CA: certs.EncodeCert(ca.Cert), CACertPath: caFile, Worker: true,
	}
	return m, ca
}

func (m *machine) gone(t *testing.T, name string) {
	t.Helper()
	if err := m.Remove(t.Context(), name); err != nil {
		t.Fatal(err)
	}
}

// got gives the kubelet its certificate, as TLS bootstrap does.
func (m *machine) got(t *testing.T, ca *certs.Authority) {
	t.Helper()
	m.file(t, current, string(clientPEM(t, ca)))
	m.point(t, ca)
}

// point writes kubelet.conf as the kubelet does before it has a certificate.
func (m *machine) point(t *testing.T, ca *certs.Authority) {
	t.Helper()
	c := api.NewConfig()
	c.Clusters["default-cluster"] = &api.Cluster{Server: lb, CertificateAuthorityData: certs.EncodeCert(ca.Cert)}
	c.AuthInfos["default-auth"] = &api.AuthInfo{ClientCertificate: current, ClientKey: current}
	c.CurrentContext = "default-context"
	c.Contexts[c.CurrentContext] = &api.Context{Cluster: "default-cluster", AuthInfo: "default-auth"}
	data, err := clientcmd.Write(*c)
	if err != nil {
		t.Fatal(err)
	}
	m.file(t, conf, string(data))
}

func clientPEM(t *testing.T, ca *certs.Authority) []byte {
	t.Helper()
	key, err := certs.NewKey(certs.ECDSAP256)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := ca.Issue(clientLeaf("system:node:cp-1"), key, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	data, err := certs.EncodeKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return append(certs.EncodeCert(pair.Cert), data...)
}

func TestJoinStart(t *testing.T) {
	m, ca := newJoiner(t)
	for _, want := range []phases.Kind{phases.Finished, phases.Unchanged} {
		if end, _, err := m.run(t, kubelet.JoinStartPhase()); err != nil || end != want {
			t.Fatalf("the end is %s, %v, want %s", end, err, want)
		}
	}
	if diff := cmp.Diff([]host.ServiceAction{host.EnableService, host.RestartService}, m.actions); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if got := string(m.read(t, caFile)); got != string(certs.EncodeCert(ca.Cert)) {
		t.Error("the CA's file holds something else")
	}
	kubeconfig, err := clientcmd.Load(m.read(t, bootstrapConf))
	if err != nil {
		t.Fatal(err)
	}
	if s, u := kubeconfig.Clusters["kubernetes"].Server, kubeconfig.AuthInfos["tls-bootstrap-token-user"].Token; s != lb || u != "abcdef.first" {
		t.Errorf("the kubelet bootstraps at %s", s)
	}
	for name, perm := range map[string]uint32{bootstrapConf: 0o600, caFile: 0o644} {
		if info, err := m.Stat(t.Context(), name); err != nil || uint32(info.Mode.Perm()) != perm {
			t.Errorf("%s: %v, %v, want %o", name, info.Mode, err, perm)
		}
	}
	// The other files are those of init.
	for _, name := range []string{"config.yaml", "instance-config.yaml", "kubeadm-flags.env"} {
		goldentest.Check(t, "default."+name, m.read(t, config.KubeletDir+"/"+name))
	}
}

func TestJoinStartAgain(t *testing.T) {
	cases := map[string]struct {
		reason    string
		change    func(*testing.T, *machine, *certs.Authority)
		end       phases.Kind
		bootstrap string // a part of the file; "": it is not there
	}{
		"NewToken": {"the old token ended before the kubelet got in", func(_ *testing.T, m *machine, ca *certs.Authority) {
			m.task.Join.Bootstrap = bootstrapWith(ca, "abcdef.second")
		}, phases.Finished, "abcdef.second"},
		"GotIn": {"the kubelet has its certificate, and needs no token", func(t *testing.T, m *machine, ca *certs.Authority) {
			m.got(t, ca)
			m.gone(t, bootstrapConf)
			m.task.Join.Bootstrap = bootstrapWith(ca, "abcdef.second")
		}, phases.Unchanged, ""},
		"NotYet": {"kubelet.conf is there, its certificate not yet", func(t *testing.T, m *machine, ca *certs.Authority) {
			m.point(t, ca)
			m.gone(t, bootstrapConf)
		}, phases.Finished, "abcdef.first"},
		"Expired": {"the node was away for years", func(t *testing.T, m *machine, ca *certs.Authority) {
			m.got(t, ca)
			m.gone(t, bootstrapConf)
			m.task.Join.Now = func() time.Time { return time.Now().AddDate(3, 0, 0) }
		}, phases.Finished, "abcdef.first"},
		"Local": {"a control plane without the CA's key uses its own API server", func(_ *testing.T, m *machine, _ *certs.Authority) {
			m.task.Join.Server = "https://10.0.0.12:6443"
		}, phases.Finished, "https://10.0.0.12:6443"},
		"Rotation": {"the cluster has a second CA by now; the node's file is kept", func(t *testing.T, m *machine, ca *certs.Authority) {
			m.task.Join.CA = certs.EncodeCert(authority(t).Cert, ca.Cert)
		}, phases.Unchanged, "abcdef.first"},
		"Cut": {"a crash left half a file", func(t *testing.T, m *machine, _ *certs.Authority) {
			m.file(t, bootstrapConf, "apiVersion: v1\nki")
		}, phases.Finished, "abcdef.first"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			m, ca := newJoiner(t)
			if _, _, err := m.run(t, kubelet.JoinStartPhase()); err != nil {
				t.Fatal(err)
			}
			c.change(t, m, ca)
			if end, _, err := m.run(t, kubelet.JoinStartPhase()); err != nil || end != c.end {
				t.Errorf("%s: the end is %s, %v, want %s", c.reason, end, err, c.end)
			}
			data, err := m.ReadFile(t.Context(), bootstrapConf)
			if (err == nil) != (c.bootstrap != "") || !strings.Contains(string(data), c.bootstrap) {
				t.Errorf("%s: bootstrap-kubelet.conf: %v, want %q in it", c.reason, err, c.bootstrap)
			}
		})
	}
}

// On a control plane that signed kubelet.conf itself, no way in is needed.
func TestJoinStartSignedHere(t *testing.T) {
	m, ca := newJoiner(t)
	m.task.Join.Bootstrap, m.task.Join.Worker = nil, false
	var fault *phases.Fault
	if _, _, err := m.run(t, kubelet.JoinStartPhase()); !errors.As(err, &fault) || !strings.Contains(fault.Fixes[0], "hactl join phase") {
		t.Errorf("without kubelet.conf: %v, want a fault that names the phase", err)
	}
	m.got(t, ca)
	if end, _, err := m.run(t, kubelet.JoinStartPhase()); err != nil || end != phases.Finished {
		t.Errorf("the end is %s, %v", end, err)
	}
	if _, err := m.Stat(t.Context(), bootstrapConf); err == nil {
		t.Error("there is a bootstrap-kubelet.conf")
	}
	if end, _, err := m.run(t, kubelet.BootstrapPhase()); err != nil || end != phases.Skipped {
		t.Errorf("kubelet-wait-bootstrap: the end is %s, %v, want skipped", end, err)
	}
}

func TestTaints(t *testing.T) {
	taints := []corev1.Taint{{Key: "a", Value: "b", Effect: corev1.TaintEffectNoSchedule}, {Key: "c", Effect: corev1.TaintEffectNoExecute}}
	for name, c := range map[string]struct {
		reason string
		worker bool
		want   string
	}{
		"Worker":       {"the kubelet registers the node with them", true, "--register-with-taints=a=b:NoSchedule,c:NoExecute"},
		"ControlPlane": {"a later phase sets them", false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			m, _ := newJoiner(t)
			m.task.Node.Hostname, m.task.Node.Taints, m.task.Join.Worker = m.task.Node.Name, taints, c.worker
			if _, _, err := m.run(t, kubelet.JoinStartPhase()); err != nil {
				t.Fatal(err)
			}
			want := fmt.Sprintf("KUBELET_KUBEADM_ARGS=%q\n", c.want)
			if diff := cmp.Diff(want, string(m.read(t, config.KubeletDir+"/kubeadm-flags.env"))); diff != "" {
				t.Errorf("%s: -want +got\n%s", c.reason, diff)
			}
		})
	}
}

func TestJoinStartRefused(t *testing.T) {
	cases := map[string]struct {
		reason string
		change func(*testing.T, *machine)
		file   string
	}{
		"CA": {"the CA of another cluster", func(t *testing.T, m *machine) {
			m.file(t, caFile, string(certs.EncodeCert(authority(t).Cert)))
		}, caFile},
		"NoCA":        {"something else", func(t *testing.T, m *machine) { m.file(t, caFile, "hello") }, caFile},
		"KubeletConf": {"the kubelet belongs to another cluster", func(t *testing.T, m *machine) { m.got(t, authority(t)) }, conf},
		"OldConf":     {"and so it did, before it was reset by half", func(t *testing.T, m *machine) { m.point(t, authority(t)) }, conf},
		"Bootstrap": {"it began to join another cluster", func(t *testing.T, m *machine) {
			data, err := clientcmd.Write(*bootstrapWith(authority(t), "other.token"))
			if err != nil {
				t.Fatal(err)
			}
			m.file(t, bootstrapConf, string(data))
		}, bootstrapConf},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			m, _ := newJoiner(t)
			c.change(t, m)
			before := string(m.read(t, c.file))
			_, _, err := m.run(t, kubelet.JoinStartPhase())
			var fault *phases.Fault
			if !errors.As(err, &fault) || fault.Code() != phases.CodeUnsafe || !strings.Contains(fault.What, c.file) || len(fault.Fixes) == 0 {
				t.Errorf("%s: %v, want a fault of %s", c.reason, err, c.file)
			}
			if string(m.read(t, c.file)) != before || len(m.actions) > 0 {
				t.Errorf("%s: something was changed, %v", c.reason, m.actions)
			}
		})
	}
}
