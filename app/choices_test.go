package app

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases"
)

func TestChoices(t *testing.T) {
	has := func(w *world, name string) bool { _, ok := w.objects()[name]; return ok }
	cases := map[string]struct {
		reason string
		change func(*InitInput)
		check  func(*testing.T, *world, *InitResult)
	}{
		"NoUpload": {
			"a key that opens nothing stands nowhere", func(in *InitInput) { in.UploadCerts = false },
			func(t *testing.T, w *world, r *InitResult) {
				if r.CertificateKey != "" || strings.Contains(r.Join.ControlPlane, "certificate-key") || has(w, "Secret kube-system/kubeadm-certs") {
					t.Errorf("the result is %+v, %+v", r, r.Join)
				}
			},
		},
		"SkippedAddon": {
			"an addon is skipped, and the other is not", func(in *InitInput) { in.Skip = []string{"addon/kube-proxy"} },
			func(t *testing.T, w *world, r *InitResult) {
				if has(w, "DaemonSet kube-system/kube-proxy") || !has(w, "Deployment kube-system/coredns") {
					t.Errorf("the cluster has %v", w.objects())
				}
			},
		},
		"SkippedJoin": {
			"who skips the join command gets none", func(in *InitInput) { in.Skip = []string{"show-join-command"} },
			func(t *testing.T, _ *world, r *InitResult) {
				if r.Join != nil {
					t.Errorf("the result has %+v", r.Join)
				}
			},
		},
		"HiddenSecrets": {
			"the commands have a place for them", func(in *InitInput) { in.HideToken, in.HideKey = true, true },
			func(t *testing.T, _ *world, r *InitResult) {
				want := "--token <token> "
				if r.Join.Token != "" || r.CertificateKey != "" || !strings.Contains(r.Join.Worker, want) || !strings.Contains(r.Join.ControlPlane, "--certificate-key <certificate key>") {
					t.Errorf("the result is %+v, %+v", r, r.Join)
				}
			},
		},
		"NoEndpoint": {
			"one node alone", func(in *InitInput) { in.Config.Cluster.ControlPlaneEndpoint = config.HostPort{} },
			func(t *testing.T, _ *world, r *InitResult) {
				if r.Endpoint != "10.0.0.11:6443" || r.Join.ControlPlane != "" {
					t.Errorf("the result is %+v, %+v", r, r.Join)
				}
			},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				in := input()
				c.change(&in)
				r, _, err := w.init(t.Context(), in, nil)
				if err != nil {
					t.Fatalf("%s: %v", c.reason, Explain(err))
				}
				c.check(t, w, r)
			})
		})
	}
}

func TestVersionLabel(t *testing.T) {
	cases := map[string]struct {
		reason, answer, want string
		err                  error
		warns                bool
	}{
		"Known":   {"the newest patch of a minor version that hactl knows", "v1.37.9", "v1.37.9", nil, false},
		"Newer":   {"hactl does not know it", "v1.38.0", config.Version, nil, true},
		"Offline": {"nobody answers", "", config.Version, errors.New("no route"), true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var warnings []string
			p := ports{now: time.Now, release: func(_ context.Context, label string) (string, error) {
				if label != "stable-1" {
					t.Errorf("asked for %s", label)
				}
				return c.answer, c.err
			}}
			got := p.version(t.Context(), "stable-1", func(e phases.Event) { warnings = append(warnings, e.Reason) })
			if got != c.want || len(warnings) > 0 != c.warns {
				t.Errorf("%s: %s, warnings %q, want %s", c.reason, got, warnings, c.want)
			}
		})
	}
}
