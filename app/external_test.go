package app

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"path"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/client-go/tools/clientcmd"

	"github.com/hactl/hactl/certs"
	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/kube"
)

// without removes an object from the cluster.
func (w *world) without(obj kube.Object) {
	w.t.Helper()
	if err := w.api.Delete(w.t.Context(), obj); err != nil {
		w.t.Fatal(err)
	}
}

// gone removes a file.
func (w *world) gone(path string) {
	w.t.Helper()
	if err := w.host.Remove(w.t.Context(), path); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) read(path string) []byte {
	w.t.Helper()
	data, err := w.host.ReadFile(w.t.Context(), path)
	if err != nil {
		w.t.Fatal(err)
	}
	return data
}

// authority is a CA whose key is not on the machine.
type authority struct {
	*certs.Authority
	pem string
}

func newAuthority(t *testing.T, now time.Time, name string) authority {
	t.Helper()
	key, err := certs.NewKey(certs.ECDSAP256)
	if err != nil {
		t.Fatal(err)
	}
	a, err := certs.NewAuthority(certs.AuthoritySpec{CommonName: name}, key, now)
	if err != nil {
		t.Fatal(err)
	}
	return authority{a, string(certs.EncodeCert(a.Cert))}
}

// sign does what the people of an external CA do with a request.
func (w *world) sign(a authority, file string) []byte {
	w.t.Helper()
	r, err := certs.ParseRequest(w.read(file))
	if err != nil {
		w.t.Fatal(err)
	}
	template := &x509.Certificate{
		Subject: r.Subject, DNSNames: r.DNSNames, IPAddresses: r.IPAddresses,
		NotBefore: w.now(), NotAfter: w.now().Add(24 * time.Hour), ExtraExtensions: r.Extensions[len(r.Extensions)-1:],
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.Cert, r.PublicKey, a.Key)
	if err != nil {
		w.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		w.t.Fatal(err)
	}
	return certs.EncodeCert(cert)
}

// complete puts the certificate into a kubeconfig.
func (w *world) complete(file string, cert []byte) {
	w.t.Helper()
	conf, err := clientcmd.Load(w.read(file))
	if err != nil {
		w.t.Fatal(err)
	}
	conf.AuthInfos[conf.Contexts[conf.CurrentContext].AuthInfo].ClientCertificateData = cert
	data, err := clientcmd.Write(*conf)
	if err != nil {
		w.t.Fatal(err)
	}
	w.file(file, string(data), 0o600)
}

// externalInput is input without uploaded certificates.
func externalInput() InitInput {
	in := input()
	in.UploadCerts, in.Config.CertificateKey = false, ""
	return in
}

// With an external CA, hactl makes keys and requests, refuses to begin while
// something is missing, and then initialises the cluster without any CA key.
func TestExternalCA(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		const pki = "/etc/kubernetes/pki"
		cas := map[string]authority{}
		for file, name := range map[string]string{"ca": "kubernetes", "front-proxy-ca": "front-proxy-ca", "etcd/ca": "etcd-ca"} {
			cas[file] = newAuthority(t, w.now(), name)
			w.file(path.Join(pki, file+".crt"), cas[file].pem, 0o644)
		}
		refused := func(when string) {
			t.Helper()
			before := w.snapshot()
			_, _, err := w.init(t.Context(), externalInput(), nil)
			if x := Explain(err); x.Code != phases.CodePreflight || len(x.Fix) == 0 {
				t.Errorf("%s: %v", when, x)
			}
			if len(before) != len(w.snapshot()) {
				t.Errorf("%s: init has begun", when)
			}
		}
		refused("without certificates")
		for range 2 { // the second run finds everything
			r, err := signingRequestsOver(t.Context(), w.ports(), RequestsInput{Config: externalInput().Config, KubeconfigDir: config.KubernetesDir}, func(phases.Event) {})
			if err != nil || len(r.Requests) != 12 {
				t.Fatal(r, err)
			}
			for _, file := range r.Requests {
				ca := cas["ca"]
				switch {
				case strings.HasPrefix(file, pki+"/etcd/"), strings.Contains(file, "apiserver-etcd"):
					ca = cas["etcd/ca"]
				case strings.Contains(file, "front-proxy"):
					ca = cas["front-proxy-ca"]
				}
				cert := w.sign(ca, file)
				if conf := strings.TrimSuffix(file, ".csr"); strings.HasSuffix(conf, ".conf") {
					w.complete(conf, cert)
				} else {
					w.file(conf+".crt", string(cert), 0o644)
				}
			}
		}
		conf := w.read("/etc/kubernetes/scheduler.conf")
		w.gone("/etc/kubernetes/scheduler.conf")
		refused("without one kubeconfig")
		w.file("/etc/kubernetes/scheduler.conf", string(conf), 0o600)

		dry := externalInput()
		dry.Config.DryRun = true
		if _, _, err := w.init(t.Context(), dry, nil); err != nil {
			t.Fatal("dry run: ", Explain(err))
		}
		r, _, err := w.init(t.Context(), externalInput(), nil)
		if err != nil {
			t.Fatal(Explain(err))
		}
		var text bytes.Buffer
		if err := r.Text(&text); err != nil || !strings.Contains(text.String(), "hactl certs generate-csr") || strings.Contains(text.String(), "upload-certs") {
			t.Errorf("how to join (%v):\n%s", err, text.String())
		}
		for _, file := range []string{"ca.key", "front-proxy-ca.key", "etcd/ca.key"} {
			if _, err := w.host.Stat(t.Context(), path.Join(pki, file)); err == nil {
				t.Errorf("hactl made %s", file)
			}
		}
		if manifest := w.read("/etc/kubernetes/manifests/kube-controller-manager.yaml"); !bytes.Contains(manifest, []byte("--cluster-signing-key-file=\n")) {
			t.Error("kube-controller-manager is to sign with a key that is not here")
		}
		_, err = userKubeconfigOver(t.Context(), w.ports(), UserInput{Access: access(), Name: "jane", Validity: time.Hour}, func(phases.Event) {})
		if !errors.Is(err, certs.ErrExternalCA) {
			t.Errorf("a certificate for a user: %v", err)
		}
	})
}

func TestUserKubeconfig(t *testing.T) {
	cases := map[string]struct {
		reason   string
		in       UserInput
		change   func(*testing.T, *world)
		server   string // "": refused
		code     phases.Code
		warnings int
	}{
		"Cluster": {reason: "the cluster tells its endpoint", in: UserInput{Validity: time.Hour}, server: "https://lb.example.com:6443"},
		"Config":  {reason: "the file tells the endpoint", in: UserInput{Validity: time.Hour, Config: func() *config.Init { c := input().Config; c.Cluster.ControlPlaneEndpoint.Port = 8443; return c }()}, server: "https://lb.example.com:8443"},
		"Local":   {reason: "without an endpoint it is this node", in: UserInput{Validity: time.Hour, Config: &config.Init{}}, server: "https://10.0.0.11:6443"},
		"Token":   {reason: "groups are the token's", in: UserInput{Validity: time.Hour, Token: "secret", Organizations: []string{"x"}}, server: "https://lb.example.com:6443", warnings: 1},
		"Masters": {reason: "nobody can take it back", in: UserInput{Validity: 2 * certs.DefaultValidity, Organizations: []string{"system:masters"}}, server: "https://lb.example.com:6443", warnings: 2},
		"Long":    {reason: "it ends with the CA", in: UserInput{Validity: 2 * certs.DefaultCAValidity}, server: "https://lb.example.com:6443", warnings: 1},
		"Zero":    {reason: "it would be of no use", in: UserInput{}, code: phases.CodeUsage},
		"Down": {reason: "the cluster cannot tell its endpoint", in: UserInput{Validity: time.Hour}, change: func(_ *testing.T, w *world) {
			w.api.HandleRaw("/readyz", func() ([]byte, error) { return nil, &kube.KubeconfigError{Paths: []string{"/x"}} })
		}, code: phases.CodeUsage},
		"NoCA": {reason: "this is no control plane", in: UserInput{Validity: time.Hour}, change: func(_ *testing.T, w *world) { w.gone("/etc/kubernetes/pki/ca.crt") }, code: phases.CodeFailed},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			cluster(t, func(t *testing.T, w *world) {
				if c.change != nil {
					c.change(t, w)
				}
				c.in.Access, c.in.Name = access(), "jane"
				var warnings []string
				got, err := userKubeconfigOver(t.Context(), w.ports(), c.in, func(e phases.Event) { warnings = append(warnings, e.Reason) })
				if c.server == "" {
					if x := Explain(err); err == nil || x.Code != c.code || len(x.Fix) == 0 {
						t.Errorf("%s: %v", c.reason, x)
					}
					return
				}
				if err != nil {
					t.Fatal(Explain(err))
				}
				conf, err := clientcmd.Load([]byte(got.Reveal()))
				if err != nil {
					t.Fatal(err)
				}
				if server := conf.Clusters["kubernetes"].Server; server != c.server {
					t.Errorf("%s: server %s, want %s", c.reason, server, c.server)
				}
				if len(warnings) != c.warnings {
					t.Errorf("%s: %d warnings, want %d: %q", c.reason, len(warnings), c.warnings, warnings)
				}
			})
		})
	}
}
