package discovery

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	bootstrap "k8s.io/cluster-bootstrap/token/api"
)

const (
	// infoPath is where everybody may read who the cluster is.
	infoPath = "/api/v1/namespaces/" + metav1.NamespacePublic + "/configmaps/" + bootstrap.ConfigMapClusterInfo
	// callLimit is the longest time for one request, and dialLimit for its
	// connection, so that an address that swallows packets is noticed.
	callLimit = 6 * time.Second
	dialLimit = 3 * time.Second
	// sizeLimit bounds what is read from someone who is not trusted yet.
	sizeLimit = 1 << 20
)

// errNotAPI says that what answers is no Kubernetes API server.
var errNotAPI = errors.New("what answers is no Kubernetes API server")

// place is where to ask, and whom to believe.
type place struct {
	url   string // "https://lb:6443"
	tls   *tls.Config
	proxy string // "": as the environment says
}

// answer is what a server told.
type answer struct {
	info *corev1.ConfigMap // nil if it keeps cluster-info to itself
	skew time.Duration     // how far the server's clock is ahead; zero if it did not tell
}

// kubeconfig is the content of cluster-info, "" if there is none.
func (a *answer) kubeconfig() string {
	if a.info == nil {
		return ""
	}
	return a.info.Data[bootstrap.KubeConfigKey]
}

// client makes a client for one request: connections are not kept, so that
// each try finds a server that came up, or a load balancer that chose another.
func (t *Task) client(p place) (*http.Client, error) {
	proxy := http.ProxyFromEnvironment
	if p.proxy != "" {
		u, err := url.Parse(p.proxy)
		if err != nil {
			return nil, errors.New("proxy-url is no URL")
		}
		proxy = http.ProxyURL(u)
	}
	dial := t.Dial
	if dial == nil {
		dial = (&net.Dialer{}).DialContext
	} else {
		proxy = nil
	}
	// The transport goes on dialling when its request has ended.
	limited := func(ctx context.Context, network, address string) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, dialLimit)
		defer cancel()
		return dial(ctx, network, address)
	}
	return &http.Client{
		Transport: &http.Transport{TLSClientConfig: p.tls, DialContext: limited, Proxy: proxy, DisableKeepAlives: true},
		// An API server sends nobody elsewhere.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}

// get makes one request without credentials.
func (t *Task) get(ctx context.Context, p place, address string) (*http.Response, []byte, error) {
	client, err := t.client(p)
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, nil, err
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, sizeLimit))
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		return nil, nil, err
	}
	return resp, body, nil
}

// fetch reads cluster-info once. An answer may come with an error: its clock
// was told before the refusal. The error is an API status, errNotAPI, or one
// of the connection.
func (t *Task) fetch(ctx context.Context, p place) (*answer, error) {
	sent := t.now()
	resp, body, err := t.get(ctx, p, p.url+infoPath)
	if err != nil {
		return nil, err
	}
	a := &answer{skew: skew(resp.Header.Get("Date"), sent, t.now())}
	if resp.StatusCode != http.StatusOK {
		return a, statusOf(resp, body)
	}
	info := &corev1.ConfigMap{}
	if err := json.Unmarshal(body, info); err != nil || info.Kind != "ConfigMap" {
		return a, fmt.Errorf("%w: it sends something else than was asked for", errNotAPI)
	}
	a.info = info
	return a, nil
}

// statusOf turns an answer that is no success into an error.
func statusOf(resp *http.Response, body []byte) error {
	var status metav1.Status
	if json.Unmarshal(body, &status) == nil && status.Kind == "Status" {
		return &apierrors.StatusError{ErrStatus: status}
	}
	if resp.StatusCode >= http.StatusInternalServerError {
		// A load balancer that has nobody to forward to answers by itself.
		return apierrors.NewServiceUnavailable(resp.Status)
	}
	return fmt.Errorf("%w: it answers %s", errNotAPI, resp.Status)
}
