package health_test

import (
	"context"
	"encoding/pem"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/hactl/hactl/phases/health"
)

// TestAsk asks real servers on loopback.
func TestAsk(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/readyz" || r.Header.Get("Authorization") != "" {
			http.Error(w, "", http.StatusTeapot)
		}
	}))
	t.Cleanup(server.Close)
	stop := make(chan struct{})
	silent := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-stop }))
	t.Cleanup(silent.Close)
	t.Cleanup(func() { close(stop) })
	ca := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	_, port, _ := strings.Cut(strings.TrimPrefix(server.URL, "https://"), ":")
	cases := map[string]struct {
		reason, url, ca string
		want            health.Reach
	}{
		"OK":        {"it answers", server.URL, ca, health.OK},
		"OtherCA":   {"the certificate is of another cluster", server.URL, certificate(t, "other", clock.AddDate(10, 0, 0), true), health.OtherCA},
		"OtherName": {"the certificate does not have the name", "https://localhost:" + port, ca, health.OtherName},
		"Refused":   {"nobody listens", "https://" + closed(t), ca, health.Refused},
		"HangsUp":   {"a load balancer without backends", "https://" + listening(t, func(c net.Conn) { _ = c.Close() }), ca, health.Closed},
		"Timeout":   {"no packet comes back", "https://" + listening(t, func(net.Conn) {}), ca, health.Timeout},
		"Silent":    {"it waits for its etcd", silent.URL, ca, health.NotReady},
		"NoCA":      {"there is nothing to check with", server.URL, "", health.Unreachable},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			got := health.Reached(ctx, c.url, []byte(c.ca))
			if got.State != c.want || (c.want == health.OK) != (got.SkewSeconds != nil) {
				t.Errorf("%s: %+v, want %s", c.reason, got, c.want)
			}
		})
	}
}

// closed is an address that nobody listens at.
func closed(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// listening is the address of a server that does with each connection what
// f does.
func listening(t *testing.T, f func(net.Conn)) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			f(c)
		}
	}()
	return l.Addr().String()
}
