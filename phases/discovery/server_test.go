package discovery

import (
	"crypto"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/hactl/hactl/certs"
	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases/host"
)

const (
	goodToken  config.Secret = "abcdef.0123456789abcdef"
	otherToken config.Secret = "fedcba.0123456789abcdef"
	endpoint                 = "lb.example.com:6443"
	server                   = "https://cluster.example.com:6443"
)

// cluster is an API server that tells of itself, on a network in memory.
type cluster struct {
	ca      *certs.Authority
	network *network
	http    *httptest.Server

	mu   sync.Mutex
	data map[string]string // of cluster-info; nil: there is none
	made time.Time         // when cluster-info was made; zero: nobody says
	// answer, if not nil, takes the place of the cluster's own: it says
	// whether it answered.
	answer func(w http.ResponseWriter, r *http.Request) bool
	date   time.Duration // how far its clock is ahead
	asked  atomic.Int32
}

func newCA(t *testing.T) *certs.Authority {
	t.Helper()
	ca, err := certs.NewAuthority(certs.AuthoritySpec{CommonName: "kubernetes"}, newKey(t), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

func newKey(t *testing.T) crypto.Signer {
	t.Helper()
	key, err := certs.NewKey(certs.ECDSAP256)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// newCluster starts a cluster whose cluster-info is signed for goodToken. It
// must be called in a synctest bubble.
func newCluster(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{ca: newCA(t), network: newNetwork()}
	c.data = map[string]string{"kubeconfig": infoOf(t, server, c.ca)}
	c.sign(goodToken)
	c.start(t, c.ca)
	return c
}

// start serves with a certificate of the CA.
func (c *cluster) start(t *testing.T, ca *certs.Authority) {
	t.Helper()
	pair, err := ca.Issue(certs.Leaf{
		CommonName: "kube-apiserver", DNSNames: []string{"lb.example.com", "cluster.example.com"},
		IPs: []netip.Addr{netip.MustParseAddr("10.0.0.1")}, Usages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, newKey(t), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	c.http = httptest.NewUnstartedServer(c)
	c.http.Listener.Close()
	c.http.Listener = c.network
	c.http.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{pair.Cert.Raw}, PrivateKey: pair.Key}}}
	c.http.Config.ErrorLog = log.New(io.Discard, "", 0)
	c.http.StartTLS()
	t.Cleanup(c.http.Close)
}

// restart serves with a certificate of another CA from now on.
func (c *cluster) restart(t *testing.T, ca *certs.Authority) {
	t.Helper()
	c.http.Close()
	fresh := newNetwork()
	c.network.conns, c.network.closed, c.network.once = fresh.conns, fresh.closed, fresh.once
	c.start(t, ca)
}

// sign makes cluster-info known for the token.
func (c *cluster) sign(token config.Secret) {
	id, secret, _ := split(token)
	c.data["jws-kubeconfig-"+id] = signature(c.data["kubeconfig"], id, secret)
}

// signature is made as bootstrapsigner does.
func signature(content, id, secret string) string {
	return sign(`{"alg":"HS256","kid":"`+id+`"}`, content, secret)
}

// sign makes a detached JWS with HMAC-SHA-256, whatever the header says.
func sign(header, content, secret string) string {
	encode := base64.RawURLEncoding.EncodeToString
	header = encode([]byte(header))
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(header + "." + encode([]byte(content))))
	return header + ".." + encode(mac.Sum(nil))
}

func infoOf(t *testing.T, server string, cas ...*certs.Authority) string {
	t.Helper()
	var bundle []byte
	for _, ca := range cas {
		bundle = append(bundle, certs.EncodeCert(ca.Cert)...)
	}
	data, err := clientcmd.Write(clientcmdapi.Config{Clusters: map[string]*clientcmdapi.Cluster{
		"": {Server: server, CertificateAuthorityData: bundle},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// change changes what the cluster tells, safely.
func (c *cluster) change(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f()
}

func (c *cluster) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.asked.Add(1)
	c.mu.Lock()
	defer c.mu.Unlock()
	w.Header().Set("Date", time.Now().Add(c.date).UTC().Format(http.TimeFormat))
	switch {
	case c.answer != nil && c.answer(w, r):
	case r.URL.Path != infoPath || r.Header.Get("Authorization") != "":
		reply(w, http.StatusTeapot, metav1.Status{})
	case c.data == nil:
		refuse(w, http.StatusNotFound, metav1.StatusReasonNotFound)
	default:
		reply(w, http.StatusOK, corev1.ConfigMap{
			TypeMeta:   metav1.TypeMeta{Kind: "ConfigMap", APIVersion: "v1"},
			ObjectMeta: metav1.ObjectMeta{CreationTimestamp: metav1.NewTime(c.made)}, Data: c.data,
		})
	}
}

func refuse(w http.ResponseWriter, code int, reason metav1.StatusReason) {
	reply(w, code, metav1.Status{
		TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusFailure,
		Code: int32(code), Reason: reason, Message: strings.ToLower(string(reason)),
	})
}

func reply[T any](w http.ResponseWriter, code int, body T) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(body)
}

// byToken is a task that finds the cluster with goodToken and its pin.
func (c *cluster) byToken() *Task {
	return &Task{
		Discovery: config.Discovery{
			Token: &config.TokenDiscovery{
				Token: goodToken, Endpoint: config.HostPort{Host: "lb.example.com", Port: 6443},
				CACertHashes: []string{certs.Pin(c.ca.Cert)},
			},
			TLSBootstrapToken: goodToken,
		},
		Files: host.NewMemory(), Limit: 5 * time.Minute, Dial: c.network.dial,
	}
}
