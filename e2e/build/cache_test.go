//go:build linux

package build

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
)

func testCache(t *testing.T) cache {
	t.Helper()
	return cache{dir: filepath.Join(t.TempDir(), "cache"), log: newReporter(t.Output())}
}

func TestEnsureFillsOnce(t *testing.T) {
	c := testCache(t)
	var filled atomic.Int32
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			dir, err := c.ensure(t.Context(), "thing", "key", func(_ context.Context, dir string) error {
				filled.Add(1)
				return os.WriteFile(filepath.Join(dir, "file"), nil, 0o600)
			})
			if err != nil {
				t.Error(err)
			}
			if _, err := os.Stat(filepath.Join(dir, "file")); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if filled.Load() != 1 {
		t.Errorf("filled %d times, want 1", filled.Load())
	}
}

func TestEnsureKeepsNothingHalf(t *testing.T) {
	c := testCache(t)
	broken := errors.New("broken")
	fill := func(err error) func(context.Context, string) error {
		return func(_ context.Context, dir string) error {
			return errors.Join(err, os.WriteFile(filepath.Join(dir, "half"), nil, 0o600))
		}
	}
	if _, err := c.ensure(t.Context(), "thing", "key", fill(broken)); !errors.Is(err, broken) {
		t.Fatalf("error %v, want %v", err, broken)
	}
	if c.has("thing", "key") {
		t.Error("a failed entry counts as finished")
	}
	// What a killed process leaves.
	stale := filepath.Join(c.dir, "thing-key.partial", "stale")
	if err := os.MkdirAll(stale, 0o755); err != nil {
		t.Fatal(err)
	}
	dir, err := c.ensure(t.Context(), "thing", "key", fill(nil))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "stale")); err == nil {
		t.Error("the rest of an earlier attempt is in the entry")
	}
}

func TestEnsureGivesUpWithItsContext(t *testing.T) {
	c := testCache(t)
	if err := os.MkdirAll(c.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	unlock, err := c.lock(t.Context(), "thing")
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = c.ensure(ctx, "thing", "key", func(context.Context, string) error { return nil })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want %v", err, context.Canceled)
	}
}

func TestDigest(t *testing.T) {
	tests := map[string]struct {
		a, b   []string
		same   bool
		reason string
	}{
		"Equal":      {a: []string{"x", "y"}, b: []string{"x", "y"}, same: true, reason: "a key is reproducible"},
		"Order":      {a: []string{"x", "y"}, b: []string{"y", "x"}, reason: "order counts"},
		"Boundaries": {a: []string{"xy", ""}, b: []string{"x", "y"}, reason: "parts do not run together"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if got := digest(tc.a...) == digest(tc.b...); got != tc.same {
				t.Errorf("same = %v, want %v: %s", got, tc.same, tc.reason)
			}
		})
	}
}

func TestDigestTree(t *testing.T) {
	tree := func(content string) fstest.MapFS {
		return fstest.MapFS{"in/a.go": {Data: []byte(content)}, "out/b.go": {Data: []byte("b" + content)}}
	}
	key := func(files fstest.MapFS, roots ...string) string {
		t.Helper()
		d, err := digestTree(files, roots...)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	if key(tree("1"), "in") == key(tree("2"), "in") {
		t.Error("a changed file does not change the key")
	}
	outside := tree("1")
	outside["out/b.go"] = &fstest.MapFile{Data: []byte("other")}
	if key(tree("1"), "in") != key(outside, "in") {
		t.Error("a file outside of the roots changes the key")
	}
}

func TestReporterNamesTimes(t *testing.T) {
	var out strings.Builder
	newReporter(&out).during("build it", nil)()
	if got := out.String(); got != "[   0.0s] build it\n" {
		t.Errorf("got %q", got)
	}
}
