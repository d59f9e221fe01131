package cri_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

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

func TestOverlay(t *testing.T) {
	critest.Run(t, func(t *testing.T) critest.Fixture {
		f := critest.Fill(cri.NewMemory())
		f.Runtime = cri.NewOverlay(f.Runtime)
		return f
	})
}

func TestOverlayChangesNothing(t *testing.T) {
	m := cri.NewMemory()
	f := critest.Fill(m)
	before, err := m.Sandboxes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	o := cri.NewOverlay(m)
	if err := errors.Join(o.StopSandbox(t.Context(), "s2"), o.StopSandbox(t.Context(), "s2"),
		o.RemoveSandbox(t.Context(), "s2"), o.RemoveSandbox(t.Context(), "s2")); err != nil {
		t.Fatal(err)
	}
	after, err := m.Sandboxes(t.Context())
	if diff := cmp.Diff(before, after); diff != "" || err != nil {
		t.Errorf("the base changed: %v, -want +got:\n%s", err, diff)
	}
	stopped := f.Sandboxes[0]
	stopped.Ready = false
	want := []cri.Change{{Action: cri.Stop, Sandbox: f.Sandboxes[0]}, {Action: cri.Remove, Sandbox: stopped}}
	if diff := cmp.Diff(want, o.Changes()); diff != "" {
		t.Errorf("what would change: -want +got:\n%s", diff)
	}
}
