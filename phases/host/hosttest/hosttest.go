// Package hosttest holds the conformance suite that every host.Host passes.
// It owns what the interface promises and nothing about one implementation.
package hosttest

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"os/exec"
	"path"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hactl/hactl/phases/host"
)

// Machine is a host to test. New makes a new one for each case.
type Machine struct {
	Host host.Host
	// Dir is an absolute path of a directory that exists and is empty.
	Dir string
	// Owner is one whom the test may give files to.
	Owner host.Owner
	// Mount mounts a file system on a directory; nil where a test may not.
	Mount func(path string)
}

// Run tests files and commands. The machine has the programs echo and false.
func Run(t *testing.T, machine func(t *testing.T) Machine) {
	cases := map[string]testCase{
		"WriteAndRead":     {"what is written is read, with the exact mode", writeAndRead},
		"WriteReplaces":    {"a second write replaces content and mode", writeReplaces},
		"WriteMakesDirs":   {"missing parents are made with 0700", writeMakesDirs},
		"WriteOnDir":       {"a directory is never replaced by a file", writeOnDir},
		"WriteBelowFile":   {"a file is no directory", writeBelowFile},
		"WriteManifest":    {"no temporary file stays in or near a manifest directory", writeManifest},
		"CallerKeepsSlice": {"a change of the slice after the call changes no file", callerKeepsSlice},
		"Missing":          {"what is missing satisfies fs.ErrNotExist", missing},
		"ReadDir":          {"a directory has no content, and it exists", readDir},
		"ReadHead":         {"the beginning of a file, or all of it", readHead},
		"Mkdir":            {"all parents get the mode, and an old directory keeps its own", mkdir},
		"Chown":            {"owner and mode change, and what is below a directory does not", chown},
		"ChownMissing":     {"what is missing belongs to nobody", chownMissing},
		"Names":            {"a directory lists its entries, sorted", names},
		"Remove":           {"files and empty directories go, a second time too", remove},
		"RemoveFull":       {"a directory with entries stays", removeFull},
		"Again":            {"what was removed can be made again, and is empty", again},
		"Relative":         {"relative paths are refused", relative},
		"Ended":            {"an ended context stops everything, with its cause", ended},
		"Probe":            {"standard output is returned", probe},
		"ProbeFails":       {"an exit code is an *ExitError", probeFails},
		"ProbeMissing":     {"a program that does not exist is exec.ErrNotFound", probeMissing},
	}
	maps.Copy(cases, treeCases())
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Log(c.reason)
			c.test(t, machine(t))
		})
	}
}

type testCase struct {
	reason string
	test   func(*testing.T, Machine)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func refused(t *testing.T, err error) {
	t.Helper()
	if err == nil {
		t.Fatal("got no error")
	}
}

func content(t *testing.T, m Machine, path, want string) {
	t.Helper()
	got, err := m.Host.ReadFile(t.Context(), path)
	must(t, err)
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("%s: -want +got\n%s", path, diff)
	}
}

func mode(t *testing.T, m Machine, path string, want fs.FileMode) {
	t.Helper()
	info, err := m.Host.Stat(t.Context(), path)
	must(t, err)
	if info.Mode != want {
		t.Errorf("%s: mode: want %v, got %v", path, want, info.Mode)
	}
}

func entries(t *testing.T, m Machine, path string, want ...string) {
	t.Helper()
	info, err := m.Host.Stat(t.Context(), path)
	must(t, err)
	if want == nil {
		want = []string{}
	}
	if diff := cmp.Diff(want, info.Names); diff != "" {
		t.Errorf("%s: names: -want +got\n%s", path, diff)
	}
}

func gone(t *testing.T, m Machine, path string) {
	t.Helper()
	if _, err := m.Host.Stat(t.Context(), path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s: want fs.ErrNotExist, got %v", path, err)
	}
}

func writeAndRead(t *testing.T, m Machine) {
	file := path.Join(m.Dir, "a")
	for _, perm := range []fs.FileMode{0o600, 0o644, 0o666, 0o755} {
		must(t, m.Host.WriteFile(t.Context(), file, []byte("one"), perm))
		content(t, m, file, "one")
		mode(t, m, file, perm)
	}
	info, err := m.Host.Stat(t.Context(), file)
	must(t, err)
	if diff := cmp.Diff(host.Info{Mode: 0o755, Size: 3}, info); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func writeReplaces(t *testing.T, m Machine) {
	file := path.Join(m.Dir, "a")
	must(t, m.Host.WriteFile(t.Context(), file, []byte("a long first content"), 0o644))
	must(t, m.Host.WriteFile(t.Context(), file, []byte("two"), 0o600))
	content(t, m, file, "two")
	mode(t, m, file, 0o600)
	must(t, m.Host.WriteFile(t.Context(), file, nil, 0o600))
	content(t, m, file, "")
}

func writeMakesDirs(t *testing.T, m Machine) {
	must(t, m.Host.WriteFile(t.Context(), path.Join(m.Dir, "b/c/a"), []byte("one"), 0o644))
	content(t, m, path.Join(m.Dir, "b/c/a"), "one")
	mode(t, m, path.Join(m.Dir, "b"), fs.ModeDir|0o700)
	mode(t, m, path.Join(m.Dir, "b/c"), fs.ModeDir|0o700)
}

func writeOnDir(t *testing.T, m Machine) {
	dir := path.Join(m.Dir, "b")
	must(t, m.Host.Mkdir(t.Context(), dir, 0o700))
	refused(t, m.Host.WriteFile(t.Context(), dir, []byte("one"), 0o600))
	mode(t, m, dir, fs.ModeDir|0o700)
	entries(t, m, m.Dir, "b")
}

func writeBelowFile(t *testing.T, m Machine) {
	file := path.Join(m.Dir, "a")
	must(t, m.Host.WriteFile(t.Context(), file, []byte("one"), 0o600))
	refused(t, m.Host.WriteFile(t.Context(), path.Join(file, "b"), []byte("two"), 0o600))
	refused(t, m.Host.Mkdir(t.Context(), file, 0o700))
	refused(t, m.Host.Mkdir(t.Context(), path.Join(file, "b"), 0o700))
	content(t, m, file, "one")
}

func writeManifest(t *testing.T, m Machine) {
	dir := path.Join(m.Dir, "manifests")
	must(t, m.Host.WriteFile(t.Context(), path.Join(dir, "etcd.yaml"), []byte("one"), 0o600))
	must(t, m.Host.WriteFile(t.Context(), path.Join(dir, "etcd.yaml"), []byte("two"), 0o600))
	content(t, m, path.Join(dir, "etcd.yaml"), "two")
	entries(t, m, dir, "etcd.yaml")
	entries(t, m, m.Dir, "manifests")
}

func callerKeepsSlice(t *testing.T, m Machine) {
	file, data := path.Join(m.Dir, "a"), []byte("one")
	must(t, m.Host.WriteFile(t.Context(), file, data, 0o600))
	data[0] = 'X'
	content(t, m, file, "one")
	got, err := m.Host.ReadFile(t.Context(), file)
	must(t, err)
	got[0] = 'X'
	content(t, m, file, "one")
}

func missing(t *testing.T, m Machine) {
	for _, p := range []string{path.Join(m.Dir, "a"), path.Join(m.Dir, "b/c/a")} {
		gone(t, m, p)
		if _, err := m.Host.ReadFile(t.Context(), p); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: want fs.ErrNotExist, got %v", p, err)
		}
	}
}

func readHead(t *testing.T, m Machine) {
	file := path.Join(m.Dir, "a")
	must(t, m.Host.WriteFile(t.Context(), file, []byte("content"), 0o600))
	for most, want := range map[int]string{3: "con", 7: "content", 100: "content"} {
		if got, err := m.Host.ReadHead(t.Context(), file, most); err != nil || string(got) != want {
			t.Errorf("ReadHead of %d = %q, %v, want %q", most, got, err, want)
		}
	}
	if _, err := m.Host.ReadHead(t.Context(), path.Join(m.Dir, "none"), 3); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("ReadHead of a missing file = %v, want fs.ErrNotExist", err)
	}
	if _, err := m.Host.ReadHead(t.Context(), m.Dir, 3); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("ReadHead of a directory = %v, want another error", err)
	}
}

func readDir(t *testing.T, m Machine) {
	_, err := m.Host.ReadFile(t.Context(), m.Dir)
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("want an error other than fs.ErrNotExist, got %v", err)
	}
}

func mkdir(t *testing.T, m Machine) {
	must(t, m.Host.Mkdir(t.Context(), path.Join(m.Dir, "b/c"), 0o777))
	mode(t, m, path.Join(m.Dir, "b"), fs.ModeDir|0o777)
	mode(t, m, path.Join(m.Dir, "b/c"), fs.ModeDir|0o777)
	must(t, m.Host.Mkdir(t.Context(), path.Join(m.Dir, "b"), 0o700))
	mode(t, m, path.Join(m.Dir, "b"), fs.ModeDir|0o777)
}

func chown(t *testing.T, m Machine) {
	dir, file := path.Join(m.Dir, "b"), path.Join(m.Dir, "b/a")
	must(t, m.Host.WriteFile(t.Context(), file, []byte("one"), 0o600))
	before, err := m.Host.Stat(t.Context(), file)
	must(t, err)
	must(t, m.Host.Chown(t.Context(), dir, m.Owner, 0o755))
	mode(t, m, dir, fs.ModeDir|0o755)
	owner(t, m, dir, m.Owner)
	mode(t, m, file, 0o600)
	owner(t, m, file, before.Owner)
	must(t, m.Host.Chown(t.Context(), file, m.Owner, 0o640))
	mode(t, m, file, 0o640)
	owner(t, m, file, m.Owner)
	content(t, m, file, "one")
	entries(t, m, dir, "a")
	must(t, m.Host.WriteFile(t.Context(), file, []byte("two"), 0o600))
	owner(t, m, file, before.Owner)
}

func owner(t *testing.T, m Machine, path string, want host.Owner) {
	t.Helper()
	info, err := m.Host.Stat(t.Context(), path)
	must(t, err)
	if info.Owner != want {
		t.Errorf("%s: owner: want %v, got %v", path, want, info.Owner)
	}
}

func chownMissing(t *testing.T, m Machine) {
	if err := m.Host.Chown(t.Context(), path.Join(m.Dir, "never"), m.Owner, 0o600); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("want fs.ErrNotExist, got %v", err)
	}
}

func names(t *testing.T, m Machine) {
	entries(t, m, m.Dir)
	for _, p := range []string{"z", "a", "b/c"} {
		must(t, m.Host.WriteFile(t.Context(), path.Join(m.Dir, p), nil, 0o600))
	}
	entries(t, m, m.Dir, "a", "b", "z")
	must(t, m.Host.Remove(t.Context(), path.Join(m.Dir, "a")))
	entries(t, m, m.Dir, "b", "z")
	entries(t, m, path.Join(m.Dir, "b"), "c")
}

func remove(t *testing.T, m Machine) {
	file, dir := path.Join(m.Dir, "a"), path.Join(m.Dir, "b")
	must(t, m.Host.WriteFile(t.Context(), file, nil, 0o600))
	must(t, m.Host.Mkdir(t.Context(), dir, 0o700))
	for _, p := range []string{file, dir, file, dir, path.Join(dir, "never/was")} {
		must(t, m.Host.Remove(t.Context(), p))
		gone(t, m, p)
	}
}

func removeFull(t *testing.T, m Machine) {
	must(t, m.Host.WriteFile(t.Context(), path.Join(m.Dir, "b/a"), []byte("one"), 0o600))
	refused(t, m.Host.Remove(t.Context(), path.Join(m.Dir, "b")))
	content(t, m, path.Join(m.Dir, "b/a"), "one")
}

func again(t *testing.T, m Machine) {
	dir := path.Join(m.Dir, "b")
	must(t, m.Host.WriteFile(t.Context(), path.Join(dir, "a"), []byte("one"), 0o600))
	must(t, m.Host.RemoveAll(t.Context(), dir))
	must(t, m.Host.Mkdir(t.Context(), dir, 0o755))
	entries(t, m, dir)
	gone(t, m, path.Join(dir, "a"))
	must(t, m.Host.WriteFile(t.Context(), path.Join(dir, "a"), []byte("two"), 0o600))
	content(t, m, path.Join(dir, "a"), "two")
}

func relative(t *testing.T, m Machine) {
	_, err := m.Host.ReadFile(t.Context(), "a")
	refused(t, err)
	_, err = m.Host.Stat(t.Context(), "a")
	refused(t, err)
	refused(t, m.Host.WriteFile(t.Context(), "a", nil, 0o600))
	refused(t, m.Host.Mkdir(t.Context(), "a", 0o700))
	refused(t, m.Host.Remove(t.Context(), "a"))
	refused(t, m.Host.RemoveAll(t.Context(), "a"))
	refused(t, m.Host.Rename(t.Context(), "a", path.Join(m.Dir, "a")))
	refused(t, m.Host.Rename(t.Context(), path.Join(m.Dir, "a"), "a"))
	refused(t, m.Host.Unmount(t.Context(), "a"))
}

func ended(t *testing.T, m Machine) {
	cause := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	file := path.Join(m.Dir, "a")
	calls := map[string]func() error{
		"ReadFile":    func() error { _, err := m.Host.ReadFile(ctx, file); return err },
		"Stat":        func() error { _, err := m.Host.Stat(ctx, file); return err },
		"WriteFile":   func() error { return m.Host.WriteFile(ctx, file, nil, 0o600) },
		"Mkdir":       func() error { return m.Host.Mkdir(ctx, file, 0o700) },
		"Remove":      func() error { return m.Host.Remove(ctx, file) },
		"RemoveAll":   func() error { return m.Host.RemoveAll(ctx, file) },
		"Rename":      func() error { return m.Host.Rename(ctx, file, file+"b") },
		"MountPoints": func() error { _, err := m.Host.MountPoints(ctx, m.Dir); return err },
		"Unmount":     func() error { return m.Host.Unmount(ctx, m.Dir) },
		"Probe":       func() error { _, err := m.Host.Probe(ctx, "echo"); return err },
		"Exec":        func() error { _, err := m.Host.Exec(ctx, "echo"); return err },
		"Start":       func() error { return m.Host.Services().Start(ctx, "no.service") },
		"Status":      func() error { _, err := m.Host.Services().Status(ctx, "no.service"); return err },
		"Watch":       func() error { _, err := m.Host.Services().Watch(ctx, "no.service"); return err },
	}
	for name, call := range calls {
		if err := call(); !errors.Is(err, cause) {
			t.Errorf("%s: want %v, got %v", name, cause, err)
		}
	}
	entries(t, m, m.Dir)
}

func probe(t *testing.T, m Machine) {
	got, err := m.Host.Probe(t.Context(), "echo", "one", "two")
	must(t, err)
	if diff := cmp.Diff("one two\n", string(got)); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func probeFails(t *testing.T, m Machine) {
	_, err := m.Host.Probe(t.Context(), "false")
	var exit *host.ExitError
	if !errors.As(err, &exit) || exit.Code != 1 || exit.Argv0 != "false" {
		t.Errorf("want *ExitError of false with code 1, got %#v", err)
	}
}

func probeMissing(t *testing.T, m Machine) {
	for _, name := range []string{"hactl-has-no-such-program", "/hactl/has/no/such/program"} {
		if _, err := m.Host.Probe(t.Context(), name); !errors.Is(err, exec.ErrNotFound) {
			t.Errorf("%s: want exec.ErrNotFound, got %v", name, err)
		}
	}
}
