package host_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hactl/hactl/phases/host"
	"github.com/hactl/hactl/phases/host/hosttest"
)

const unit = "test.service"

func memory(t *testing.T) *host.Memory {
	m := host.NewMemory()
	m.Handle("echo", func(argv []string) ([]byte, error) {
		return []byte(strings.Join(argv[1:], " ") + "\n"), nil
	})
	m.Handle("false", func(argv []string) ([]byte, error) {
		return nil, &host.ExitError{Argv0: argv[0], Code: 1}
	})
	m.SetService(unit, host.ServiceStatus{Detail: "inactive/dead"})
	if err := m.Mkdir(t.Context(), "/var/test", 0o755); err != nil {
		t.Fatal(err)
	}
	return m
}

func local(t *testing.T, root string) *host.Local {
	l := host.NewLocal(root)
	t.Cleanup(l.Close)
	return l
}

func TestConformance(t *testing.T) {
	other := host.Owner{User: 1, Group: 2}
	own := host.Owner{User: int64(os.Getuid()), Group: int64(os.Getgid())}
	if own.User == 0 {
		own = other
	}
	hosts := map[string]func(t *testing.T) hosttest.Machine{
		"Memory": func(t *testing.T) hosttest.Machine {
			m := memory(t)
			return hosttest.Machine{Host: m, Dir: "/var/test", Owner: other, Mount: m.SetMount}
		},
		"Overlay": func(t *testing.T) hosttest.Machine {
			m := memory(t)
			return hosttest.Machine{Host: host.NewOverlay(m), Dir: "/var/test", Owner: other, Mount: m.SetMount}
		},
		"Local": func(t *testing.T) hosttest.Machine {
			return hosttest.Machine{Host: local(t, ""), Dir: t.TempDir(), Owner: own}
		},
		"LocalBelowRoot": func(t *testing.T) hosttest.Machine {
			return hosttest.Machine{Host: local(t, t.TempDir()), Dir: "/", Owner: own}
		},
		"OverlayOfLocal": func(t *testing.T) hosttest.Machine {
			return hosttest.Machine{Host: host.NewOverlay(local(t, "")), Dir: t.TempDir(), Owner: other}
		},
	}
	for name, machine := range hosts {
		t.Run(name, func(t *testing.T) { hosttest.Run(t, machine) })
	}
}

func TestServiceConformance(t *testing.T) {
	hosts := map[string]func(t *testing.T) host.Host{
		"Memory":  func(t *testing.T) host.Host { return memory(t) },
		"Overlay": func(t *testing.T) host.Host { return host.NewOverlay(memory(t)) },
	}
	for name, machine := range hosts {
		t.Run(name, func(t *testing.T) { hosttest.RunServices(t, machine, unit) })
	}
}

func TestOverlayChanges(t *testing.T) {
	cases := map[string]struct {
		reason string
		do     func(context.Context, host.Host) error
		want   []host.Change
	}{
		"NewFile": {
			reason: "parents that are made on the way are changes too",
			do: func(ctx context.Context, h host.Host) error {
				return h.WriteFile(ctx, "/etc/new/a", []byte("one"), 0o600)
			},
			want: []host.Change{
				{Kind: host.DirMade, Path: "/etc/new", Mode: fs.ModeDir | 0o700},
				{Kind: host.FileWritten, Path: "/etc/new/a", Mode: 0o600, New: []byte("one")},
			},
		},
		"ReplaceTwice": {
			reason: "each write is listed with what was there before it",
			do: func(ctx context.Context, h host.Host) error {
				return errors.Join(
					h.WriteFile(ctx, "/etc/old", []byte("two"), 0o644),
					h.WriteFile(ctx, "/etc/old", []byte("three"), 0o644))
			},
			want: []host.Change{
				{Kind: host.FileWritten, Path: "/etc/old", Mode: 0o644, Old: []byte("one"), New: []byte("two")},
				{Kind: host.FileWritten, Path: "/etc/old", Mode: 0o644, Old: []byte("two"), New: []byte("three")},
			},
		},
		"Same": {
			reason: "what changes nothing is not listed",
			do: func(ctx context.Context, h host.Host) error {
				return errors.Join(
					h.WriteFile(ctx, "/etc/old", []byte("one"), 0o644),
					h.Mkdir(ctx, "/etc", 0o700), h.Remove(ctx, "/never"))
			},
		},
		"Mode": {
			reason: "a new mode alone is a change",
			do: func(ctx context.Context, h host.Host) error {
				return h.WriteFile(ctx, "/etc/old", []byte("one"), 0o600)
			},
			want: []host.Change{{Kind: host.FileWritten, Path: "/etc/old", Mode: 0o600, Old: []byte("one"), New: []byte("one")}},
		},
		"Remove": {
			reason: "a removal tells what is lost",
			do: func(ctx context.Context, h host.Host) error {
				return errors.Join(h.Remove(ctx, "/etc/old"), h.Remove(ctx, "/etc"))
			},
			want: []host.Change{
				{Kind: host.PathRemoved, Path: "/etc/old", Mode: 0o644, Old: []byte("one")},
				{Kind: host.PathRemoved, Path: "/etc", Mode: fs.ModeDir | 0o755},
			},
		},
		"RemoveTree": {
			reason: "a tree is one change: what is in it may be large",
			do:     func(ctx context.Context, h host.Host) error { return h.RemoveAll(ctx, "/etc") },
			want:   []host.Change{{Kind: host.TreeRemoved, Path: "/etc", Mode: fs.ModeDir | 0o755}},
		},
		"RemoveTreeOfOne": {
			reason: "a file is removed as Remove does it",
			do: func(ctx context.Context, h host.Host) error {
				return errors.Join(h.RemoveAll(ctx, "/etc/old"), h.RemoveAll(ctx, "/never"))
			},
			want: []host.Change{{Kind: host.PathRemoved, Path: "/etc/old", Mode: 0o644, Old: []byte("one")}},
		},
		"Rename": {
			reason: "a move is one change",
			do:     func(ctx context.Context, h host.Host) error { return h.Rename(ctx, "/etc", "/etc.old") },
			want:   []host.Change{{Kind: host.PathMoved, From: "/etc", Path: "/etc.old", Mode: fs.ModeDir | 0o755}},
		},
		"Unmount": {
			reason: "what was mounted is out of sight, and its content is no change",
			do: func(ctx context.Context, h host.Host) error {
				return errors.Join(h.Unmount(ctx, "/mnt/a"), h.Unmount(ctx, "/mnt/a"), h.RemoveAll(ctx, "/mnt"))
			},
			want: []host.Change{
				{Kind: host.Unmounted, Path: "/mnt/a"},
				{Kind: host.TreeRemoved, Path: "/mnt", Mode: fs.ModeDir | 0o755},
			},
		},
		"Command": {
			reason: "a program that may change the machine is not run",
			do: func(ctx context.Context, h host.Host) error {
				_, err := h.Exec(ctx, "false", "--now")
				return err
			},
			want: []host.Change{{Kind: host.CommandRun, Argv: []string{"false", "--now"}}},
		},
		"NewUnit": {
			reason: "a unit whose file is written here can be started here",
			do: func(ctx context.Context, h host.Host) error {
				return errors.Join(
					h.WriteFile(ctx, "/etc/systemd/system/new.service", []byte("[Service]"), 0o644),
					h.Services().Reload(ctx), h.Services().Start(ctx, "new.service"))
			},
			want: []host.Change{
				{Kind: host.DirMade, Path: "/etc/systemd", Mode: fs.ModeDir | 0o700},
				{Kind: host.DirMade, Path: "/etc/systemd/system", Mode: fs.ModeDir | 0o700},
				{Kind: host.FileWritten, Path: "/etc/systemd/system/new.service", Mode: 0o644, New: []byte("[Service]")},
				{Kind: host.ServiceChanged, Action: host.ReloadUnits},
				{Kind: host.ServiceChanged, Action: host.StartService, Unit: "new.service"},
			},
		},
		"Services": {
			reason: "actions are listed with their unit",
			do: func(ctx context.Context, h host.Host) error {
				s := h.Services()
				return errors.Join(s.Enable(ctx, unit), s.Reload(ctx), s.Restart(ctx, unit))
			},
			want: []host.Change{
				{Kind: host.ServiceChanged, Action: host.EnableService, Unit: unit},
				{Kind: host.ServiceChanged, Action: host.ReloadUnits},
				{Kind: host.ServiceChanged, Action: host.RestartService, Unit: unit},
			},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			m := memory(t)
			if err := errors.Join(m.Mkdir(t.Context(), "/etc", 0o755),
				m.WriteFile(t.Context(), "/etc/old", []byte("one"), 0o644)); err != nil {
				t.Fatal(err)
			}
			m.SetMount("/mnt/a")
			o := host.NewOverlay(m)
			if err := c.do(t.Context(), o); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, o.Changes()); diff != "" {
				t.Errorf("%s: -want +got\n%s", c.reason, diff)
			}
			data, err := m.ReadFile(t.Context(), "/etc/old")
			if string(data) != "one" || err != nil {
				t.Errorf("the base changed: %q, %v", data, err)
			}
			if status, err := m.Services().Status(t.Context(), unit); status.Active || status.Enabled || err != nil {
				t.Errorf("the base changed: %+v, %v", status, err)
			}
		})
	}
}

func TestOverlayWatchesBase(t *testing.T) {
	m := memory(t)
	changes, err := host.NewOverlay(m).Services().Watch(t.Context(), unit)
	if err != nil {
		t.Fatal(err)
	}
	m.SetService(unit, host.ServiceStatus{Active: true})
	select {
	case <-changes:
	case <-time.After(10 * time.Second):
		t.Fatal("a change of the base was not told")
	}
}

func TestMemoryHandleService(t *testing.T) {
	m, broken := memory(t), errors.New("broken")
	m.HandleService(unit, func(a host.ServiceAction) error {
		if a == host.StartService {
			m.SetService(unit, host.ServiceStatus{Failed: true})
			return broken
		}
		return nil
	})
	if err := m.Services().Start(t.Context(), unit); !errors.Is(err, broken) {
		t.Errorf("want %v, got %v", broken, err)
	}
	got, err := m.Services().Status(t.Context(), unit)
	if diff := cmp.Diff(host.ServiceStatus{Exists: true, Failed: true}, got); diff != "" || err != nil {
		t.Errorf("%v -want +got\n%s", err, diff)
	}
}

// The umask is of the process, so this test is not parallel with others.
func TestLocalModeIgnoresUmask(t *testing.T) {
	old := syscall.Umask(0o077)
	defer syscall.Umask(old)
	l, dir := local(t, ""), t.TempDir()
	if err := errors.Join(
		l.WriteFile(t.Context(), filepath.Join(dir, "a"), nil, 0o644),
		l.Mkdir(t.Context(), filepath.Join(dir, "b"), 0o755)); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]fs.FileMode{"a": 0o644, "b": fs.ModeDir | 0o755} {
		if info, err := l.Stat(t.Context(), filepath.Join(dir, name)); err != nil || info.Mode != want {
			t.Errorf("%s: want %v, got %v, %v", name, want, info.Mode, err)
		}
	}
}

// A process that was killed while it wrote leaves a half-written file, which
// may hold a key.
func TestLocalRemovesWhatAKilledWriteLeft(t *testing.T) {
	l, dir := local(t, ""), t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	left, kept := []string{".ca.key.hactl-123", ".etcd.yaml.hactl-45"}, []string{".ca.key.old", ".ca.crt.hactl-6"}
	for _, name := range slices.Concat(left, kept) {
		if err := os.WriteFile(at(name), []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"ca.key", "manifests/etcd.yaml"} {
		if err := l.WriteFile(t.Context(), at(name), []byte("whole"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	info, err := l.Stat(t.Context(), dir)
	if diff := cmp.Diff([]string{".ca.crt.hactl-6", ".ca.key.old", "ca.key", "manifests"}, info.Names); err != nil || diff != "" {
		t.Errorf("%v; -want +got\n%s", err, diff)
	}
}

func TestLocalLinks(t *testing.T) {
	l, dir := local(t, ""), t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	if err := errors.Join(
		l.WriteFile(t.Context(), at("kept/a"), []byte("one"), 0o600),
		os.MkdirAll(at("tree"), 0o700),
		os.Symlink(at("kept"), at("tree/dir")), os.Symlink(at("none"), at("tree/dangling")),
		os.Symlink(at("kept/a"), at("link"))); err != nil {
		t.Fatal(err)
	}
	if info, err := l.Stat(t.Context(), at("tree/dir")); err != nil || !info.Link || !info.Mode.IsDir() {
		t.Errorf("want a link to a directory, got %+v, %v", info, err)
	}
	if err := l.RemoveAll(t.Context(), at("tree")); err != nil {
		t.Errorf("remove a tree with links: %v", err)
	}
	if err := l.WriteFile(t.Context(), at("link"), []byte("two"), 0o600); err != nil {
		t.Fatal(err)
	}
	if data, err := l.ReadFile(t.Context(), at("kept/a")); string(data) != "one" || err != nil {
		t.Errorf("what a link points to changed: %q, %v", data, err)
	}
}

func TestLocalExec(t *testing.T) {
	t.Setenv("HACTL_TEST", "kept")
	l := local(t, "")
	cases := map[string]struct {
		reason string
		script string
		want   string
		err    error
	}{
		"Environment": {reason: "the environment is kept, in the C locale",
			script: `echo "$HACTL_TEST $LC_ALL"; echo noise >&2`, want: "kept C\n"},
		"ExitCode": {reason: "output, code and standard error are all kept",
			script: `echo out; echo why >&2; exit 7`, want: "out\n",
			err: &host.ExitError{Argv0: "sh", Code: 7, Stderr: "why\n"}},
		"Tail": {reason: "only the end of a long standard error is kept",
			script: `head -c 9000 /dev/zero | tr '\0' x >&2; exit 1`,
			err:    &host.ExitError{Argv0: "sh", Code: 1, Stderr: string(bytes.Repeat([]byte("x"), 4096))}},
		"Signal": {reason: "a signal is code -1",
			script: `kill -9 $$`, err: &host.ExitError{Argv0: "sh", Code: -1}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := l.Exec(t.Context(), "sh", "-c", c.script)
			if diff := cmp.Diff(c.want, string(got)); diff != "" {
				t.Errorf("%s: -want +got\n%s", c.reason, diff)
			}
			if diff := cmp.Diff(c.err, err); diff != "" {
				t.Errorf("%s: -want +got\n%s", c.reason, diff)
			}
		})
	}
}

func TestLocalExecEndsWithContext(t *testing.T) {
	cause := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(50*time.Millisecond, func() { cancel(cause) })
	if _, err := local(t, "").Exec(ctx, "sleep", "60"); !errors.Is(err, cause) {
		t.Errorf("want %v, got %v", cause, err)
	}
}

func TestLocalWithoutSystemd(t *testing.T) {
	if _, err := os.Stat("/run/systemd/system"); err == nil {
		t.Skip("this machine has systemd")
	}
	t.Setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path="+filepath.Join(t.TempDir(), "none"))
	_, err := local(t, "").Services().Status(t.Context(), unit)
	var manager *host.ManagerError
	if !errors.As(err, &manager) || len(manager.Fix()) == 0 {
		t.Errorf("want *ManagerError with a fix, got %v", err)
	}
}
