package critest

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hactl/hactl/phases/cri"
)

func wantSandboxes(t *testing.T, f Fixture, reason string, want []cri.Sandbox) {
	t.Helper()
	got, err := f.Runtime.Sandboxes(t.Context())
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%s: Sandboxes(): %v, -want +got:\n%s", reason, err, diff)
	}
}

func sandboxes(t *testing.T, f Fixture) {
	if f.Sandboxes == nil {
		if _, err := f.Runtime.Sandboxes(t.Context()); err != nil {
			t.Errorf("Sandboxes(): %v", err)
		}
		return
	}
	wantSandboxes(t, f, "in order, and none that the kubelet did not make", f.Sandboxes)
}

func stopSandbox(t *testing.T, f Fixture) {
	if f.Sandboxes == nil {
		t.Skip("nothing may be stopped here")
	}
	want := slices.Clone(f.Sandboxes)
	for i, s := range want {
		if s.Pod != f.Running.Pod || !s.Ready {
			continue
		}
		for range 2 {
			if err := f.Runtime.StopSandbox(t.Context(), s.ID); err != nil {
				t.Fatal(err)
			}
		}
		want[i].Ready = false
	}
	wantSandboxes(t, f, "a sandbox that was stopped stays, and is not ready", want)
	c, err := find(t.Context(), f, cri.Filter{})
	if err != nil || c == nil || c.State != cri.Exited {
		t.Errorf("the container of a stopped sandbox is %+v, %v, want it exited", c, err)
	}
}

func stopContainer(t *testing.T, f Fixture) {
	if f.Sandboxes == nil {
		t.Skip("nothing may be stopped here")
	}
	c, err := find(t.Context(), f, cri.Filter{})
	if err != nil || c == nil {
		t.Fatalf("the running container is %+v, %v", c, err)
	}
	for _, id := range []string{c.ID, c.ID, "none"} {
		if err := f.Runtime.StopContainer(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	if c, err = find(t.Context(), f, cri.Filter{}); err != nil || c == nil || c.State != cri.Exited {
		t.Errorf("the container that was stopped is %+v, %v, want it exited", c, err)
	}
}

func removeSandbox(t *testing.T, f Fixture) {
	if f.Sandboxes == nil {
		t.Skip("nothing may be removed here")
	}
	var kept []cri.Sandbox
	for _, s := range f.Sandboxes {
		if s.Pod != f.Running.Pod {
			kept = append(kept, s)
			continue
		}
		for range 2 {
			if err := f.Runtime.RemoveSandbox(t.Context(), s.ID); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := f.Runtime.RemoveSandbox(t.Context(), "none"); err != nil {
		t.Errorf("RemoveSandbox of what is not there = %v, want nil", err)
	}
	wantSandboxes(t, f, "what was removed is gone, the others stay", kept)
	if c, err := find(t.Context(), f, cri.Filter{}); err != nil || c != nil {
		t.Errorf("the container of a removed sandbox is still there: %+v, %v", c, err)
	}
}
