package etcdhost

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/hactl/hactl/etcd"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/host"
	"github.com/hactl/hactl/phases/symptom"
	"github.com/hactl/hactl/templates/staticpod"
)

// Unit is the service that runs etcd where it is installed.
const (
	Unit     = "hactl-etcd.service"
	UnitFile = "/etc/systemd/system/" + Unit
)

// unitHead is by what a unit of hactl is known.
const unitHead = "# Written by hactl etcd. What is to differ: systemctl edit " + Unit + "\n"

// unit is the unit file. See systemd.unit(5), systemd.service(5). The service
// is not of type notify: etcd says that it is ready when its cluster has taken
// it, which systemd would end it for, if it takes long.
func (t *Task) unit(in etcd.Initial) []byte {
	command := staticpod.Command(t.Program, t.flags(in), nil)
	return fmt.Appendf(nil, `%s[Unit]
Description=Member of the etcd that Kubernetes clusters use
Documentation=https://etcd.io/docs/
Wants=network-online.target
After=network-online.target
StartLimitIntervalSec=0

[Service]
ExecStart=%s
Restart=always
RestartSec=1s
LimitNOFILE=65536

[Install]
WantedBy=multi-user.target
`, unitHead, strings.Join(command, " \\\n  "))
}

// liveUnitFlags returns a function that reads the flags of the unit's command
// line, nil if there is no unit. It refuses a unit that hactl did not write.
func liveUnitFlags(ctx context.Context, files host.Files) (func(string) string, error) {
	data, err := files.ReadFile(ctx, UnitFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if !bytes.HasPrefix(data, []byte(unitHead)) {
		return nil, foreignUnit()
	}
	return func(name string) string {
		for line := range strings.Lines(string(data)) {
			word := strings.TrimSuffix(strings.TrimSpace(line), ` \`)
			if value, ok := strings.CutPrefix(word, "--"+name+"="); ok {
				return value
			}
		}
		return ""
	}, nil
}

func (t *Task) unitIsRight(ctx context.Context, in etcd.Initial) (bool, error) {
	data, err := t.Host.ReadFile(ctx, UnitFile)
	if err != nil {
		return false, ignoreMissing(err)
	}
	return bytes.Equal(data, t.unit(in)), nil
}

// startUnit writes the unit and starts it anew.
func (t *Task) startUnit(ctx context.Context, in etcd.Initial) error {
	if err := t.Host.WriteFile(ctx, UnitFile, t.unit(in), 0o644); err != nil {
		return fmt.Errorf("write the unit of etcd: %w", err)
	}
	s := t.Host.Services()
	for _, act := range []func() error{
		func() error { return s.Reload(ctx) },
		func() error { return s.Enable(ctx, Unit) },
		func() error { return s.Restart(ctx, Unit) },
	} {
		if err := act(); err != nil {
			return unitFails(err)
		}
	}
	return nil
}

func (t *Task) stopUnit(ctx context.Context) error {
	s := t.Host.Services()
	status, err := s.Status(ctx, Unit)
	if err != nil {
		return err
	}
	if status.Exists {
		if err := s.Stop(ctx, Unit); err != nil {
			return err
		}
	}
	if err := t.Host.Remove(ctx, "/etc/systemd/system/multi-user.target.wants/"+Unit); err != nil {
		return err
	}
	if err := t.Host.Remove(ctx, UnitFile); err != nil {
		return err
	}
	return s.Reload(ctx)
}

// crashed returns why the member will not come up, nil if it still can.
func (t *Task) crashed(ctx context.Context) error {
	if t.Runtime != Systemd || t.Imagined {
		return nil
	}
	s, err := t.Host.Services().Status(ctx, Unit)
	if err != nil || !s.Failed || s.Restarts < hopeless {
		return nil
	}
	lines := symptom.Journal(ctx, t.Host, Unit)
	return &phases.Fault{
		What:  "etcd does not stay up",
		Why:   fmt.Errorf("%s ended again and again (%s)%s", Unit, s.Detail, symptom.Tail(lines)),
		Fixes: append(symptom.Hints(lines), "see what etcd says: journalctl -eu "+Unit, sameAgain),
	}
}

// hopeless is how often a member may end before it is taken to be broken and
// not only early.
const hopeless = 3
