package cri_test

import (
	"testing"

	"github.com/hactl/hactl/phases/cri"
	"github.com/hactl/hactl/phases/cri/critest"
)

// The client runs the same suite, over the wire.
func TestClient(t *testing.T) {
	for name, events := range map[string]bool{"WithEvents": true, "WithoutEvents": false} {
		t.Run(name, func(t *testing.T) {
			critest.Run(t, func(t *testing.T) critest.Fixture {
				m := cri.NewMemory()
				f := critest.Fill(m)
				if !events {
					m.NoEvents()
					f.Change = nil
				}
				f.Runtime = cri.DialMemory(t, m)
				return f
			})
		})
	}
}
