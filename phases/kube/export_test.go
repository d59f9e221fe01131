package kube

import "testing"

// NewTestClient returns a Client of a server in front of a new Memory.
func NewTestClient(t *testing.T) *Client { return NewClient(newServer(t).config) }
