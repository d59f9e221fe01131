// Package critest holds what every implementation of cri.Runtime must do. It
// is for tests only and changes nothing in a runtime but what its Fixture
// allows.
package critest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hactl/hactl/phases/cri"
)

// eventLimit is how long the suite waits for an event that must come.
const eventLimit = 10 * time.Second

// Fixture is a runtime and what is known to be in it.
type Fixture struct {
	Runtime cri.Runtime
	// Image is on the machine, and NoImage neither there nor to be pulled.
	Image, NoImage string
	// Running is a container that runs, as Containers should tell of it,
	// except that an empty field is not compared. Log is the end of its log.
	Running cri.Container
	Log     []string
	// Sandboxes are all there are; nil where a test may remove none.
	Sandboxes []cri.Sandbox
	// Change makes the runtime send an event. Nil means it has none.
	Change func(t *testing.T)
}

// Run runs the suite, each part over a fixture of its own.
func Run(t *testing.T, open func(t *testing.T) Fixture) {
	for name, part := range map[string]func(*testing.T, Fixture){
		"Introduces":       introduces,
		"Images":           images,
		"Containers":       containers,
		"Logs":             logs,
		"Sandboxes":        sandboxes,
		"StopSandbox":      stopSandbox,
		"RemoveSandbox":    removeSandbox,
		"StopContainer":    stopContainer,
		"Events":           events,
		"EventsEndWithCtx": eventsEnd,
		"StopsWithCtx":     stops,
	} {
		t.Run(name, func(t *testing.T) { part(t, open(t)) })
	}
}

func introduces(t *testing.T, f Fixture) {
	v, err := f.Runtime.Version(t.Context())
	if err != nil || v.Name == "" || v.Version == "" || v.API == "" {
		t.Errorf("Version() = %+v, %v, want every field set", v, err)
	}
	s, err := f.Runtime.Status(t.Context())
	if err != nil || !s.Runtime.Met {
		t.Errorf("Status() = %+v, %v, want a runtime that is ready", s, err)
	}
}

func images(t *testing.T, f Fixture) {
	for _, tt := range []struct {
		reason, image string
		want          bool
	}{
		{"an image that is there exists", f.Image, true},
		{"an image that is not there is no error", f.NoImage, false},
	} {
		got, err := f.Runtime.ImageExists(t.Context(), tt.image)
		if err != nil || got != tt.want {
			t.Errorf("ImageExists(%q) = %v, %v, want %v: %s", tt.image, got, err, tt.want, tt.reason)
		}
	}
	if err := f.Runtime.PullImage(t.Context(), f.NoImage); err == nil {
		t.Errorf("PullImage(%q) = nil, want an error: nobody has the image", f.NoImage)
	}
}

func containers(t *testing.T, f Fixture) {
	c := f.Running
	for _, tt := range []struct {
		reason string
		filter cri.Filter
		want   bool
	}{
		{"an empty filter matches all", cri.Filter{}, true},
		{"each field alone chooses", cri.Filter{Name: c.Name}, true},
		{"all fields together choose", cri.Filter{Namespace: c.Namespace, Pod: c.Pod, Name: c.Name}, true},
		{"one wrong field is enough not to match", cri.Filter{Namespace: c.Namespace, Pod: c.Pod, Name: c.Name + "-x"}, false},
		{"a filter for nothing finds nothing and is no error", cri.Filter{Namespace: "no-such-namespace"}, false},
	} {
		got, err := find(t.Context(), f, tt.filter)
		if err != nil || (got != nil) != tt.want {
			t.Errorf("Containers(%+v) has %s: %v, %v, want %v: %s", tt.filter, c.ID, got != nil, err, tt.want, tt.reason)
		}
		if got == nil {
			continue
		}
		if diff := cmp.Diff(wanted(c, *got), *got); diff != "" {
			t.Errorf("Containers(%+v): -want +got:\n%s", tt.filter, diff)
		}
	}
}

// find returns the fixture's container if the filter finds it.
func find(ctx context.Context, f Fixture, filter cri.Filter) (*cri.Container, error) {
	list, err := f.Runtime.Containers(ctx, filter)
	for _, c := range list {
		if c.ID == f.Running.ID {
			return &c, err
		}
	}
	return nil, err
}

// wanted fills what the fixture leaves open with what was got.
func wanted(want, got cri.Container) cri.Container {
	want.State = cri.Running
	if want.Image == "" {
		want.Image = got.Image
	}
	want.Attempt = got.Attempt
	want.CreatedAt, want.StartedAt, want.LogPath = got.CreatedAt, got.StartedAt, got.LogPath
	return want
}

func logs(t *testing.T, f Fixture) {
	c, err := find(t.Context(), f, cri.Filter{Pod: f.Running.Pod})
	if err != nil || c == nil {
		t.Fatalf("Containers() = %v, %v, want %s", c, err, f.Running.ID)
	}
	got, err := f.Runtime.Logs(t.Context(), *c, len(f.Log))
	if err != nil {
		t.Fatalf("Logs(): %v", err)
	}
	if diff := cmp.Diff(f.Log, got); diff != "" {
		t.Errorf("Logs(): -want +got:\n%s", diff)
	}
	got, err = f.Runtime.Logs(t.Context(), *c, 1)
	if diff := cmp.Diff(f.Log[len(f.Log)-1:], got); diff != "" || err != nil {
		t.Errorf("Logs(1): %v, -want +got:\n%s", err, diff)
	}
	gone := cri.Container{ID: "no-such-container", Name: "gone"}
	if _, err := f.Runtime.Logs(t.Context(), gone, 1); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Logs of a container without a log = %v, want fs.ErrNotExist", err)
	}
}

func events(t *testing.T, f Fixture) {
	c := f.Runtime.Events(t.Context())
	if f.Change == nil {
		if err := next(c); !errors.Is(err, errClosed) {
			t.Errorf("Events of a runtime without events: %v, want %v", err, errClosed)
		}
		return
	}
	// A real runtime may need a moment until it listens to itself.
	for range 20 {
		f.Change(t)
		select {
		case _, open := <-c:
			if !open {
				t.Error("Events closed, want an event")
			}
			return
		case <-time.After(eventLimit / 20):
		}
	}
	t.Errorf("no event within %s", eventLimit)
}

func eventsEnd(t *testing.T, f Fixture) {
	ctx, cancel := context.WithCancel(t.Context())
	c := f.Runtime.Events(ctx)
	cancel()
	for err := next(c); !errors.Is(err, errClosed); err = next(c) {
		if err != nil {
			t.Fatalf("Events after the end of ctx: %v, want %v", err, errClosed)
		}
	}
}

var errClosed = errors.New("the channel is closed")

func next(c <-chan struct{}) error {
	select {
	case _, open := <-c:
		if !open {
			return errClosed
		}
		return nil
	case <-time.After(eventLimit):
		return fmt.Errorf("nothing came within %s", eventLimit)
	}
}

func stops(t *testing.T, f Fixture) {
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("the user interrupted")
	cancel(why)
	for name, call := range map[string]func() error{
		"Version":       func() error { _, err := f.Runtime.Version(ctx); return err },
		"Status":        func() error { _, err := f.Runtime.Status(ctx); return err },
		"ImageExists":   func() error { _, err := f.Runtime.ImageExists(ctx, f.Image); return err },
		"PullImage":     func() error { return f.Runtime.PullImage(ctx, f.Image) },
		"Containers":    func() error { _, err := f.Runtime.Containers(ctx, cri.Filter{}); return err },
		"Sandboxes":     func() error { _, err := f.Runtime.Sandboxes(ctx); return err },
		"StopSandbox":   func() error { return f.Runtime.StopSandbox(ctx, "none") },
		"StopContainer": func() error { return f.Runtime.StopContainer(ctx, "none") },
		"RemoveSandbox": func() error { return f.Runtime.RemoveSandbox(ctx, "none") },
		"Logs":          func() error { _, err := f.Runtime.Logs(ctx, f.Running, 1); return err },
	} {
		if err := call(); !errors.Is(err, why) {
			t.Errorf("%s with an ended context = %v, want the cause of its end", name, err)
		}
	}
}
