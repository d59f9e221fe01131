package discovery

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/hactl/hactl/certs"
	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases"
)

// find runs Find as a phase and returns what was told, too.
func find(t *testing.T, task *Task) (found *Found, events []phases.Event, err error) {
	t.Helper()
	p := phases.Phase[Task]{Name: "discovery", Apply: func(ctx context.Context, task *Task) (err error) {
		found, err = Find(ctx, task)
		return err
	}}
	err = phases.Run(t.Context(), []phases.Phase[Task]{p}, task, phases.Options{
		Notify: func(e phases.Event) { events = append(events, e) },
	})
	for _, e := range events {
		if text := fmt.Sprintf("%+v", e); strings.Contains(text, "0123456789abcdef") {
			t.Errorf("a secret stands in an event: %s", text)
		}
	}
	return found, events, err
}

func texts(events []phases.Event, kind phases.Kind) []string {
	var list []string
	for _, e := range events {
		if e.Kind == kind {
			list = append(list, e.Reason)
		}
	}
	return list
}

func TestFindByToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t)
		found, events, err := find(t, c.byToken())
		if err != nil {
			t.Fatal(err)
		}
		if w := texts(events, phases.Warning); len(w) > 0 {
			t.Errorf("warnings %q", w)
		}
		want := &Found{Server: server, Endpoint: "https://" + endpoint, CA: certs.EncodeCert(c.ca.Cert), Token: goodToken}
		got := *found
		got.Kubeconfig = nil
		if diff := cmp.Diff(want, &got); diff != "" {
			t.Errorf("-want +got\n%s", diff)
		}
		data, err := clientcmd.Write(*found.Kubeconfig)
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range []string{"server: " + server, "token: abcdef.", "current-context: tls-bootstrap-token-user@kubernetes"} {
			if !strings.Contains(string(data), part) {
				t.Errorf("bootstrap-kubelet.conf has no %q", part)
			}
		}
		rest, err := found.Connect(t.Context())
		if err != nil || rest.Host != "https://"+endpoint || rest.BearerToken != goodToken.Reveal() || rest.Insecure {
			t.Errorf("Connect leads to %s with a token: %v, %v", rest.Host, rest.BearerToken != "", err)
		}
		if n := c.asked.Load(); n != 2 {
			t.Errorf("asked %d times, want 2", n)
		}
	})
}

// A CA that stands beside the pinned one in the bundle is the cluster's too.
func TestFindDuringRotation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t)
		next := newCA(t)
		c.data["kubeconfig"] = infoOf(t, server, next, c.ca)
		c.sign(goodToken)
		found, _, err := find(t, c.byToken())
		if err != nil {
			t.Fatal(err)
		}
		if got, err := certs.ParseCerts(found.CA); err != nil || len(got) != 2 {
			t.Errorf("%d CAs, %v, want both", len(got), err)
		}
	})
}

func TestUnsafeSkip(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t)
		task := c.byToken()
		task.Discovery.Token.CACertHashes, task.Discovery.Token.UnsafeSkipCAVerification = nil, true
		_, events, err := find(t, task)
		if err != nil {
			t.Fatal(err)
		}
		if w := texts(events, phases.Warning); len(w) != 1 || !strings.Contains(w[0], "pass for the cluster") {
			t.Errorf("warnings %q, want one of what is lost", w)
		}
	})
}

func TestRefusedByToken(t *testing.T) {
	cases := map[string]struct {
		reason string
		change func(*testing.T, *cluster, *Task)
		code   phases.Code
		what   string
		within time.Duration
	}{
		"WrongPin": {"the token signed, but the CA is another", func(t *testing.T, c *cluster, task *Task) {
			task.Discovery.Token.CACertHashes = []string{certs.Pin(newCA(t).Cert)}
		}, phases.CodeUnsafe, "not the one of the join command", 0},
		"OtherCluster": {"neither token nor CA fit", func(t *testing.T, c *cluster, task *Task) {
			task.Discovery.Token.CACertHashes = []string{certs.Pin(newCA(t).Cert)}
			task.Discovery.Token.Token = otherToken
		}, phases.CodeUnsafe, "another cluster", 0},
		"ChangedServer": {"somebody changed cluster-info", func(t *testing.T, c *cluster, _ *Task) {
			c.data["kubeconfig"] = infoOf(t, "https://evil.example.com:6443", c.ca)
		}, phases.CodeUnsafe, "was changed", 0},
		"WrongSecret": {"the part after the dot is another", func(_ *testing.T, _ *cluster, task *Task) {
			task.Discovery.Token.Token = "abcdef.fedcba9876543210"
		}, phases.CodeUnsafe, "was changed", 0},
		"NoAlgorithm": {"a signature that says it needs none", func(_ *testing.T, c *cluster, _ *Task) {
			c.data["jws-kubeconfig-abcdef"] = "eyJhbGciOiJub25lIiwia2lkIjoiYWJjZGVmIn0.."
		}, phases.CodeUnsafe, "was changed", 0},
		"OtherServer": {"who answers has no certificate of the cluster", func(t *testing.T, c *cluster, _ *Task) {
			c.restart(t, newCA(t))
		}, phases.CodeUnsafe, "does not belong to the cluster", 0},
		"UnpinnedBeside": {"a holder of the token put his CA beside the right one", func(t *testing.T, c *cluster, _ *Task) {
			evil := newCA(t)
			c.data["kubeconfig"] = infoOf(t, server, c.ca, evil)
			c.sign(goodToken)
			c.restart(t, evil)
		}, phases.CodeUnsafe, "does not belong to the cluster", 0},
		"OtherSecondTime": {"the verified answer is another", func(t *testing.T, c *cluster, _ *Task) {
			first := true
			c.answer = func(http.ResponseWriter, *http.Request) bool {
				if !first {
					c.data["kubeconfig"] += "# changed\n"
				}
				first = false
				return false
			}
		}, phases.CodeUnsafe, "another thing", 0},
		"OtherName": {"the certificate does not name the endpoint", func(_ *testing.T, _ *cluster, task *Task) {
			task.Discovery.Token.Endpoint.Host = "10.0.0.9"
		}, phases.CodeUnsafe, "not valid for https://10.0.0.9:6443", 0},
		"NoToken": {"the token has expired; others have not", func(_ *testing.T, c *cluster, _ *Task) {
			delete(c.data, "jws-kubeconfig-abcdef")
			c.sign(otherToken)
		}, phases.CodeFailed, `no token "abcdef"`, 10 * time.Second},
		"OtherTokens": {"the cluster is new, and signed for another token", func(_ *testing.T, c *cluster, _ *Task) {
			c.made = time.Now()
			delete(c.data, "jws-kubeconfig-abcdef")
			c.sign(otherToken)
		}, phases.CodeFailed, `no token "abcdef"`, 10 * time.Second},
		"NewNoTokens": {"no token is signed, and the cluster is no longer new", func(_ *testing.T, c *cluster, _ *Task) {
			c.made = time.Now()
			delete(c.data, "jws-kubeconfig-abcdef")
		}, phases.CodeFailed, `no token "abcdef"`, 61 * time.Second},
		"NoTokens": {"no token is signed", func(_ *testing.T, c *cluster, _ *Task) {
			delete(c.data, "jws-kubeconfig-abcdef")
		}, phases.CodeFailed, `no token "abcdef"`, 10 * time.Second},
		"NoInfo": {"phase bootstrap-token was skipped", func(_ *testing.T, c *cluster, _ *Task) {
			c.data = nil
		}, phases.CodeFailed, "there is no ConfigMap", 61 * time.Second},
		"BadInfo": {"cluster-info is empty", func(_ *testing.T, c *cluster, _ *Task) {
			c.data["kubeconfig"] = ""
		}, phases.CodeFailed, "has no kubeconfig", 10 * time.Second},
		"Forbidden": {"strangers may not read", func(_ *testing.T, c *cluster, _ *Task) {
			c.answer = func(w http.ResponseWriter, _ *http.Request) bool {
				refuse(w, http.StatusForbidden, metav1.StatusReasonForbidden)
				return true
			}
		}, phases.CodeFailed, "strangers", 61 * time.Second},
		"WebSite": {"it is something else that speaks TLS", func(_ *testing.T, c *cluster, _ *Task) {
			c.answer = func(w http.ResponseWriter, _ *http.Request) bool {
				_, _ = w.Write([]byte("<html>hello</html>"))
				return true
			}
		}, phases.CodeFailed, "no Kubernetes API server", 0},
		"Elsewhere": {"it sends us to another place", func(_ *testing.T, c *cluster, _ *Task) {
			c.answer = func(w http.ResponseWriter, r *http.Request) bool {
				http.Redirect(w, r, "https://example.com", http.StatusFound)
				return true
			}
		}, phases.CodeFailed, "no Kubernetes API server", 0},
		"ClockBehind": {"certificates would not be valid yet", func(_ *testing.T, c *cluster, _ *Task) {
			c.date = 6 * time.Minute
		}, phases.CodePreflight, "behind the cluster's", 0},
		"ClockAhead": {"and the other way round", func(_ *testing.T, c *cluster, _ *Task) {
			c.date = -6 * time.Minute
		}, phases.CodePreflight, "ahead of the cluster's", 0},
		"UnknownName": {"a typing error", func(_ *testing.T, c *cluster, _ *Task) {
			c.network.fail = func() error { return &net.DNSError{Err: "no such host", Name: "lb", IsNotFound: true} }
		}, phases.CodeFailed, "nobody knows the name lb.example.com", 10 * time.Second},
		"Proxy": {"the environment names a proxy that is not there", func(_ *testing.T, c *cluster, _ *Task) {
			c.network.fail = func() error { return &net.OpError{Op: "proxyconnect", Err: syscall.ECONNREFUSED} }
		}, phases.CodeFailed, "the proxy", 10 * time.Second},
		"Refused": {"nothing listens", func(_ *testing.T, c *cluster, _ *Task) {
			c.network.fail = func() error { return syscall.ECONNREFUSED }
		}, phases.CodeTimeout, "refuses connections, for 5m0s now", 5*time.Minute + time.Second},
		"Closed": {"a load balancer without targets", func(_ *testing.T, c *cluster, _ *Task) {
			c.network.fail = func() error { return syscall.ECONNRESET }
		}, phases.CodeTimeout, "takes connections and closes them", 5*time.Minute + time.Second},
		"Silent": {"a firewall drops the packets", func(t *testing.T, _ *cluster, task *Task) {
			end := t.Context().Done() // the limit cuts a call short, and leaves its dialler
			task.Dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
				select {
				case <-ctx.Done():
				case <-end:
				}
				return nil, context.DeadlineExceeded
			}
		}, phases.CodeTimeout, "does not answer", 5*time.Minute + time.Second},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cl := newCluster(t)
				task := cl.byToken()
				c.change(t, cl, task)
				began := time.Now()
				_, events, err := find(t, task)
				if took := time.Since(began); took > c.within {
					t.Errorf("took %s, want at most %s", took, c.within)
				}
				var fault *phases.Fault
				if !errors.As(err, &fault) {
					t.Fatalf("%s: %v, want a fault", c.reason, err)
				}
				if fault.Code() != c.code || !strings.Contains(fault.What, c.what) || len(fault.Fixes) == 0 {
					t.Errorf("%s: code %d, %+v, want %d and %q", c.reason, fault.Code(), fault, c.code, c.what)
				}
				if strings.Contains(fmt.Sprintf("%+v", fault), "0123456789abcdef") {
					t.Errorf("the fault shows the token")
				}
				if said := texts(events, phases.Progress); len(said) < int(c.within/(11*time.Second)) {
					t.Errorf("%s of silence: only %q", c.within, said)
				}
			})
		})
	}
}

// What is wrong at first may become right.
func TestFindLater(t *testing.T) {
	cases := map[string]struct {
		reason string
		change func(*cluster)
		after  time.Duration
		mend   func(*cluster)
	}{
		"Signature": {"the controller-manager signs a moment after", func(c *cluster) { delete(c.data, "jws-kubeconfig-abcdef") },
			2 * time.Second, func(c *cluster) { c.sign(goodToken) }},
		"Refused": {"the first control plane is still starting", func(c *cluster) {
			began := time.Now()
			c.network.fail = func() error {
				if time.Since(began) < 3*time.Minute {
					return syscall.ECONNREFUSED
				}
				return nil
			}
		}, 0, func(*cluster) {}},
		"Unavailable": {"the load balancer has no targets yet", func(c *cluster) {
			c.answer = func(w http.ResponseWriter, _ *http.Request) bool {
				w.WriteHeader(http.StatusBadGateway)
				return true
			}
		}, time.Minute, func(c *cluster) { c.answer = nil }},
		"Roles": {"the API server makes its roles", func(c *cluster) {
			c.answer = func(w http.ResponseWriter, _ *http.Request) bool {
				refuse(w, http.StatusForbidden, metav1.StatusReasonForbidden)
				return true
			}
		}, 30 * time.Second, func(c *cluster) { c.answer = nil }},
		"FirstSignature": {"the controller-manager of a new cluster still starts", func(c *cluster) {
			c.made = time.Now()
			delete(c.data, "jws-kubeconfig-abcdef")
		}, 40 * time.Second, func(c *cluster) { c.sign(goodToken) }},
		"Info": {"init has not come to phase bootstrap-token", func(c *cluster) {
			data := c.data
			c.data = nil
			time.AfterFunc(30*time.Second, func() { c.change(func() { c.data = data }) })
		}, 0, func(*cluster) {}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cl := newCluster(t)
				c.change(cl)
				time.AfterFunc(c.after, func() { cl.change(func() { c.mend(cl) }) })
				if _, _, err := find(t, cl.byToken()); err != nil {
					t.Errorf("%s: %v", c.reason, err)
				}
			})
		})
	}
}

func TestSkewIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t)
		c.date = 2 * time.Minute
		found, events, err := find(t, c.byToken())
		if err != nil {
			t.Fatal(err)
		}
		if d := found.Skew - 2*time.Minute; d.Abs() > time.Second {
			t.Errorf("skew %s, want about 2m", found.Skew)
		}
		if w := texts(events, phases.Warning); len(w) == 0 || !strings.Contains(w[0], "2m") {
			t.Errorf("warnings %q, want one of the clock", w)
		}
	})
}

func TestInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t)
		c.network.fail = func() error { return syscall.ECONNREFUSED }
		interrupt := errors.New("interrupted")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(interrupt) })
		if _, err := Find(ctx, c.byToken()); !errors.Is(err, interrupt) {
			t.Errorf("%v, want the interrupt", err)
		}
	})
}

// The vector is that of k8s.io/cluster-bootstrap, token/jws; its token does
// not have the shape of one, so ours is signed by the test's own code.
func TestSigned(t *testing.T) {
	const content = "Hello from the other side. I must have called a thousand times."
	if got := signature(content, "joshua", "my voice is my passcode"); got != "eyJhbGciOiJIUzI1NiIsImtpZCI6Impvc2h1YSJ9..VShe2taLd-YTrmWuRkcL_8QTNDHYxQIEBsAYYiIj1_8" {
		t.Errorf("the test's own signature is %q", got)
	}
	good := signature(content, "abcdef", "0123456789abcdef")
	cases := map[string]struct {
		reason, signature, content string
		token                      config.Secret
		want                       bool
	}{
		"Good":         {"as it should be", good, content, goodToken, true},
		"OtherContent": {"the content was changed", good, content + "x", goodToken, false},
		"OtherToken":   {"another key ID", good, content, otherToken, false},
		"OtherID":      {"the header names another key", signature(content, "fedcba", "0123456789abcdef"), content, goodToken, false},
		"OtherMethod":  {"the header says another method", sign(`{"alg":"HS512","kid":"abcdef"}`, content, "0123456789abcdef"), content, goodToken, false},
		"NoHeader":     {"the header is no JSON", sign(`HS256`, content, "0123456789abcdef"), content, goodToken, false},
		"Cut":          {"the signature was cut", good[:len(good)-3], content, goodToken, false},
		"Attached":     {"the content is inside", strings.Replace(good, "..", ".x.", 1), content, goodToken, false},
		"Empty":        {"there is none", "", content, goodToken, false},
		"NoToken":      {"the token has no shape", good, content, "abcdef", false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if got := signed(c.signature, c.content, c.token); got != c.want {
				t.Errorf("%s: %v", c.reason, got)
			}
		})
	}
}

func FuzzReadInfo(f *testing.F) {
	f.Add("")
	f.Add("clusters: [{name: '', cluster: {server: 'https://a', certificate-authority-data: YQ==}}]")
	f.Add("current-context: a\ncontexts: [{name: a, context: {cluster: b}}]\nclusters: [{name: b}]\n")
	f.Fuzz(func(t *testing.T, content string) {
		cluster, cas, err := readInfo(content)
		if err == nil && (cluster == nil || len(cas) == 0 || !strings.HasPrefix(cluster.Server, "https://")) {
			t.Errorf("%q is taken for the description of a cluster", content)
		}
	})
}
