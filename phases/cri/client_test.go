package cri

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
)

func TestDialNamesTheSocket(t *testing.T) {
	for _, tt := range []struct{ reason, socket, want string }{
		{"an address as the configuration has it", "unix:///no/such.sock", "unix:///no/such.sock"},
		{"a plain path gets its scheme", "/no/such.sock", "unix:///no/such.sock"},
		{"a relative path is never looked for", "client_test.go", "client_test.go"},
		{"another scheme", "tcp://127.0.0.1:1", "tcp://127.0.0.1:1"},
		{"nothing", "", ""},
	} {
		_, err := dial(t, tt.socket).Version(t.Context())
		var got *SocketError
		if !errors.As(err, &got) || got.Socket != tt.want || !errors.Is(err, ErrNoSocket) {
			t.Errorf("Version() over %q = %v, want that there is no %q: %s", tt.socket, err, tt.want, tt.reason)
		}
	}
}

// What is wrong with a runtime is told apart, and each has a fix of its own.
func TestSocketErrors(t *testing.T) {
	dir, err := os.MkdirTemp("", "cri")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	listen := func(name string) *net.UnixListener {
		l, err := net.Listen("unix", filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return l.(*net.UnixListener)
	}
	dead := listen("dead.sock")
	dead.SetUnlinkOnClose(false)
	dead.Close()
	deaf := listen("deaf.sock")
	t.Cleanup(func() { deaf.Close() })
	file := filepath.Join(dir, "file.sock")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}

	for _, tt := range []struct {
		reason, socket string
		limit          time.Duration
		want           error
		fix            string
	}{
		{"the runtime is not installed or not started", filepath.Join(dir, "absent", "crio.sock"), answerLimit, ErrNoSocket, "enable --now crio"},
		{"the runtime ended and left its socket", filepath.Join(dir, "dead.sock"), answerLimit, ErrRefused, "systemctl restart containerd"},
		{"a file in the place of the socket", file, answerLimit, ErrRefused, "--cri-socket"},
		{"the runtime hangs", filepath.Join(dir, "deaf.sock"), 50 * time.Millisecond, ErrNoAnswer, "journalctl -u containerd"},
		{"containerd runs with its CRI plugin off", serve(t, func(*grpc.Server) {}), answerLimit, ErrNoCRI, "disabled_plugins"},
	} {
		c := dial(t, tt.socket)
		c.limit = tt.limit
		_, err := c.Version(t.Context())
		var got *SocketError
		if !errors.As(err, &got) || !errors.Is(err, tt.want) {
			t.Errorf("Version() = %v, want a SocketError for %v: %s", err, tt.want, tt.reason)
			continue
		}
		if fix := strings.Join(got.Fix(), "\n"); !strings.Contains(fix, tt.fix) {
			t.Errorf("the fix is %q, want one with %q: %s", fix, tt.fix, tt.reason)
		}
		if strings.Contains(err.Error(), "rpc error") {
			t.Errorf("the error is %q, want words for people", err)
		}
	}
}

func TestDialReasons(t *testing.T) {
	for _, tt := range []struct {
		reason    string
		err, want error
	}{
		{"connected, then broken", nil, ErrLost},
		{"not root", &fs.PathError{Err: fs.ErrPermission}, ErrDenied},
		{"the queue of the socket is full", os.ErrDeadlineExceeded, ErrNoAnswer},
		{"anything else", errors.New("strange"), ErrLost},
	} {
		if got := dialReason(tt.err); got != tt.want {
			t.Errorf("dialReason(%v) = %v, want %v: %s", tt.err, got, tt.want, tt.reason)
		}
	}
	if !errors.Is(ErrDenied, fs.ErrPermission) {
		t.Error("ErrDenied is no fs.ErrPermission")
	}
}

// A client that was made before the runtime started works once it has.
func TestClientConnectsAgain(t *testing.T) {
	m := NewMemory()
	dir, err := os.MkdirTemp("", "cri")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	link := filepath.Join(dir, "cri.sock")
	c := dial(t, link)
	if _, err := c.Version(t.Context()); !errors.Is(err, ErrNoSocket) {
		t.Fatalf("Version() = %v, want ErrNoSocket", err)
	}
	if err := os.Symlink(serve(t, over(t, m)), link); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(10 * time.Second)
	for {
		_, err := c.Version(t.Context())
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("Version() after the start: %v", err)
		}
		<-time.After(20 * time.Millisecond)
	}
}

func TestStatusTellsTheCgroupDriver(t *testing.T) {
	for _, want := range []string{"systemd", "cgroupfs", ""} {
		m := NewMemory()
		m.SetStatus(Status{Runtime: Condition{Met: true}, CgroupDriver: want})
		got, err := DialMemory(t, m).Status(t.Context())
		if err != nil || got.CgroupDriver != want {
			t.Errorf("Status() = %+v, %v, want the cgroup driver %q", got, err, want)
		}
	}
}

func TestTailReadsTheEndOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "0.log")
	line := "T stdout F " + strings.Repeat("x", 1000) + "\n"
	if err := os.WriteFile(path, []byte(strings.Repeat(line, 2000)+"T stderr F the end\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := tail(t.Context(), path, 2000)
	if err != nil || len(got) >= 2000 || got[len(got)-1] != "the end" || len(got[0]) != 1000 {
		t.Errorf("tail() has %d lines, %v, want whole lines of the last %d bytes", len(got), err, tailBytes)
	}
}
