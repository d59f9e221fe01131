package hosttest

import (
	"errors"
	"io/fs"
	"path"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/hactl/hactl/phases/host"
)

// treeCases are those of whole trees and of mounts.
func treeCases() map[string]testCase {
	return map[string]testCase{
		"RemoveAll":     {"a tree goes, a second time too", removeAll},
		"RemoveAllRoot": {"the root directory stays", removeAllRoot},
		"Rename":        {"a tree moves with content and modes", rename},
		"RenameTwice":   {"what was moved can be moved again, changed and removed", renameTwice},
		"RenameExists":  {"a move replaces nothing", renameExists},
		"RenameMissing": {"what is missing cannot be moved, nor moved to nowhere", renameMissing},
		"RenameInside":  {"a directory cannot be moved into itself", renameInside},
		"NotMounted":    {"what is not mounted can be unmounted, and changes nothing", notMounted},
		"Mounted":       {"a mount point is neither removed nor moved", mounted},
		"Unmount":       {"mounts go one at a time, the innermost first", unmount},
	}
}

func fill(t *testing.T, m Machine, names ...string) {
	t.Helper()
	for _, name := range names {
		must(t, m.Host.WriteFile(t.Context(), path.Join(m.Dir, name), []byte(name), 0o640))
	}
}

func removeAll(t *testing.T, m Machine) {
	fill(t, m, "b/c/a", "b/c/d/a", "b/a", "x", "bb")
	for range 2 {
		must(t, m.Host.RemoveAll(t.Context(), path.Join(m.Dir, "b")))
		entries(t, m, m.Dir, "bb", "x")
		gone(t, m, path.Join(m.Dir, "b/c/a"))
	}
	must(t, m.Host.RemoveAll(t.Context(), path.Join(m.Dir, "x")))
	must(t, m.Host.RemoveAll(t.Context(), path.Join(m.Dir, "never/was")))
	entries(t, m, m.Dir, "bb")
}

func removeAllRoot(t *testing.T, m Machine) {
	fill(t, m, "a")
	if m.Dir == "/" {
		refused(t, m.Host.RemoveAll(t.Context(), "/"))
		refused(t, m.Host.RemoveAll(t.Context(), "//."))
	}
	content(t, m, path.Join(m.Dir, "a"), "a")
}

func rename(t *testing.T, m Machine) {
	fill(t, m, "b/c/a", "b/a", "f")
	must(t, m.Host.Rename(t.Context(), path.Join(m.Dir, "b"), path.Join(m.Dir, "moved")))
	must(t, m.Host.Rename(t.Context(), path.Join(m.Dir, "f"), path.Join(m.Dir, "moved/f")))
	entries(t, m, m.Dir, "moved")
	gone(t, m, path.Join(m.Dir, "b/c/a"))
	entries(t, m, path.Join(m.Dir, "moved"), "a", "c", "f")
	content(t, m, path.Join(m.Dir, "moved/c/a"), "b/c/a")
	content(t, m, path.Join(m.Dir, "moved/f"), "f")
	mode(t, m, path.Join(m.Dir, "moved/c/a"), 0o640)
	mode(t, m, path.Join(m.Dir, "moved/c"), fs.ModeDir|0o700)
}

func renameTwice(t *testing.T, m Machine) {
	fill(t, m, "b/c/a", "b/a")
	for _, pair := range [][2]string{{"b", "one"}, {"one", "two"}, {"two/c", "three"}} {
		must(t, m.Host.Rename(t.Context(), path.Join(m.Dir, pair[0]), path.Join(m.Dir, pair[1])))
	}
	content(t, m, path.Join(m.Dir, "three/a"), "b/c/a")
	must(t, m.Host.WriteFile(t.Context(), path.Join(m.Dir, "three/a"), []byte("new"), 0o600))
	content(t, m, path.Join(m.Dir, "three/a"), "new")
	must(t, m.Host.RemoveAll(t.Context(), path.Join(m.Dir, "two")))
	entries(t, m, m.Dir, "three")
	must(t, m.Host.Mkdir(t.Context(), path.Join(m.Dir, "b"), 0o700))
	entries(t, m, path.Join(m.Dir, "b"))
}

func renameExists(t *testing.T, m Machine) {
	fill(t, m, "a", "b", "c/d")
	must(t, m.Host.Mkdir(t.Context(), path.Join(m.Dir, "empty"), 0o700))
	for _, pair := range [][2]string{{"a", "b"}, {"c", "empty"}, {"a", "empty"}, {"c", "b"}} {
		err := m.Host.Rename(t.Context(), path.Join(m.Dir, pair[0]), path.Join(m.Dir, pair[1]))
		if !errors.Is(err, fs.ErrExist) {
			t.Errorf("%v: want fs.ErrExist, got %v", pair, err)
		}
	}
	content(t, m, path.Join(m.Dir, "b"), "b")
	entries(t, m, m.Dir, "a", "b", "c", "empty")
}

func renameMissing(t *testing.T, m Machine) {
	fill(t, m, "a")
	for _, pair := range [][2]string{{"none", "b"}, {"a", "none/b"}} {
		err := m.Host.Rename(t.Context(), path.Join(m.Dir, pair[0]), path.Join(m.Dir, pair[1]))
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%v: want fs.ErrNotExist, got %v", pair, err)
		}
	}
	entries(t, m, m.Dir, "a")
}

func renameInside(t *testing.T, m Machine) {
	fill(t, m, "b/a")
	refused(t, m.Host.Rename(t.Context(), path.Join(m.Dir, "b"), path.Join(m.Dir, "b/c")))
	content(t, m, path.Join(m.Dir, "b/a"), "b/a")
}

func points(t *testing.T, m Machine, want ...string) {
	t.Helper()
	got, err := m.Host.MountPoints(t.Context(), m.Dir)
	must(t, err)
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("mount points: -want +got\n%s", diff)
	}
}

func notMounted(t *testing.T, m Machine) {
	fill(t, m, "b/a")
	if m.Dir != "/" {
		points(t, m)
	}
	for _, name := range []string{"b", "b/a", "none"} {
		must(t, m.Host.Unmount(t.Context(), path.Join(m.Dir, name)))
	}
	got, err := m.Host.MountPoints(t.Context(), path.Join(m.Dir, "none"))
	if err != nil || len(got) > 0 {
		t.Errorf("want no mount point and no error, got %v, %v", got, err)
	}
	content(t, m, path.Join(m.Dir, "b/a"), "b/a")
}

func mounted(t *testing.T, m Machine) {
	if m.Mount == nil {
		t.Skip("mounts need root")
	}
	at := path.Join(m.Dir, "b/mnt")
	m.Mount(at)
	fill(t, m, "b/mnt/kept", "x", "b/y")
	var mounted *host.MountedError
	for _, name := range []string{"b/mnt", "b"} {
		if err := m.Host.RemoveAll(t.Context(), path.Join(m.Dir, name)); !errors.As(err, &mounted) || mounted.Path != at {
			t.Errorf("%s: want *MountedError of %s, got %v", name, at, err)
		}
	}
	for names, want := range map[[2]string]error{
		{"b/mnt", "c"}:        syscall.EBUSY,
		{"x", "b/mnt/x"}:      syscall.EXDEV,
		{"b/mnt/kept", "out"}: syscall.EXDEV,
	} {
		err := m.Host.Rename(t.Context(), path.Join(m.Dir, names[0]), path.Join(m.Dir, names[1]))
		if !errors.Is(err, want) {
			t.Errorf("%v: want %v, got %v", names, want, err)
		}
	}
	content(t, m, path.Join(at, "kept"), "b/mnt/kept")
	must(t, m.Host.Rename(t.Context(), path.Join(at, "kept"), path.Join(at, "moved")))
	entries(t, m, at, "moved")
}

func unmount(t *testing.T, m Machine) {
	if m.Mount == nil {
		t.Skip("mounts need root")
	}
	outer, inner := path.Join(m.Dir, "b"), path.Join(m.Dir, "b/c")
	m.Mount(outer)
	m.Mount(outer)
	m.Mount(inner)
	fill(t, m, "b/c/a", "b/a")
	points(t, m, outer, outer, inner)
	if err := m.Host.Unmount(t.Context(), outer, host.UnmountForce); !errors.Is(err, syscall.EBUSY) {
		t.Errorf("want EBUSY, got %v", err)
	}
	must(t, m.Host.Unmount(t.Context(), inner))
	points(t, m, outer, outer)
	must(t, m.Host.Unmount(t.Context(), outer))
	must(t, m.Host.Unmount(t.Context(), outer))
	points(t, m)
	entries(t, m, outer)
	must(t, m.Host.RemoveAll(t.Context(), outer))
	gone(t, m, outer)
}
