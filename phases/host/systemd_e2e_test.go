//go:build e2e

package host_test

import (
	"errors"
	"testing"

	"github.com/hactl/hactl/phases/host"
	"github.com/hactl/hactl/phases/host/hosttest"
)

// TestSystemdConformance runs as root on a machine with systemd.
func TestSystemdConformance(t *testing.T) {
	const name, file = "hactl-conformance.service", "/etc/systemd/system/hactl-conformance.service"
	const text = "[Service]\nExecStart=/bin/sleep infinity\nExecReload=/bin/true\n[Install]\nWantedBy=multi-user.target\n"
	l := local(t, "")
	disable := func() error {
		_, err := l.Exec(t.Context(), "systemctl", "disable", "--now", name)
		return err
	}
	hosttest.RunServices(t, func(t *testing.T) host.Host {
		if err := errors.Join(l.WriteFile(t.Context(), file, []byte(text), 0o644),
			l.Services().Reload(t.Context()), disable()); err != nil {
			t.Fatal(err)
		}
		return l
	}, name)
	if err := errors.Join(disable(), l.Remove(t.Context(), file), l.Services().Reload(t.Context())); err != nil {
		t.Error(err)
	}
}
