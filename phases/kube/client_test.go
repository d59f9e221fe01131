package kube

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

func node(name string) *corev1.Node {
	return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}
}

func TestClientUsesOneConnection(t *testing.T) {
	s := newServer(t)
	c := NewClient(s.config)
	changes, err := c.Watch(t.Context(), &corev1.Node{})
	if err != nil {
		t.Fatal(err)
	}
	<-changes // connected
	for range 5 {
		if err := c.Put(t.Context(), node("a")); err != nil {
			t.Fatal(err)
		}
	}
	if got := s.conns.Load(); got != 1 {
		t.Errorf("connections: want 1, got %d", got)
	}
	if got := s.caught.Load(); got != 0 {
		t.Errorf("%d requests were not HTTP/2", got)
	}
}

func TestClientLoadsUntilItCan(t *testing.T) {
	s, loads, broken := newServer(t), 0, errors.New("no file yet")
	c := NewClient(func(ctx context.Context) (*rest.Config, error) {
		loads++
		if loads < 3 {
			return nil, broken
		}
		return s.config(ctx)
	})
	if loads != 0 {
		t.Error("NewClient loads before the first call")
	}
	for range 2 {
		if err := c.Put(t.Context(), node("a")); !errors.Is(err, broken) {
			t.Errorf("want %v, got %v", broken, err)
		}
	}
	for range 2 {
		if err := c.Put(t.Context(), node("a")); err != nil {
			t.Error(err)
		}
	}
	if loads != 3 {
		t.Errorf("loads: want 3, got %d", loads)
	}
}

func TestClientWatchConnectsAgain(t *testing.T) {
	s := newServer(t)
	changes, err := NewClient(s.config).Watch(t.Context(), node("a"))
	if err != nil {
		t.Fatal(err)
	}
	<-changes // connected
	s.CloseClientConnections()
	select {
	case <-changes:
	case <-time.After(10 * time.Second):
		t.Fatal("the watch did not connect again")
	}
}

// A server that comes up is seen late by no more than a twentieth of the time
// that it took, and one that stays away is not asked all the time.
func TestClientWatchPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		defer cancel()
		began, tries := time.Now(), []time.Duration(nil)
		changes, err := NewClient(func(context.Context) (*rest.Config, error) {
			tries = append(tries, time.Since(began))
			return nil, errors.New("no server")
		}).Watch(ctx, node("a"))
		if err != nil {
			t.Fatal(err)
		}
		for range changes {
			t.Error("a change, without a server")
		}
		for i, at := range tries[1:] {
			if gap := at - tries[i]; gap < shortestPause || gap > min(max(at/20, shortestPause), longestPause) {
				t.Errorf("tried at %s and then at %s", tries[i], at)
			}
		}
		if most := 300; len(tries) > most {
			t.Errorf("%d tries in five minutes, want at most %d", len(tries), most)
		}
		if last := tries[len(tries)-1]; last < 298*time.Second {
			t.Errorf("the last try was at %s", last)
		}
	})
}

func TestClientRaw(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = w.Write([]byte("[-]etcd failed " + r.URL.RequestURI()))
	}))
	defer s.Close()
	c := NewClient(func(context.Context) (*rest.Config, error) { return &rest.Config{Host: s.URL + "/lb/"}, nil })
	body, err := c.Raw(t.Context(), "/readyz?verbose=1")
	if want := "[-]etcd failed /lb/readyz?verbose=1"; string(body) != want {
		t.Errorf("the body of an error is returned too: want %q, got %q", want, body)
	}
	if !apierrors.IsInternalError(err) {
		t.Errorf("want IsInternalError, got %v", err)
	}
}

func TestFromKubeconfig(t *testing.T) {
	s, dir := newServer(t), t.TempDir()
	live, _ := s.config(t.Context())
	file := func(name, url string) string {
		config := clientcmdapi.NewConfig()
		config.Clusters["c"] = &clientcmdapi.Cluster{Server: url, CertificateAuthorityData: live.CAData}
		config.Contexts["x"] = &clientcmdapi.Context{Cluster: "c"}
		config.CurrentContext = "x"
		path := filepath.Join(dir, name)
		if err := clientcmd.WriteToFile(*config, path); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good, elsewhere := file("good", s.URL), file("elsewhere", "https://192.0.2.1:6443")
	none, bad := filepath.Join(dir, "none"), filepath.Join(dir, "bad")
	if err := os.WriteFile(bad, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct {
		reason string
		server string
		paths  []string
		want   func(error) bool
	}{
		"First":    {"the first that exists is used", "", []string{none, good, elsewhere}, func(err error) bool { return err == nil }},
		"Override": {"the server takes the place of the file's", s.URL, []string{elsewhere}, func(err error) bool { return err == nil }},
		"None": {"no file is a typed error that is also fs.ErrNotExist", "", []string{none}, func(err error) bool {
			var e *KubeconfigError
			return errors.As(err, &e) && errors.Is(err, fs.ErrNotExist) && len(e.Fix()) > 0 && !Unreachable(err)
		}},
		"Bad": {"a file that cannot be read is named", "", []string{bad, good}, func(err error) bool {
			return err != nil && strings.Contains(err.Error(), bad)
		}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			err := NewClient(FromKubeconfig(disk{}, c.server, c.paths...)).Put(t.Context(), node("a"))
			if !c.want(err) {
				t.Errorf("%s: got %v", c.reason, err)
			}
		})
	}
}

type disk struct{}

func (disk) ReadFile(_ context.Context, path string) ([]byte, error) { return os.ReadFile(path) }

func TestUnreachable(t *testing.T) {
	closed := httptest.NewServer(nil)
	closed.Close()
	cut := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) }))
	defer cut.Close()
	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.Config.ErrorLog = log.New(io.Discard, "", 0) // it sees the handshake fail
	secure.StartTLS()
	defer secure.Close()
	cases := map[string]struct {
		reason string
		host   string
		want   bool
	}{
		"Refused":   {"nothing listens", closed.URL, true},
		"Cut":       {"the connection ends without an answer", cut.URL, true},
		"NoName":    {"the host name is unknown", "https://hactl.invalid", true},
		"Untrusted": {"another CA is an answer that no later try mends", secure.URL, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			client := NewClient(func(context.Context) (*rest.Config, error) { return &rest.Config{Host: c.host}, nil })
			err := client.Get(t.Context(), node("a"))
			if err == nil || Unreachable(err) != c.want {
				t.Errorf("%s: want %v for %v", c.reason, c.want, err)
			}
		})
	}
	for err, want := range map[error]bool{
		context.DeadlineExceeded: true, context.Canceled: false,
		apierrors.NewNotFound(table()[0].groupResource(), "a"): false,
	} {
		if Unreachable(err) != want {
			t.Errorf("want %v for %v", want, err)
		}
	}
}
