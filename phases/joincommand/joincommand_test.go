package joincommand_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hactl/hactl/certs"
	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/host"
	"github.com/hactl/hactl/phases/joincommand"
)

const (
	token = config.Secret("abcdef.0123456789abcdef")
	key   = config.Secret("5ec2e7c0ffee")
)

// ca writes a CA and returns its pin.
func ca(t *testing.T, m *host.Memory) string {
	t.Helper()
	now := time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)
	private, err := certs.NewKey(certs.ECDSAP256)
	if err != nil {
		t.Fatal(err)
	}
	a, err := certs.NewAuthority(certs.AuthoritySpec{CommonName: "kubernetes", Validity: time.Hour}, private, now)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.WriteFile(t.Context(), "/pki/ca.crt", certs.EncodeCert(a.Cert), 0o644); err != nil {
		t.Fatal(err)
	}
	return certs.Pin(a.Cert)
}

func run(t *testing.T, task *joincommand.Task) error {
	t.Helper()
	return phases.Run(t.Context(), []phases.Phase[joincommand.Task]{joincommand.Phase()}, task, phases.Options{})
}

func TestCommands(t *testing.T) {
	lb := config.HostPort{Host: "lb.example.com", Port: 6443}
	cases := map[string]struct {
		reason        string
		endpoint      config.HostPort
		fixed         bool
		key           config.Secret
		plane, worker string // after "hactl join "
	}{
		"Uploaded": {
			reason: "a further control plane takes the certificates", endpoint: lb, fixed: true, key: key,
			worker: "lb.example.com:6443 --token TOKEN --discovery-token-ca-cert-hash HASH",
			plane:  "lb.example.com:6443 --token TOKEN --discovery-token-ca-cert-hash HASH --control-plane --certificate-key KEY",
		},
		"NotUploaded": {
			reason: "the certificates are brought by other ways", endpoint: lb, fixed: true,
			worker: "lb.example.com:6443 --token TOKEN --discovery-token-ca-cert-hash HASH",
			plane:  "lb.example.com:6443 --token TOKEN --discovery-token-ca-cert-hash HASH --control-plane",
		},
		"OwnAddress": {
			reason: "without a fixed endpoint there is no second control plane", endpoint: config.HostPort{Host: "fd00::11", Port: 6443}, key: key,
			worker: "[fd00::11]:6443 --token TOKEN --discovery-token-ca-cert-hash HASH",
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			m := host.NewMemory()
			hash := ca(t, m)
			task := &joincommand.Task{
				Files: m, CertDir: "/pki", Endpoint: c.endpoint, FixedEndpoint: c.fixed, CertificateKey: c.key,
				Token: func(context.Context) (config.Secret, error) { return token, nil },
			}
			if err := run(t, task); err != nil {
				t.Fatal(err)
			}
			command := func(s string, token, key config.Secret) string {
				if s == "" {
					return ""
				}
				return "hactl join " + strings.NewReplacer("TOKEN", token.Reveal(), "KEY", key.Reveal(), "HASH", hash).Replace(s)
			}
			r := task.Result
			got := []string{r.ControlPlane.Reveal(), r.Worker.Reveal(), r.CAHash, r.Endpoint}
			want := []string{command(c.plane, token, key), command(c.worker, token, key), hash, c.endpoint.String()}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: -want +got\n%s", c.reason, diff)
			}
			hidden := r.WithToken("<token>").WithKey("<key>")
			got = []string{hidden.ControlPlane.Reveal(), hidden.Worker.Reveal()}
			want = []string{command(c.plane, "<token>", "<key>"), command(c.worker, "<token>", "<key>")}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("hidden: -want +got\n%s", diff)
			}
			if shown := fmt.Sprintf("%v %+v", r, r); strings.Contains(shown, token.Reveal()) || strings.Contains(shown, key.Reveal()) {
				t.Errorf("printed, the commands reveal themselves: %s", shown)
			}
		})
	}
}

func TestFails(t *testing.T) {
	noToken := &phases.Fault{What: "there is no token"}
	cases := map[string]struct {
		reason string
		files  func(*testing.T, *host.Memory)
		token  error
		fault  bool
	}{
		"NoCA": {"the CA is missing", func(*testing.T, *host.Memory) {}, nil, true},
		"BrokenCA": {"the CA is none", func(t *testing.T, m *host.Memory) {
			if err := m.WriteFile(t.Context(), "/pki/ca.crt", []byte("no"), 0o644); err != nil {
				t.Fatal(err)
			}
		}, nil, true},
		"Unreadable": {"the file cannot be read", func(t *testing.T, m *host.Memory) {
			if err := m.Mkdir(t.Context(), "/pki/ca.crt", 0o755); err != nil {
				t.Fatal(err)
			}
		}, nil, false},
		"NoToken": {"no node could join", func(t *testing.T, m *host.Memory) { ca(t, m) }, noToken, true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			m := host.NewMemory()
			c.files(t, m)
			task := &joincommand.Task{Files: m, CertDir: "/pki", Token: func(context.Context) (config.Secret, error) { return token, c.token }}
			err := run(t, task)
			var fault *phases.Fault
			if err == nil || errors.As(err, &fault) != c.fault || c.token != nil && !errors.Is(err, c.token) {
				t.Errorf("%s: %v, want a fault: %v", c.reason, err, c.fault)
			}
			if task.Result.Worker != "" {
				t.Errorf("%s: there is a result all the same", c.reason)
			}
		})
	}
}

func TestPublishedEndpoint(t *testing.T) {
	lb, own := config.HostPort{Host: "lb.example.com", Port: 6443}, config.HostPort{Host: "10.0.0.11", Port: 6443}
	down := errors.New("the API server does not answer")
	cases := map[string]struct {
		reason    string
		fixed     bool
		published config.HostPort
		err       error
		want      string
		plane     bool
	}{
		"Published": {reason: "a phase alone was not told the endpoint", published: lb, want: "lb.example.com:6443", plane: true},
		"None":      {reason: "the cluster has no endpoint", want: "10.0.0.11:6443"},
		"Told":      {reason: "what the user says counts", fixed: true, published: lb, want: "10.0.0.11:6443", plane: true},
		"Down":      {reason: "a wrong endpoint is worse than none", err: down},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			m := host.NewMemory()
			ca(t, m)
			task := &joincommand.Task{
				Files: m, CertDir: "/pki", Endpoint: own, FixedEndpoint: c.fixed,
				Published: func(context.Context) (config.HostPort, error) { return c.published, c.err },
				Token:     func(context.Context) (config.Secret, error) { return token, nil },
			}
			if err := run(t, task); !errors.Is(err, c.err) {
				t.Fatalf("%s: error %v, want %v", c.reason, err, c.err)
			}
			if got := task.Result; got.Endpoint != c.want || (got.ControlPlane != "") != c.plane {
				t.Errorf("%s: endpoint %q, a command for control planes: %v", c.reason, got.Endpoint, got.ControlPlane != "")
			}
		})
	}
}
