package loadbalancer_test

import (
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/host"
	"github.com/hactl/hactl/phases/loadbalancer"
	"github.com/hactl/hactl/phases/wait"
	lbfiles "github.com/hactl/hactl/templates/loadbalancer"
)

const (
	cfg   = "/etc/haproxy/haproxy.cfg"
	stock = "global\n\tdaemon\n"
	other = "listen web\n\tbind :80\n"
)

// balancerHost is a host with HAProxy's package. What HAProxy was last made
// to read is what it serves with.
type balancerHost struct {
	*host.Memory
	t       *testing.T
	actions []host.ServiceAction
	served  string // the file as HAProxy has read it
	broken  string // a file with this text is not accepted
	listen  error
	holders string // what ss says
	dial    func() error
}

func newHost(t *testing.T) *balancerHost {
	h := &balancerHost{Memory: host.NewMemory(), t: t, broken: "no such text"}
	h.Handle("haproxy", func(argv []string) ([]byte, error) {
		if argv[1] != "-c" {
			return nil, nil
		}
		data, err := h.ReadFile(t.Context(), argv[3])
		if err != nil || strings.Contains(string(data), h.broken) {
			return nil, &host.ExitError{Argv0: "haproxy", Code: 1, Stderr: "[ALERT] parsing: unknown keyword"}
		}
		return nil, nil
	})
	h.Handle("ss", func([]string) ([]byte, error) { return []byte(h.holders), nil })
	h.Handle("dpkg-query", func([]string) ([]byte, error) {
		return fmt.Appendf(nil, " %s %x\n /etc/default/haproxy 0\n", cfg, md5.Sum([]byte(stock))), nil
	})
	h.SetService("haproxy.service", host.ServiceStatus{})
	h.HandleService("haproxy.service", func(a host.ServiceAction) error {
		h.actions = append(h.actions, a)
		if a == host.RestartService || a == host.ReloadService {
			h.served = h.file(cfg)
		}
		return nil
	})
	return h
}

func (h *balancerHost) file(path string) string {
	h.t.Helper()
	data, err := h.ReadFile(h.t.Context(), path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		h.t.Fatal(err)
	}
	return string(data)
}

func (h *balancerHost) write(path, text string) {
	h.t.Helper()
	if err := h.WriteFile(h.t.Context(), path, []byte(text), 0o644); err != nil {
		h.t.Fatal(err)
	}
}

// names are the files below a directory.
func (h *balancerHost) names(dir string) []string {
	info, err := h.Stat(h.t.Context(), dir)
	if err != nil {
		return nil
	}
	return info.Names
}

// connect is the network: only HAProxy can be reached, and closes at once.
func (h *balancerHost) connect(_ context.Context, _, address string) (net.Conn, error) {
	if address != "127.0.0.1:6443" || h.served == "" {
		return nil, &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	}
	if h.dial != nil {
		if err := h.dial(); err != nil {
			return nil, err
		}
	}
	a, b := net.Pipe()
	_ = b.Close()
	return a, nil
}

func rendered(t *testing.T, servers ...string) []byte {
	t.Helper()
	var list []lbfiles.Server
	for _, s := range servers {
		server, err := lbfiles.ParseServer(s)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, server)
	}
	data, err := lbfiles.HAProxy{Port: 6443, Servers: list, Check: lbfiles.CheckReadyz}.Render()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func (h *balancerHost) task(config []byte) *loadbalancer.Task {
	return &loadbalancer.Task{
		Host: h, Program: loadbalancer.HAProxy, Config: config, Port: 6443, Limit: 200 * time.Millisecond,
		Servers: []netip.AddrPort{netip.MustParseAddrPort("10.0.0.11:6443")},
		Listen:  func(string) error { return h.listen }, Dial: h.connect,
	}
}

// run sets HAProxy up and returns how the phases ended.
func run(t *testing.T, task *loadbalancer.Task) (ends []string, err error) {
	t.Helper()
	err = phases.Run(t.Context(), loadbalancer.Phases(), task, phases.Options{Notify: func(e phases.Event) {
		switch e.Kind {
		case phases.Finished, phases.Unchanged, phases.Skipped, phases.Failed, phases.Undone:
			ends = append(ends, e.Phase+" "+string(e.Kind))
		}
	}})
	return ends, err
}

func TestInstall(t *testing.T) {
	first, second := rendered(t, "cp-1=10.0.0.11:6443"), rendered(t, "cp-1=10.0.0.11:6443", "cp-2=10.0.0.12:6443")
	cases := map[string]struct {
		reason  string
		before  func(*balancerHost)
		force   bool
		ends    []string
		actions []host.ServiceAction
		names   []string
	}{
		"Fresh": {
			reason:  "the package's own file is nobody's",
			before:  func(h *balancerHost) { h.write(cfg, stock) },
			ends:    []string{"preflight finished", "config finished", "reload finished", "verify finished"},
			actions: []host.ServiceAction{host.EnableService, host.RestartService},
			names:   []string{"haproxy.cfg", "haproxy.cfg.hactl-old"},
		},
		"NoFile": {
			reason:  "there is nothing to keep",
			before:  func(*balancerHost) {},
			ends:    []string{"preflight finished", "config finished", "reload finished", "verify finished"},
			actions: []host.ServiceAction{host.EnableService, host.RestartService},
			names:   []string{"haproxy.cfg"},
		},
		"Changed": {
			reason:  "a further server: what runs is reloaded, not restarted",
			before:  func(h *balancerHost) { h.set(first) },
			ends:    []string{"preflight finished", "config finished", "reload finished", "verify finished"},
			actions: []host.ServiceAction{host.EnableService, host.ReloadService},
			names:   []string{"haproxy.cfg", "haproxy.cfg.hactl-old"},
		},
		"NewWorkers": {
			reason:  "the new workers come a little later",
			before:  func(h *balancerHost) { h.set(first); h.workers("7 8", "8 9") },
			ends:    []string{"preflight finished", "config finished", "reload finished", "verify finished"},
			actions: []host.ServiceAction{host.EnableService, host.ReloadService},
			names:   []string{"haproxy.cfg", "haproxy.cfg.hactl-old"},
		},
		"Again": {
			reason: "the same file again changes nothing",
			before: func(h *balancerHost) { h.set(second) },
			ends:   []string{"preflight finished", "config unchanged", "reload unchanged", "verify finished"},
			names:  []string{"haproxy.cfg"},
		},
		"Interrupted": {
			reason: "the file was replaced, and nobody reloaded",
			before: func(h *balancerHost) {
				h.set(first)
				h.write(cfg, string(second))
			},
			ends:    []string{"preflight finished", "config unchanged", "reload finished", "verify finished"},
			actions: []host.ServiceAction{host.EnableService, host.ReloadService},
			names:   []string{"haproxy.cfg"},
		},
		"Forced": {
			reason: "somebody's file, and the user's word; its copy is kept for ever",
			before: func(h *balancerHost) {
				h.write(cfg, other)
				h.write(cfg+".before-hactl", "of another time")
			},
			force:   true,
			ends:    []string{"preflight finished", "config finished", "reload finished", "verify finished"},
			actions: []host.ServiceAction{host.EnableService, host.RestartService},
			names:   []string{"haproxy.cfg", "haproxy.cfg.before-hactl", "haproxy.cfg.before-hactl-1"},
		},
		"PortItsOwn": {
			reason: "HAProxy itself listens",
			before: func(h *balancerHost) {
				h.set(first)
				h.listen, h.holders = syscall.EADDRINUSE, `LISTEN 0 4096 *:6443 *:* users:(("haproxy",pid=7,fd=5))`
			},
			ends:    []string{"preflight finished", "config finished", "reload finished", "verify finished"},
			actions: []host.ServiceAction{host.EnableService, host.ReloadService},
			names:   []string{"haproxy.cfg", "haproxy.cfg.hactl-old"},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			c.before(h)
			task := h.task(second)
			task.Force = c.force
			ends, err := run(t, task)
			if err != nil {
				t.Fatalf("%s: %v", c.reason, err)
			}
			if diff := cmp.Diff(c.ends, ends); diff != "" {
				t.Errorf("%s: phases: -want +got\n%s", c.reason, diff)
			}
			if diff := cmp.Diff(c.actions, h.actions); diff != "" {
				t.Errorf("%s: actions: -want +got\n%s", c.reason, diff)
			}
			if h.served != string(second) {
				t.Errorf("%s: HAProxy serves with\n%s", c.reason, h.served)
			}
			if diff := cmp.Diff(c.names, h.names("/etc/haproxy")); diff != "" {
				t.Errorf("%s: files: -want +got\n%s", c.reason, diff)
			}
			if left := h.names("/var/lib/hactl/lb"); len(left) > 0 {
				t.Errorf("%s: %v is left", c.reason, left)
			}
		})
	}
}

// set makes HAProxy run with a file of hactl's.
func (h *balancerHost) set(config []byte) {
	h.t.Helper()
	h.write(cfg, string(config))
	ends, err := run(h.t, h.task(config))
	if err != nil {
		h.t.Fatal(ends, err)
	}
	h.actions = nil
}

// A dry run does not wait for what it does not start.
func TestInstallDryRun(t *testing.T) {
	h := newHost(t)
	h.set(rendered(t, "cp-1=10.0.0.11:6443"))
	h.workers("7 8", "7 8")
	task := h.task(rendered(t, "cp-2=10.0.0.12:6443"))
	o := host.NewOverlay(h)
	task.Host, task.DryRun = o, true
	ends, err := run(t, task)
	want := []string{"preflight finished", "config finished", "reload finished", "verify skipped"}
	if diff := cmp.Diff(want, ends); diff != "" || err != nil {
		t.Errorf("-want +got\n%s\n%v", diff, err)
	}
	if len(h.actions) > 0 {
		t.Errorf("a dry run does %v", h.actions)
	}
}

// workers are HAProxy's processes now, and after the next reload.
func (h *balancerHost) workers(now, next string) {
	h.t.Helper()
	const children = "/proc/1/task/1/children"
	h.write(children, now)
	h.Handle("systemctl", func([]string) ([]byte, error) { return []byte("1\n"), nil })
	h.HandleService("haproxy.service", func(a host.ServiceAction) error {
		h.actions = append(h.actions, a)
		if a == host.ReloadService {
			h.served = h.file(cfg)
			ctx := context.WithoutCancel(h.t.Context()) // the test may be over then
			time.AfterFunc(50*time.Millisecond, func() { _ = h.WriteFile(ctx, children, []byte(next), 0o444) })
		}
		return nil
	})
}

// What cannot go well leaves the balancer that runs as it was.
func TestInstallFails(t *testing.T) {
	first, second := rendered(t, "cp-1=10.0.0.11:6443"), rendered(t, "cp-1=10.0.0.11:6443", "cp-2=10.0.0.12:6443")
	timeout := &wait.TimeoutError{}
	cases := map[string]struct {
		reason  string
		before  func(*balancerHost)
		last    string
		code    phases.Code
		actions []host.ServiceAction
	}{
		"Broken": {"HAProxy does not accept the file", func(h *balancerHost) { h.broken = "cp-2" }, "config undone", phases.CodeFailed, nil},
		"PortTaken": {"somebody else listens", func(h *balancerHost) {
			h.listen, h.holders = syscall.EADDRINUSE, `LISTEN 0 4096 *:6443 *:* users:(("nginx",pid=7,fd=5))`
		}, "preflight failed", phases.CodePreflight, nil},
		"PortUnknown": {"nobody tells who listens", func(h *balancerHost) { h.listen = syscall.EADDRINUSE }, "preflight failed", phases.CodePreflight, nil},
		"Edited":      {"somebody changed the file by hand", func(h *balancerHost) { h.write(cfg, string(first)+"# mine\n") }, "preflight failed", phases.CodeUnsafe, nil},
		"Foreign":     {"somebody else wrote the file", func(h *balancerHost) { h.write(cfg, other) }, "preflight failed", phases.CodeUnsafe, nil},
		"ReloadFails": {"systemd could not", func(h *balancerHost) {
			failed := false
			h.HandleService("haproxy.service", func(a host.ServiceAction) error {
				if a == host.ReloadService && !failed {
					failed = true
					return &host.JobError{Unit: "haproxy.service", Action: a, Result: "failed"}
				}
				h.actions = append(h.actions, a)
				if a == host.ReloadService {
					h.served = h.file(cfg)
				}
				return nil
			})
		}, "config undone", phases.CodeFailed, []host.ServiceAction{host.EnableService, host.ReloadService}},
		"NotTakenUp": {"its new workers cannot start, and the old ones go on", func(h *balancerHost) {
			h.workers("7 8", "7 8")
			h.Handle("systemctl", func(argv []string) ([]byte, error) {
				if argv[2] == "--property=MainPID" {
					return []byte("1\n"), nil
				}
				return []byte("Reload failed!\n"), nil
			})
		}, "config undone", phases.CodeFailed, []host.ServiceAction{host.EnableService, host.ReloadService, host.ReloadService}},
		"NotServing": {"it does not listen with the new file", func(h *balancerHost) {
			h.dial = func() error {
				if strings.Contains(h.served, "cp-2") {
					return syscall.ECONNREFUSED
				}
				return nil
			}
		}, "config undone", phases.CodeTimeout, []host.ServiceAction{host.EnableService, host.ReloadService, host.ReloadService}},
		"Ends": {"it ends with the new file", func(h *balancerHost) {
			h.dial = func() error {
				if strings.Contains(h.served, "cp-2") {
					h.SetService("haproxy.service", host.ServiceStatus{Failed: true, Enabled: true, Detail: "failed/failed"})
					return syscall.ECONNREFUSED
				}
				return nil
			}
		}, "config undone", phases.CodeFailed, []host.ServiceAction{host.EnableService, host.ReloadService, host.RestartService}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			h.set(first)
			before := h.names("/etc/haproxy")
			c.before(h)
			kept := h.file(cfg)
			ends, err := run(t, h.task(second))
			var coder interface{ Code() phases.Code }
			code := phases.CodeFailed
			if errors.As(err, &coder) {
				code = coder.Code()
			}
			if err == nil || code != c.code {
				t.Fatalf("%s: error %v with code %d, want %d", c.reason, err, code, c.code)
			}
			if c.code == phases.CodeTimeout && !errors.As(err, &timeout) {
				t.Errorf("%s: %v does not tell what was waited for", c.reason, err)
			}
			if got := ends[len(ends)-1]; got != c.last {
				t.Errorf("%s: ends with %q, want %q of %v", c.reason, got, c.last, ends)
			}
			if h.served != string(first) || h.file(cfg) != kept {
				t.Errorf("%s: HAProxy serves with\n%s\nthe file is\n%s", c.reason, h.served, h.file(cfg))
			}
			if diff := cmp.Diff(c.actions, h.actions); diff != "" {
				t.Errorf("%s: actions: -want +got\n%s", c.reason, diff)
			}
			after := h.names("/etc/haproxy")
			if diff := cmp.Diff(before, after); diff != "" && !strings.HasSuffix(after[len(after)-1], ".hactl-old") {
				t.Errorf("%s: files: -before +after\n%s", c.reason, diff)
			}
			if left := h.names("/var/lib/hactl/lb"); len(left) > 0 {
				t.Errorf("%s: %v is left", c.reason, left)
			}
		})
	}
}
