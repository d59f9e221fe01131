package etcd_test

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"

	"github.com/hactl/hactl/etcd"
)

// stores are the real Store and the one in memory, with the same content.
func stores(t *testing.T) (real, memory etcd.Store, endpoint string) {
	l := newLab(t, 1, nil)
	endpoint = l.client("m1")
	c := l.dial(endpoint)
	raw, err := clientv3.New(clientv3.Config{Endpoints: []string{endpoint}, Logger: zap.NewNop()})
	check(t, err)
	defer raw.Close()
	m := &etcd.MemoryStore{}
	h := l.health(c, "m1")
	r, err := c.Health(t.Context())
	check(t, err)
	m.Answer(endpoint, etcd.Probed{ClusterID: r.ClusterID, MemberID: h.ID, Version: h.Version, HasLeader: true})
	for key, value := range map[string]string{"/registry/a": "1", "/registry/b": "2", "/other/a": "3"} {
		_, err := raw.Put(t.Context(), key, value)
		check(t, err)
		m.Put(key, []byte(value))
	}
	return c, m, endpoint
}

func TestStore(t *testing.T) {
	t.Parallel()
	real, memory, endpoint := stores(t)
	for name, s := range map[string]etcd.Store{"Real": real, "Memory": memory} {
		t.Run(name, func(t *testing.T) {
			for prefix, want := range map[string]int64{"/registry/": 2, "/": 3, "/none/": 0} {
				if got, err := s.Count(t.Context(), prefix); got != want || err != nil {
					t.Errorf("Count(%q) = %d, %v, want %d", prefix, got, err, want)
				}
			}
			if value, found, err := s.Read(t.Context(), "/registry/b"); string(value) != "2" || !found || err != nil {
				t.Errorf("Read of a key: %q, %v, %v", value, found, err)
			}
			if value, found, err := s.Read(t.Context(), "/registry/"); value != nil || found || err != nil {
				t.Errorf("Read of no key: %q, %v, %v", value, found, err)
			}
			if _, err := s.Probe(t.Context(), "http://127.0.0.1:1"); !errors.Is(err, etcd.ErrUnreachable) {
				t.Errorf("Probe of nobody: want ErrUnreachable, got %v", err)
			}
		})
	}
	got, err := real.Probe(t.Context(), endpoint)
	check(t, err)
	if got.Latency <= 0 {
		t.Errorf("latency %v", got.Latency)
	}
	got.Latency = 0
	want, err := memory.Probe(t.Context(), endpoint)
	check(t, err)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Probe: -want +got\n%s", diff)
	}
}

// What a probe says of TLS is all that a person has to find the wrong file.
func TestProbeTLS(t *testing.T) {
	t.Parallel()
	var id identity
	var endpoint string
	newLab(t, 1, func(c *embed.Config) {
		c.ListenClientUrls[0].Scheme = "https"
		endpoint = c.ListenClientUrls[0].String()
		id = newIdentity(t, c.ListenClientUrls[0].Hostname())
		file := func(name string, data []byte) string {
			path := filepath.Join(t.TempDir(), name)
			check(t, os.WriteFile(path, data, 0o600))
			return path
		}
		c.ClientTLSInfo.TrustedCAFile, c.ClientTLSInfo.ClientCertAuth = file("ca", id.ca), true
		c.ClientTLSInfo.CertFile, c.ClientTLSInfo.KeyFile = file("cert", id.cert), file("key", id.key)
	})
	other := newIdentity(t, "127.0.0.1")
	plain := newLab(t, 1, nil)
	for name, c := range map[string]struct {
		reason            string
		ca, client        identity
		endpoint, mention string
	}{
		"ForeignCA": {"the server is another cluster's", other, id, endpoint, "x509: "},
		// With TLS 1.3 the client may write before it reads the server's word.
		"ForeignClient": {"the server does not know the client", id, other, endpoint, "remote error: tls: |broken pipe|connection reset"},
		"Plain":         {"the server speaks no TLS", id, id, strings.Replace(plain.client("m1"), "http:", "https:", 1), "handshake failed: EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			settings, err := etcd.TLS(c.ca.ca, c.client.cert, c.client.key)
			check(t, err)
			client, err := etcd.Dial(etcd.Config{Endpoints: []string{c.endpoint}, TLS: settings})
			check(t, err)
			defer client.Close()
			_, err = client.Probe(t.Context(), c.endpoint)
			if !errors.Is(err, etcd.ErrUnreachable) || !regexp.MustCompile(c.mention).MatchString(err.Error()) {
				t.Errorf("%s: want ErrUnreachable with %q, got %v", c.reason, c.mention, err)
			}
		})
	}
}
