package token

import (
	"encoding/base64"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hactl/hactl/certs"
	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/kube"
)

func TestCreate(t *testing.T) {
	cases := map[string]struct {
		reason  string
		tokens  []config.Token
		there   config.Secret
		expires time.Time
		fails   bool
	}{
		"Made":      {"the value is random", []config.Token{{TTL: time.Hour}}, "", clock.Add(time.Hour), false},
		"Given":     {"the value is the user's", []config.Token{{Value: given, TTL: time.Hour}}, "", clock.Add(time.Hour), false},
		"Forever":   {"TTL 0 never expires", []config.Token{{Value: given}}, "", time.Time{}, false},
		"ThereSame": {"it would live longer than its maker meant", []config.Token{{Value: given}}, given, time.Time{}, true},
		"SameID":    {"nodes may be joining with the other one", []config.Token{{Value: given}}, "abcdef.zzzzzzzzzzzzzzzz", time.Time{}, true},
		"OneOfTwo":  {"all or none", []config.Token{{}, {Value: given}}, given, time.Time{}, true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			api := kube.NewMemory()
			if c.there != "" {
				if err := api.Put(t.Context(), Secret(config.Token{Value: c.there}, clock)); err != nil {
					t.Fatal(err)
				}
			}
			task := &Creation{API: api, Tokens: defaulted(c.tokens...), Now: func() time.Time { return clock }}
			err := phases.Run(t.Context(), []phases.Phase[Creation]{CreatePhase()}, task, phases.Options{})
			live, _, listErr := List(t.Context(), api)
			if listErr != nil {
				t.Fatal(listErr)
			}
			if c.fails {
				var fault *phases.Fault
				if !errors.As(err, &fault) || len(fault.Fixes) == 0 || len(live) != 1 || live[0].Value != c.there {
					t.Errorf("%s: %v; tokens %v", c.reason, err, live)
				}
				return
			}
			if err != nil || len(live) != 1 || live[0].Value != task.Tokens[0].Value || !live[0].Expires.Equal(c.expires) {
				t.Errorf("%s: %v; tokens %v", c.reason, err, live)
			}
		})
	}
}

func TestDelete(t *testing.T) {
	api := kube.NewMemory()
	if err := api.Put(t.Context(), Secret(config.Token{Value: given}, clock)); err != nil {
		t.Fatal(err)
	}
	if err := Delete(t.Context(), api, "abcdef"); err != nil {
		t.Fatal(err)
	}
	if err := Delete(t.Context(), api, "abcdef"); !apierrors.IsNotFound(err) {
		t.Errorf("a second time: %v", err)
	}
}

func TestParseID(t *testing.T) {
	for typed, want := range map[config.Secret]string{
		"abcdef": "abcdef", given: "abcdef", "": "", "abcde": "", "Abcdef": "", "abcdef.": "", "abcdef.0123456789abcdeF": "", "abcdef.0123456789abcdef0": "",
	} {
		if got := ParseID(typed); got != want {
			t.Errorf("%q: got %q, want %q", typed.Reveal(), got, want)
		}
	}
}

func TestDiscover(t *testing.T) {
	key, err := certs.NewKey(certs.ECDSAP256)
	if err != nil {
		t.Fatal(err)
	}
	ca, err := certs.NewAuthority(certs.AuthoritySpec{CommonName: "kubernetes"}, key, clock)
	if err != nil {
		t.Fatal(err)
	}
	info := func(cluster string) string {
		return "apiVersion: v1\nkind: Config\nclusters:\n- name: \"\"\n  cluster: {" + cluster + "}\n"
	}
	data := "certificate-authority-data: " + base64Of(certs.EncodeCert(ca.Cert))
	cases := map[string]struct {
		reason, content string
		want            config.HostPort // zero: a fault
	}{
		"Name":    {"a load balancer", info("server: 'https://lb.example.com:6443', " + data), config.HostPort{Host: "lb.example.com", Port: 6443}},
		"IPv6":    {"an address", info("server: 'https://[fd00::1]:6443', " + data), config.HostPort{Host: "fd00::1", Port: 6443}},
		"NoCA":    {"nodes could not verify", info("server: 'https://lb:6443'"), config.HostPort{}},
		"NoURL":   {"nodes could not reach it", info("server: 'https://', " + data), config.HostPort{}},
		"Empty":   {"there is no cluster in it", "", config.HostPort{}},
		"Garbage": {"it is no kubeconfig", "{", config.HostPort{}},
		"None":    {"the phase was skipped", "-", config.HostPort{}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			api := kube.NewMemory()
			if c.content != "-" {
				cm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "kube-public", Name: "cluster-info"}, Data: map[string]string{"kubeconfig": c.content}}
				if err := api.Set(cm); err != nil {
					t.Fatal(err)
				}
			}
			got, err := Discover(t.Context(), api)
			var fault *phases.Fault
			if c.want.IsZero() != errors.As(err, &fault) {
				t.Fatalf("%s: %v", c.reason, err)
			}
			if diff := cmp.Diff(c.want, got.Endpoint); diff != "" || err == nil && !got.CAs[0].Equal(ca.Cert) {
				t.Errorf("%s: -want +got\n%s", c.reason, diff)
			}
		})
	}
}

func base64Of(data []byte) string { return base64.StdEncoding.EncodeToString(data) }
