package app

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/hactl/hactl/certs"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/loadbalancer"
)

// A hash tells which CA is the cluster's, whoever names it.
func TestLBCheckPinned(t *testing.T) {
	named := newAuthority(t, time.Now(), "kubernetes")
	kubeconfig := fmt.Sprintf("clusters: [{name: '', cluster: {server: 'https://lb:6443', certificate-authority-data: %s}}]\n",
		base64.StdEncoding.EncodeToString([]byte(named.pem)))
	info, err := json.Marshal(&corev1.ConfigMap{Data: map[string]string{"kubeconfig": kubeconfig}})
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct {
		reason string
		hash   string
		status int
		answer loadbalancer.Answer // of the first problem
		code   phases.Code         // of a refusal, if there is no answer
	}{
		// The server itself has a certificate of its own.
		"Named": {"the CA is known, and who answers is not of it", certs.Pin(named.Cert), http.StatusOK, loadbalancer.OtherCA, 0},
		"Other": {"nobody has this hash", "sha256:00", http.StatusOK, loadbalancer.OtherCA, 0},
		"Kept":  {"the cluster keeps its CA to itself", "sha256:00", http.StatusForbidden, "", phases.CodeUsage},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/readyz" {
					w.WriteHeader(c.status)
					_, _ = w.Write(info)
				}
			}))
			defer server.Close()
			w := newLBWorld(t)
			p := w.ports()
			p.now = time.Now
			p.dialTCP = func(ctx context.Context, network, _ string) (net.Conn, error) {
				return (&net.Dialer{}).DialContext(ctx, network, server.Listener.Addr().String())
			}
			r, err := lbCheckOver(t.Context(), p, LBCheckInput{Address: "10.0.0.100:6443", CAHashes: []string{c.hash}}, w.notify)
			if c.answer == "" {
				if Explain(err).Code != c.code {
					t.Errorf("%s: %+v, %v", c.reason, r, err)
				}
				return
			}
			if err != nil {
				t.Fatal(Explain(err))
			}
			if r.Answer != c.answer || r.Code() != phases.CodeUnsafe || len(r.Problems[0].Fix) == 0 {
				t.Errorf("%s: %+v", c.reason, r.Report)
			}
		})
	}
}
