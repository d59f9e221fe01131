package kube

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"time"

	"k8s.io/apimachinery/pkg/watch"
)

const (
	// The pause between two tries to make the connection of a watch is a
	// twentieth of the time for which there has been none, within these: a
	// server that comes late is seen late by no more than that.
	shortestPause = 20 * time.Millisecond
	longestPause  = 2 * time.Second
)

// Watch is that of API. It also sends when the connection is made, because
// changes before that may be lost. The channel is closed when ctx ends.
func (c *Client) Watch(ctx context.Context, obj Object) (<-chan struct{}, error) {
	k, err := c.kinds.ofObject(obj)
	if err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	r := call{
		method: http.MethodGet, path: k.path(obj.GetNamespace(), ""),
		query: url.Values{"watch": {"true"}},
	}
	if name := obj.GetName(); name != "" {
		r.query.Set("fieldSelector", "metadata.name="+name)
	}
	changes := make(chan struct{}, 1)
	go func() {
		defer close(changes)
		lost := time.Now()
		for ctx.Err() == nil {
			if c.stream(ctx, r, changes) {
				lost = time.Now()
			}
			select {
			case <-ctx.Done():
			case <-time.After(min(max(time.Since(lost)/20, shortestPause), longestPause)):
			}
		}
	}()
	return changes, nil
}

// stream sends changes until the connection ends and says whether there was
// one. The server sends what exists as changes first.
func (c *Client) stream(ctx context.Context, r call, changes chan<- struct{}) bool {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	late := time.AfterFunc(callLimit, cancel)
	resp, err := c.send(ctx, r)
	if err != nil {
		return false
	}
	late.Stop()
	defer drain(resp.Body)
	if resp.StatusCode != http.StatusOK {
		return false
	}
	wake(changes)
	events := json.NewDecoder(resp.Body)
	for {
		var event struct {
			Type watch.EventType `json:"type"`
		}
		if err := events.Decode(&event); err != nil || event.Type == watch.Error {
			return true
		}
		wake(changes)
	}
}

// drain lets the connection be used again; its errors change nothing.
func drain(body io.ReadCloser) {
	_ = body.Close()
}

// wake sends without waiting: a value that is already there says the same.
func wake(ch chan<- struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}
