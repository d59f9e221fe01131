//go:build e2e && linux

package host_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/hactl/hactl/phases/host"
	"github.com/hactl/hactl/phases/host/hosttest"
)

// Needs root: it mounts file systems below a directory of the test.
func TestLocalMounts(t *testing.T) {
	mount := func(t *testing.T) func(path string) {
		return func(path string) {
			if err := os.MkdirAll(path, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := unix.Mount("hactl-test", path, "tmpfs", 0, "size=1m"); err != nil {
				t.Skipf("mount: %v", err)
			}
			t.Cleanup(func() { _ = unix.Unmount(path, unix.MNT_DETACH) })
		}
	}
	for name, over := range map[string]func(host.Host) host.Host{
		"Local":   func(h host.Host) host.Host { return h },
		"Overlay": func(h host.Host) host.Host { return host.NewOverlay(h) },
	} {
		t.Run(name, func(t *testing.T) {
			hosttest.Run(t, func(t *testing.T) hosttest.Machine {
				return hosttest.Machine{Host: over(local(t, "")), Dir: t.TempDir(), Mount: mount(t)}
			})
		})
	}
}

// A bind mount has its parent's device, and a link hides where it is: neither
// loses what is mounted.
func TestLocalBindMounts(t *testing.T) {
	l, dir := local(t, ""), t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	for _, d := range []string{"kept", "tree/mnt"} {
		if err := os.MkdirAll(at(d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.WriteFile(at("kept/a"), []byte("one"), 0o600), os.Symlink(at("tree"), at("link"))); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount(at("kept"), at("tree/mnt"), "", unix.MS_BIND, ""); err != nil {
		t.Skipf("mount: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(at("tree/mnt"), unix.MNT_DETACH) })
	var mounted *host.MountedError
	if err := l.RemoveAll(t.Context(), at("tree")); !errors.As(err, &mounted) {
		t.Errorf("want *MountedError, got %v", err)
	}
	points, err := l.MountPoints(t.Context(), at("link"))
	if diff := cmp.Diff([]string{at("tree/mnt")}, points); diff != "" || err != nil {
		t.Errorf("over a link: %v; -want +got\n%s", err, diff)
	}
	if err := l.RemoveAll(t.Context(), at("link")); err != nil {
		t.Errorf("remove the link: %v", err)
	}
	if data, err := os.ReadFile(at("kept/a")); string(data) != "one" || err != nil {
		t.Errorf("what is mounted changed: %q, %v", data, err)
	}
	if err := errors.Join(l.Unmount(t.Context(), at("tree/mnt")), l.RemoveAll(t.Context(), at("tree"))); err != nil {
		t.Error(err)
	}
}
