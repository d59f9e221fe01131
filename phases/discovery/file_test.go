package discovery

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/hactl/hactl/certs"
	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases"
)

const conf = "/root/discovery/cluster.conf"

// byFile is a task that finds the cluster with a kubeconfig, which has no
// credentials until edit gives it some.
func (c *cluster) byFile(t *testing.T, edit func(*clientcmdapi.Config)) *Task {
	t.Helper()
	task := c.byToken()
	task.Discovery = config.Discovery{File: &config.FileDiscovery{Kubeconfig: conf}}
	kubeconfig := clientcmdapi.NewConfig()
	kubeconfig.Clusters["c"] = &clientcmdapi.Cluster{Server: "https://" + endpoint, CertificateAuthorityData: certs.EncodeCert(c.ca.Cert)}
	kubeconfig.AuthInfos["u"] = &clientcmdapi.AuthInfo{}
	kubeconfig.Contexts["u@c"] = &clientcmdapi.Context{Cluster: "c", AuthInfo: "u"}
	kubeconfig.CurrentContext = "u@c"
	edit(kubeconfig)
	data, err := clientcmd.Write(*kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	c.put(t, task, conf, data)
	return task
}

func (c *cluster) put(t *testing.T, task *Task, name string, data []byte) {
	t.Helper()
	if err := task.Files.WriteFile(t.Context(), name, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// loggedInAs gives the user a token.
func loggedInAs(token config.Secret) func(*clientcmdapi.Config) {
	return func(c *clientcmdapi.Config) { c.AuthInfos["u"].Token = token.Reveal() }
}

func TestFindByFile(t *testing.T) {
	const file = "https://" + endpoint
	cases := map[string]struct {
		reason   string
		task     func(*testing.T, *cluster) *Task
		token    config.Secret
		user     string // of the kubeconfig found
		warnings int
	}{
		"Token": {"the file brings a token", func(t *testing.T, c *cluster) *Task {
			return c.byFile(t, loggedInAs(goodToken))
		}, goodToken, "u", 1},
		"TLSBootstrapToken": {"the file brings nothing", func(t *testing.T, c *cluster) *Task {
			task := c.byFile(t, func(*clientcmdapi.Config) {})
			task.Discovery.TLSBootstrapToken = otherToken
			return task
		}, otherToken, "tls-bootstrap-token-user", 1},
		"ClusterInfo": {"the file is the content of cluster-info", func(t *testing.T, c *cluster) *Task {
			task := c.byFile(t, func(*clientcmdapi.Config) {})
			c.put(t, task, conf, []byte(infoOf(t, file, c.ca)))
			task.Discovery.TLSBootstrapToken = goodToken
			return task
		}, goodToken, "tls-bootstrap-token-user", 1},
		"Certificate": {"credentials and CA lie beside the file", func(t *testing.T, c *cluster) *Task {
			task := c.byFile(t, func(k *clientcmdapi.Config) {
				k.AuthInfos["u"].ClientCertificate, k.AuthInfos["u"].ClientKey = "u.crt", "/root/discovery/u.key"
				k.Clusters["c"].CertificateAuthorityData, k.Clusters["c"].CertificateAuthority = nil, "ca.crt"
			})
			c.put(t, task, "/root/discovery/ca.crt", certs.EncodeCert(c.ca.Cert))
			c.put(t, task, "/root/discovery/u.crt", []byte("certificate"))
			c.put(t, task, "/root/discovery/u.key", []byte("key"))
			return task
		}, "", "u", 1},
		"TokenFile": {"the token lies beside the file", func(t *testing.T, c *cluster) *Task {
			task := c.byFile(t, func(k *clientcmdapi.Config) { k.AuthInfos["u"].TokenFile = "token" })
			c.put(t, task, "/root/discovery/token", []byte(goodToken.Reveal()+"\n"))
			return task
		}, goodToken, "u", 1},
		"Forbidden": {"the cluster keeps cluster-info to itself", func(t *testing.T, c *cluster) *Task {
			c.answer = func(w http.ResponseWriter, _ *http.Request) bool {
				refuse(w, http.StatusForbidden, metav1.StatusReasonForbidden)
				return true
			}
			return c.byFile(t, loggedInAs(goodToken))
		}, goodToken, "u", 0},
		"URL": {"the file is on a server", func(t *testing.T, c *cluster) *Task {
			task := c.byFile(t, loggedInAs(goodToken))
			data, err := task.Files.ReadFile(t.Context(), conf)
			if err != nil {
				t.Fatal(err)
			}
			c.answer = func(w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path == "/join.conf" {
					_, _ = w.Write(data)
				}
				return r.URL.Path == "/join.conf"
			}
			task.Discovery.File.Kubeconfig = "https://lb.example.com/join.conf"
			task.Roots = x509.NewCertPool()
			task.Roots.AddCert(c.ca.Cert)
			return task
		}, goodToken, "u", 1},
		"SystemRoots": {"the file names no CA: that of cluster-info is taken", func(t *testing.T, c *cluster) *Task {
			task := c.byFile(t, func(k *clientcmdapi.Config) {
				loggedInAs(goodToken)(k)
				k.Clusters["c"].CertificateAuthorityData = nil
			})
			task.Roots = x509.NewCertPool()
			task.Roots.AddCert(c.ca.Cert)
			return task
		}, goodToken, "u", 0},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cl := newCluster(t)
				found, events, err := find(t, c.task(t, cl))
				if err != nil {
					t.Fatalf("%s: %v", c.reason, err)
				}
				if found.Server != file || found.Endpoint != file || found.Token.Reveal() != c.token.Reveal() {
					t.Errorf("%s: %+v", c.reason, found)
				}
				if string(found.CA) != string(certs.EncodeCert(cl.ca.Cert)) {
					t.Errorf("%s: another CA", c.reason)
				}
				if w := texts(events, phases.Warning); len(w) != c.warnings {
					t.Errorf("%s: warnings %q, want %d: cluster-info names another server", c.reason, w, c.warnings)
				}
				user := currentUser(found.Kubeconfig)
				if user == nil || found.Kubeconfig.AuthInfos[c.user] != user {
					t.Fatalf("%s: the user is not %s", c.reason, c.user)
				}
				if user.TokenFile+user.ClientCertificate+user.ClientKey != "" || !loggedIn(user) {
					t.Errorf("%s: the credentials are not inside", c.reason)
				}
				if _, err := clientcmd.Write(*found.Kubeconfig); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestRefusedByFile(t *testing.T) {
	cases := map[string]struct {
		reason string
		task   func(*testing.T, *cluster) *Task
		code   phases.Code
		what   string
	}{
		"NoFile": {"there is none", func(t *testing.T, c *cluster) *Task {
			task := c.byFile(t, loggedInAs(goodToken))
			task.Discovery.File.Kubeconfig = "/root/other.conf"
			return task
		}, phases.CodeFailed, "cannot be read: /root/other.conf"},
		"Garbage": {"it is something else", func(t *testing.T, c *cluster) *Task {
			task := c.byFile(t, loggedInAs(goodToken))
			c.put(t, task, conf, []byte("token: 0123456789abcdef: {"))
			return task
		}, phases.CodeUsage, "is no kubeconfig"},
		"NoCluster": {"it names none", func(t *testing.T, c *cluster) *Task {
			return c.byFile(t, func(k *clientcmdapi.Config) { k.CurrentContext = "" })
		}, phases.CodeUsage, "no current context"},
		"NoTLS": {"anybody could read the token", func(t *testing.T, c *cluster) *Task {
			return c.byFile(t, func(k *clientcmdapi.Config) { k.Clusters["c"].Server = "http://lb.example.com:8080" })
		}, phases.CodeUsage, "https"},
		"Insecure": {"it believes everybody", func(t *testing.T, c *cluster) *Task {
			return c.byFile(t, func(k *clientcmdapi.Config) {
				k.Clusters["c"].CertificateAuthorityData, k.Clusters["c"].InsecureSkipTLSVerify = nil, true
			})
		}, phases.CodeUnsafe, "insecure-skip-tls-verify"},
		"NoCredentials": {"and no token is given", func(t *testing.T, c *cluster) *Task {
			return c.byFile(t, func(*clientcmdapi.Config) {})
		}, phases.CodeUsage, "no credentials"},
		"LostKey": {"it names a key that is not there", func(t *testing.T, c *cluster) *Task {
			task := c.byFile(t, func(k *clientcmdapi.Config) {
				k.AuthInfos["u"].ClientCertificate, k.AuthInfos["u"].ClientKey = "u.crt", "u.key"
			})
			c.put(t, task, "/root/discovery/u.crt", []byte("certificate"))
			return task
		}, phases.CodeUsage, "cannot be read"},
		"OtherCA": {"the server belongs to another cluster", func(t *testing.T, c *cluster) *Task {
			return c.byFile(t, func(k *clientcmdapi.Config) {
				loggedInAs(goodToken)(k)
				k.Clusters["c"].CertificateAuthorityData = certs.EncodeCert(newCA(t).Cert)
			})
		}, phases.CodeUnsafe, "does not belong to the cluster"},
		"NoCA": {"nobody says whom to trust", func(t *testing.T, c *cluster) *Task {
			c.data = nil
			task := c.byFile(t, func(k *clientcmdapi.Config) {
				loggedInAs(goodToken)(k)
				k.Clusters["c"].CertificateAuthorityData = nil
			})
			task.Roots = x509.NewCertPool()
			task.Roots.AddCert(c.ca.Cert)
			return task
		}, phases.CodeUnsafe, "names no certificate authority"},
		"BadURL": {"the server does not have it", func(t *testing.T, c *cluster) *Task {
			task := c.byFile(t, loggedInAs(goodToken))
			task.Discovery.File.Kubeconfig = "https://me:0123456789abcdef@lb.example.com/join.conf"
			task.Roots = x509.NewCertPool()
			task.Roots.AddCert(c.ca.Cert)
			return task
		}, phases.CodeFailed, "https://me:xxxxx@lb.example.com"},
		"UntrustedURL": {"its server is not known", func(t *testing.T, c *cluster) *Task {
			task := c.byFile(t, loggedInAs(goodToken))
			task.Discovery.File.Kubeconfig = "https://lb.example.com/join.conf"
			task.Roots = x509.NewCertPool()
			return task
		}, phases.CodeFailed, "cannot be read"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cl := newCluster(t)
				task := c.task(t, cl)
				began := time.Now()
				_, _, err := find(t, task)
				var fault *phases.Fault
				if !errors.As(err, &fault) || fault.Code() != c.code || !strings.Contains(fault.What, c.what) || len(fault.Fixes) == 0 {
					t.Errorf("%s: %+v, want %d and %q", c.reason, err, c.code, c.what)
				}
				if strings.Contains(fmt.Sprintf("%+v", fault), "0123456789abcdef") {
					t.Error("the fault shows a secret")
				}
				if took := time.Since(began); took > 10*time.Second {
					t.Errorf("took %s", took)
				}
			})
		})
	}
}
