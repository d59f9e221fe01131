package cri_test

import (
	"errors"
	"testing"

	"github.com/hactl/hactl/phases/cri"
	"github.com/hactl/hactl/phases/cri/critest"
)

func TestMemory(t *testing.T) {
	critest.Run(t, func(t *testing.T) critest.Fixture {
		m := cri.NewMemory()
		return critest.Fill(m)
	})
}

func TestMemoryWithoutEvents(t *testing.T) {
	critest.Run(t, func(t *testing.T) critest.Fixture {
		m := cri.NewMemory()
		m.NoEvents()
		f := critest.Fill(m)
		f.Change = nil
		return f
	})
}

func TestMemoryBreaks(t *testing.T) {
	m, broken := cri.NewMemory(), errors.New("the runtime is gone")
	events := m.Events(t.Context())
	m.Break(broken)
	if _, err := m.Version(t.Context()); !errors.Is(err, broken) {
		t.Errorf("Version() = %v, want %v", err, broken)
	}
	if _, open := <-events; open {
		t.Error("an event came, want the channel closed with the runtime")
	}
	m.Break(nil)
	if _, err := m.Version(t.Context()); err != nil {
		t.Errorf("Version() after it was mended: %v", err)
	}
}
