package cri

import "testing"

// DialMemory makes a client that speaks to m over the wire.
func DialMemory(t *testing.T, m *Memory) *Client { return dial(t, serve(t, over(t, m))) }
