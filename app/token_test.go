package app

import (
	"bytes"
	std "cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/config/goldentest"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/kube"
)

const secondToken = config.Secret("second.0123456789abcdef")

// cluster calls f with a world in which init has run.
func cluster(t *testing.T, f func(*testing.T, *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		if _, _, err := w.init(t.Context(), input(), nil); err != nil {
			t.Fatal(Explain(err))
		}
		f(t, w)
	})
}

func access() Access { return Access{Kubeconfigs: []string{"/etc/kubernetes/admin.conf"}} }

// tokenInput asks for one token with defaults.
func tokenInput(value config.Secret, join JoinKind) TokenInput {
	t := config.Token{Value: value, TTL: time.Hour}
	t.Default()
	return TokenInput{Access: access(), Tokens: []config.Token{t}, Join: join}
}

// create runs CreateToken and returns what was told as text.
func (w *world) create(ctx context.Context, in TokenInput) (*TokenResult, string, error) {
	var told strings.Builder
	r, err := createTokenOver(ctx, w.ports(), in, func(e phases.Event) { fmt.Fprintf(&told, "%+v\n", e) })
	return r, told.String(), err
}

func TestCreateToken(t *testing.T) {
	cases := map[string]struct {
		reason  string
		join    JoinKind
		key     config.Secret
		command string // "TOKEN" and "HASH" stand for themselves
		warns   bool
	}{
		"Token":        {"the token alone", NoJoin, "", "", false},
		"Worker":       {"from cluster-info", WorkerJoin, "", "hactl join lb.example.com:6443 --token TOKEN --discovery-token-ca-cert-hash HASH", false},
		"ControlPlane": {"with the key of init", ControlPlaneJoin, knownKey, "hactl join lb.example.com:6443 --token TOKEN --discovery-token-ca-cert-hash HASH --control-plane --certificate-key " + knownKey, false},
		"OtherKey":     {"the key opens nothing", ControlPlaneJoin, "00" + config.Secret(knownKey[2:]), "hactl join lb.example.com:6443 --token TOKEN --discovery-token-ca-cert-hash HASH --control-plane --certificate-key 00" + knownKey[2:], true},
		"Uploaded":     {"with a new key", UploadedJoin, "", "hactl join lb.example.com:6443 --token TOKEN --discovery-token-ca-cert-hash HASH --control-plane --certificate-key KEY", false},
		"UploadedKey":  {"with the user's key", UploadedJoin, knownKey, "hactl join lb.example.com:6443 --token TOKEN --discovery-token-ca-cert-hash HASH --control-plane --certificate-key " + knownKey, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			cluster(t, func(t *testing.T, w *world) {
				in := tokenInput(secondToken, c.join)
				in.CertificateKey = c.key
				r, told, err := w.create(t.Context(), in)
				if err != nil {
					t.Fatal(Explain(err))
				}
				_, hash, _ := strings.Cut(r.JoinCommand, "ca-cert-hash ")
				hash, _, _ = strings.Cut(hash, " ")
				want := strings.NewReplacer("TOKEN", secondToken.Reveal(), "HASH", hash, "KEY", r.CertificateKey).Replace(c.command)
				if r.Token != secondToken.Reveal() || r.JoinCommand != want || c.join != NoJoin && len(hash) != len("sha256:")+64 {
					t.Errorf("%s: got %s, %s\nwant %s", c.reason, r.Token, r.JoinCommand, want)
				}
				if c.join == UploadedJoin && (len(r.CertificateKey) != 64 || r.CertificatesExpire.Sub(w.now()) < 90*time.Minute) {
					t.Errorf("%s: key %q until %v", c.reason, r.CertificateKey, r.CertificatesExpire)
				}
				if strings.Contains(told, "warning") != c.warns || strings.Contains(told, secondToken.Reveal()) || strings.Contains(told, knownKey) {
					t.Errorf("%s: told\n%s", c.reason, told)
				}
				var text bytes.Buffer
				if err := r.Text(&text); err != nil || text.String() != std.Or(want, r.Token)+"\n" {
					t.Errorf("%s: text %q, %v", c.reason, text.String(), err)
				}
				live := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "bootstrap-token-second"}}
				if err := w.api.Get(t.Context(), live); err != nil {
					t.Errorf("%s: %v", c.reason, err)
				}
			})
		})
	}
}

func TestCreateTokenRefuses(t *testing.T) {
	cases := map[string]struct {
		reason string
		in     TokenInput
		change func(*testing.T, *world)
		code   phases.Code
	}{
		"Shape":  {"the API server would ignore it", tokenInput("Abcdef.0123456789abcdef", NoJoin), nil, phases.CodeUsage},
		"Taken":  {"it is there", tokenInput(knownToken, NoJoin), nil, phases.CodeFailed},
		"Usages": {"a node could not verify the cluster", TokenInput{Access: access(), Tokens: []config.Token{{Usages: []string{"authentication"}}}, Join: WorkerJoin}, nil, phases.CodeUsage},
		"NoInfo": {"a node would find no cluster", tokenInput("", WorkerJoin), func(t *testing.T, w *world) {
			w.without(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "kube-public", Name: "cluster-info"}})
		}, phases.CodeFailed},
		"NoConfig": {"the endpoint is not known", tokenInput("", UploadedJoin), func(t *testing.T, w *world) {
			w.without(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "kubeadm-config"}})
		}, phases.CodeFailed},
		"NoEndpoint": {"there is one control plane for ever", tokenInput("", UploadedJoin), func(t *testing.T, w *world) {
			if err := w.api.Set(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "kubeadm-config"},
				Data: map[string]string{"ClusterConfiguration": "apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\n"}}); err != nil {
				t.Fatal(err)
			}
		}, phases.CodeUsage},
		"BadKey": {"it opens nothing, ever", TokenInput{Access: access(), Tokens: tokenInput("", NoJoin).Tokens, Join: ControlPlaneJoin, CertificateKey: "00"}, nil, phases.CodeUsage},
		"NotHere": {"a worker has no certificates", tokenInput("", UploadedJoin), func(t *testing.T, w *world) {
			w.gone("/etc/kubernetes/pki/ca.crt")
		}, phases.CodeFailed},
		"OtherCluster": {"its keys would go to another cluster", tokenInput("", UploadedJoin), func(t *testing.T, w *world) {
			other := newAuthority(t, w.now(), "kubernetes")
			w.file("/etc/kubernetes/pki/ca.crt", other.pem, 0o644)
		}, phases.CodeUnsafe},
		"ExternalCA": {"there is no key to upload", tokenInput("", UploadedJoin), func(t *testing.T, w *world) {
			w.gone("/etc/kubernetes/pki/ca.key")
		}, phases.CodeUsage},
		"Forbidden": {"the user is no administrator", tokenInput("", NoJoin), func(_ *testing.T, w *world) {
			w.api.Intercept(func(kube.Verb, runtime.Object) error {
				return apierrors.NewForbidden(schema.GroupResource{Resource: "secrets"}, "x", errors.New("no"))
			})
		}, phases.CodeFailed},
		"Down": {"nobody answers", tokenInput("", NoJoin), func(_ *testing.T, w *world) {
			w.api.HandleRaw("/readyz", func() ([]byte, error) { return nil, syscall.ECONNREFUSED })
		}, phases.CodeFailed},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			cluster(t, func(t *testing.T, w *world) {
				if c.change != nil {
					c.change(t, w)
				}
				changes := w.changes.Load()
				r, _, err := w.create(t.Context(), c.in)
				if err == nil {
					t.Fatalf("%s: got %+v", c.reason, r)
				}
				if x := Explain(err); x.Code != c.code || len(x.Fix) == 0 && name != "Shape" {
					t.Errorf("%s: %v\ncode %d, want %d", c.reason, x, x.Code, c.code)
				}
				if strings.Contains(Explain(err).String(), knownToken) {
					t.Errorf("%s: the error shows the token", c.reason)
				}
				if n := w.changes.Load() - changes; n > 0 {
					t.Errorf("%s: %d changes before it was refused", c.reason, n)
				}
			})
		})
	}
}

func TestCreateTokenDryRun(t *testing.T) {
	cluster(t, func(t *testing.T, w *world) {
		in := tokenInput(secondToken, UploadedJoin)
		in.DryRun = true
		before := w.snapshot()
		r, _, err := w.create(t.Context(), in)
		if err != nil {
			t.Fatal(Explain(err))
		}
		if diff := cmp.Diff(before, w.snapshot()); diff != "" {
			t.Errorf("the dry run changes something: -before +after\n%s", diff)
		}
		var text bytes.Buffer
		if err := r.Text(&text); err != nil || !strings.Contains(text.String(), "Secret kube-system/bootstrap-token-second") ||
			!strings.Contains(text.String(), "Secret kube-system/kubeadm-certs") || strings.Contains(text.String(), secondToken.Reveal()) {
			t.Errorf("text:\n%s%v", text.String(), err)
		}
	})
}

func TestDeleteTokens(t *testing.T) {
	cases := map[string]struct {
		reason  string
		typed   []config.Secret
		dryRun  bool
		want    DeletedTokens
		code    phases.Code // 0: none
		deleted bool
	}{
		"ID":     {"it is enough", []config.Secret{"abcdef"}, false, DeletedTokens{Deleted: []string{"abcdef"}, NotFound: []string{}}, 0, true},
		"Token":  {"it stands for its ID", []config.Secret{knownToken, "abcdef"}, false, DeletedTokens{Deleted: []string{"abcdef"}, NotFound: []string{}}, 0, true},
		"Some":   {"the others are deleted", []config.Secret{"zzzzzz", "abcdef"}, false, DeletedTokens{Deleted: []string{"abcdef"}, NotFound: []string{"zzzzzz"}}, phases.CodeFailed, true},
		"None":   {"there is none", []config.Secret{"zzzzzz"}, false, DeletedTokens{Deleted: []string{}, NotFound: []string{"zzzzzz"}}, phases.CodeFailed, false},
		"Typo":   {"nothing is done by half", []config.Secret{"abcdef", "typo"}, false, DeletedTokens{}, phases.CodeUsage, false},
		"DryRun": {"it stays", []config.Secret{"abcdef"}, true, DeletedTokens{Deleted: []string{"abcdef"}, NotFound: []string{}}, 0, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			cluster(t, func(t *testing.T, w *world) {
				a := access()
				a.DryRun = c.dryRun
				got, err := deleteTokensOver(t.Context(), w.ports(), a, c.typed)
				if (err != nil) != (c.code != 0) || err != nil && Explain(err).Code != c.code {
					t.Errorf("%s: %v", c.reason, err)
				}
				if got == nil {
					got = &DeletedTokens{}
				}
				if (got.DryRun != nil) != c.dryRun {
					t.Errorf("%s: report %v", c.reason, got.DryRun)
				}
				got.DryRun = nil
				if diff := cmp.Diff(c.want, *got); diff != "" {
					t.Errorf("%s: -want +got\n%s", c.reason, diff)
				}
				live := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "bootstrap-token-abcdef"}}
				if err := w.api.Get(t.Context(), live); apierrors.IsNotFound(err) != c.deleted {
					t.Errorf("%s: %v", c.reason, err)
				}
			})
		})
	}
}

func TestListTokens(t *testing.T) {
	cluster(t, func(t *testing.T, w *world) {
		in := tokenInput(secondToken, NoJoin)
		in.Tokens[0].TTL, in.Tokens[0].Description = 0, "never ends"
		in.Tokens = append(in.Tokens, config.Token{Value: "third3.0123456789abcdef", Usages: []string{"signing"}, Expires: w.now().Add(-time.Minute)})
		if _, _, err := w.create(t.Context(), in); err != nil {
			t.Fatal(Explain(err))
		}
		if err := w.api.Set(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "bootstrap-token-broken"}, Type: "bootstrap.kubernetes.io/token"}); err != nil {
			t.Fatal(err)
		}
		var warnings []string
		l, err := listTokensOver(t.Context(), w.ports(), access(), func(e phases.Event) { warnings = append(warnings, e.Reason) })
		if err != nil {
			t.Fatal(Explain(err))
		}
		if len(warnings) != 1 || !strings.Contains(warnings[0], "bootstrap-token-broken") {
			t.Errorf("warnings: %q", warnings)
		}
		var text bytes.Buffer
		if err := l.Text(&text); err != nil {
			t.Fatal(err)
		}
		// The Secret that ends the uploaded certificates has a random name.
		var kept []string
		for line := range strings.Lines(text.String()) {
			if !strings.Contains(line, "Proxy for managing TTL") {
				kept = append(kept, line)
			}
		}
		goldentest.Check(t, "token-list.txt", strings.ReplaceAll(strings.Join(kept, ""), ".0123456789abcdef", ".****************"))
	})
	var text bytes.Buffer
	if err := (&TokenList{}).Text(&text); err != nil || text.Len() > 0 {
		t.Errorf("no tokens: %q, %v", text.String(), err)
	}
}
