package etcd_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"

	"github.com/hactl/hactl/etcd"
)

func TestDial(t *testing.T) {
	if c, err := etcd.Dial(etcd.Config{}); err == nil {
		t.Errorf("no endpoint: got %v", c)
	}
	c, err := etcd.Dial(etcd.Config{Endpoints: []string{"https://192.0.2.1:2379"}})
	check(t, err) // nobody is there
	check(t, c.Close())
	if _, err := c.Health(t.Context()); err == nil {
		t.Error("a closed client reports health")
	}
}

// deaf accepts connections and says nothing, as a machine that hangs.
func deaf(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	t.Cleanup(func() { check(t, l.Close()) })
	return "http://" + l.Addr().String()
}

func TestClientDeaf(t *testing.T) {
	t.Parallel()
	l := newLab(t, 1, nil)
	c := l.dial(deaf(t), "http://127.0.0.1:1", l.client("m1"))
	for name, call := range map[string]struct {
		reason string
		limit  time.Duration
		do     func() error
	}{
		"Members": {"the first answer counts", time.Second,
			func() error { _, err := c.Members(t.Context()); return err }},
		"AddLearner": {"a change goes to one that answers", time.Second,
			func() error { _, err := c.AddLearner(t.Context(), l.peer("m2")); return err }},
		"Health": {"no silence takes longer than two seconds", 2500 * time.Millisecond,
			func() error { _, err := c.Health(t.Context()); return err }},
	} {
		began := time.Now()
		check(t, call.do())
		if took := time.Since(began); took > call.limit {
			t.Errorf("%s took %v: %s", name, took, call.reason)
		}
	}
	alone := l.dial(deaf(t))
	if _, err := alone.Members(t.Context()); !errors.Is(err, etcd.ErrUnreachable) {
		t.Errorf("Members: want ErrUnreachable, got %v", err)
	}
	if _, err := alone.Health(t.Context()); !errors.Is(err, etcd.ErrUnreachable) {
		t.Errorf("Health: want ErrUnreachable, got %v", err)
	}
}

func TestClientLearnerOnly(t *testing.T) {
	t.Parallel()
	l := newLab(t, 1, nil)
	c := l.dial(l.client("m1"))
	l.add(c, "m2")
	l.start(c, "m2")
	if m := l.health(c, "m2"); !m.Learner || m.Leader {
		t.Errorf("want a learner, got %+v", m)
	}
	_, err := l.dial(l.client("m2")).Members(t.Context())
	if !errors.Is(err, etcd.ErrUnreachable) || !strings.Contains(err.Error(), "learner") {
		t.Errorf("want ErrUnreachable that names the learner, got %v", err)
	}
}

func TestClientAlarm(t *testing.T) {
	t.Parallel()
	l := newLab(t, 1, nil)
	c := l.dial(l.client("m1"))
	raw, err := clientv3.New(clientv3.Config{Endpoints: []string{l.client("m1")}, Logger: zap.NewNop()})
	check(t, err)
	defer raw.Close()
	_, err = pb.NewMaintenanceClient(raw.ActiveConnection()).Alarm(t.Context(), &pb.AlarmRequest{
		Action: pb.AlarmRequest_ACTIVATE, MemberID: l.health(c, "m1").ID, Alarm: pb.AlarmType_NOSPACE,
	})
	check(t, err)
	if diff := cmp.Diff([]string{"NOSPACE"}, l.health(c, "m1").Alarms); diff != "" {
		t.Errorf("alarms: -want +got\n%s", diff)
	}
}

func TestHashKV(t *testing.T) {
	t.Parallel()
	l := newLab(t, 1, nil)
	c := l.dial(l.client("m1"))
	raw, err := clientv3.New(clientv3.Config{Endpoints: []string{l.client("m1")}, Logger: zap.NewNop()})
	check(t, err)
	defer raw.Close()
	put := func(value string) int64 {
		r, err := raw.Put(t.Context(), "key", value)
		check(t, err)
		return r.Header.Revision
	}
	first := put("one")
	before, at, err := c.HashKV(t.Context(), l.client("m1"), 0)
	check(t, err)
	if at != first {
		t.Errorf("want revision %d, got %d", first, at)
	}
	put("two")
	old, _, err := c.HashKV(t.Context(), l.client("m1"), first)
	check(t, err)
	now, _, err := c.HashKV(t.Context(), l.client("m1"), 0)
	check(t, err)
	if old != before || now == before {
		t.Errorf("want %x again and then another, got %x and %x", before, old, now)
	}
	l.kill("m1")
	if _, _, err := c.HashKV(t.Context(), l.client("m1"), 0); !errors.Is(err, etcd.ErrUnreachable) {
		t.Errorf("want ErrUnreachable, got %v", err)
	}
}

// identity is a CA and one certificate of it for everything, in PEM.
type identity struct{ ca, cert, key []byte }

func newIdentity(t *testing.T, ip string) identity {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "etcd"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, IPAddresses: []net.IP{net.ParseIP(ip)},
		KeyUsage:    x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	check(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	check(t, err)
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return identity{cert, cert, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})}
}

func TestClientTLS(t *testing.T) {
	t.Parallel()
	var id identity
	var endpoint string
	l := newLab(t, 1, func(c *embed.Config) {
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
	dial := func(ca, cert, key []byte) *etcd.Client {
		config, err := etcd.TLS(ca, cert, key)
		check(t, err)
		if config.MinVersion < tls.VersionTLS12 {
			t.Errorf("TLS below 1.2 is allowed: %x", config.MinVersion)
		}
		c, err := etcd.Dial(etcd.Config{Endpoints: []string{endpoint}, TLS: config, Limit: 2 * time.Second})
		check(t, err)
		t.Cleanup(func() { check(t, c.Close()) })
		return c
	}
	if m := l.health(dial(id.ca, id.cert, id.key), "m1"); m.Err != nil {
		t.Error(m.Err)
	}
	other := newIdentity(t, "127.0.0.1")
	_, err := dial(other.ca, id.cert, id.key).Members(t.Context())
	if !errors.Is(err, etcd.ErrUnreachable) || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("a foreign CA: want ErrUnreachable that names the certificate, got %v", err)
	}
	if _, err := dial(id.ca, other.cert, other.key).Members(t.Context()); !errors.Is(err, etcd.ErrUnreachable) {
		t.Errorf("a foreign client: want ErrUnreachable, got %v", err)
	}
}

func TestTLS(t *testing.T) {
	a, b := newIdentity(t, "127.0.0.1"), newIdentity(t, "127.0.0.1")
	for name, c := range map[string]struct {
		reason        string
		ca, cert, key []byte
	}{
		"NoCA":       {"the CA is needed", nil, a.cert, a.key},
		"BadCert":    {"the certificate is needed", a.ca, []byte("x"), a.key},
		"BadKey":     {"the key is needed", a.ca, a.cert, []byte("x")},
		"ForeignKey": {"the key must be the certificate's", a.ca, a.cert, b.key},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := etcd.TLS(c.ca, c.cert, c.key); err == nil {
				t.Errorf("%s: got %v", c.reason, got)
			}
		})
	}
}
