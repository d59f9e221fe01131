package kube

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
)

// callLimit is the longest time for one call, so that a server that hangs is
// noticed.
const callLimit = 10 * time.Second

// Client is the API of a real cluster over one HTTP/2 connection.
type Client struct {
	load  func(context.Context) (*rest.Config, error)
	kinds kinds
	mu    sync.Mutex
	conn  *connection
}

// connection is where and how to reach the server.
type connection struct {
	http *http.Client
	base *url.URL
}

// NewClient returns a client that calls load at its first call, and again
// until load succeeds; so a client can exist before the kubeconfig does.
func NewClient(load func(context.Context) (*rest.Config, error)) *Client {
	return &Client{load: load, kinds: table()}
}

func (c *Client) connect(ctx context.Context) (*connection, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn != nil {
		return c.conn, nil
	}
	config, err := c.load(ctx)
	if err != nil {
		return nil, err
	}
	config = rest.CopyConfig(config)
	config.Timeout, config.UserAgent = 0, manager
	config.GroupVersion = &metav1.Unversioned
	base, _, err := rest.DefaultServerUrlFor(config)
	if err != nil {
		return nil, err
	}
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, err
	}
	c.conn = &connection{http: client, base: base}
	return c.conn, nil
}

// call is one request.
type call struct {
	method, path string
	query        url.Values
	contentType  string
	body         any // encoded as JSON; nil means none
}

// send returns the response, also one with an error status. The caller
// closes its body.
func (c *Client) send(ctx context.Context, r call) (*http.Response, error) {
	conn, err := c.connect(ctx)
	if err != nil {
		return nil, err
	}
	var body io.Reader
	if r.body != nil {
		data, err := json.Marshal(r.body)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(data)
	}
	to := *conn.base
	to.RawQuery = r.query.Encode()
	if to.Path, err = url.PathUnescape(strings.TrimSuffix(to.Path, "/") + r.path); err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, r.method, to.String(), body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json, */*")
	if r.contentType != "" {
		req.Header.Set("Content-Type", r.contentType)
	}
	return conn.http.Do(req)
}

// do returns the body, with an error for an error status.
func (c *Client) do(ctx context.Context, r call) (data []byte, err error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	limited, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	defer func() {
		if err != nil && ctx.Err() != nil {
			err = context.Cause(ctx)
		}
	}()
	resp, err := c.send(limited, r)
	if err != nil {
		return nil, err
	}
	data, err = io.ReadAll(resp.Body)
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		return nil, err
	}
	return data, statusError(resp, r, data)
}

// statusError returns the error that the server sent, nil for a success.
func statusError(resp *http.Response, r call, body []byte) error {
	if resp.StatusCode < 300 {
		return nil
	}
	var status metav1.Status
	if json.Unmarshal(body, &status) == nil && status.Kind == "Status" && status.Status == metav1.StatusFailure {
		return &apierrors.StatusError{ErrStatus: status}
	}
	generic := apierrors.NewGenericServerResponse(resp.StatusCode, r.method, metav1.Unversioned.WithResource("").GroupResource(),
		"", strings.TrimSpace(string(body)), 0, true)
	generic.ErrStatus.Message = r.method + " " + r.path + ": " + resp.Status
	return generic
}

// named makes a call about one object.
func (c *Client) named(ctx context.Context, method string, obj Object) error {
	k, err := c.kinds.named(obj)
	if err != nil {
		return err
	}
	data, err := c.do(ctx, call{method: method, path: k.path(obj.GetNamespace(), obj.GetName())})
	if err != nil || method == http.MethodDelete {
		return err
	}
	return decode(data, obj)
}

// Get is that of API.
func (c *Client) Get(ctx context.Context, obj Object) error {
	return c.named(ctx, http.MethodGet, obj)
}

// Delete is that of API. What belongs to the object goes after it.
func (c *Client) Delete(ctx context.Context, obj Object) error {
	return c.named(ctx, http.MethodDelete, obj)
}

// List is that of API.
func (c *Client) List(ctx context.Context, list runtime.Object, namespace, selector string) error {
	k, err := c.kinds.ofList(list)
	if err != nil {
		return err
	}
	query := url.Values{}
	if selector != "" {
		query.Set("labelSelector", selector)
	}
	data, err := c.do(ctx, call{method: http.MethodGet, path: k.path(namespace, ""), query: query})
	if err != nil {
		return err
	}
	return decode(data, list)
}

// Put is that of API.
func (c *Client) Put(ctx context.Context, obj Object) error {
	k, err := c.kinds.named(obj)
	if err != nil {
		return err
	}
	want, err := desired(k, obj)
	if err != nil {
		return err
	}
	data, err := c.do(ctx, call{
		method: http.MethodPatch, path: k.path(obj.GetNamespace(), obj.GetName()),
		query:       url.Values{"fieldManager": {manager}, "force": {"true"}},
		contentType: string(types.ApplyYAMLPatchType), body: want,
	})
	if err != nil {
		return err
	}
	return decode(data, obj)
}

// Update is that of API.
func (c *Client) Update(ctx context.Context, obj Object) error {
	k, err := c.kinds.named(obj)
	if err != nil {
		return err
	}
	if obj.GetResourceVersion() == "" {
		return noVersion(k, obj.GetName())
	}
	want, err := encode(k, obj)
	if err != nil {
		return err
	}
	data, err := c.do(ctx, call{
		method: http.MethodPut, path: k.path(obj.GetNamespace(), obj.GetName()),
		query: url.Values{"fieldManager": {manager}}, contentType: runtime.ContentTypeJSON, body: want,
	})
	if err != nil {
		return err
	}
	return decode(data, obj)
}

// noVersion refuses an Update that would overwrite whatever is there.
func noVersion(k kind, name string) error {
	return apierrors.NewConflict(k.groupResource(), name, errors.New("the object to write has no resourceVersion"))
}

// Raw is that of API.
func (c *Client) Raw(ctx context.Context, path string) ([]byte, error) {
	u, err := url.Parse(path)
	if err != nil {
		return nil, err
	}
	return c.do(ctx, call{method: http.MethodGet, path: u.EscapedPath(), query: u.Query()})
}
