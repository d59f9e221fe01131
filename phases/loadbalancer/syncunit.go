package loadbalancer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/host"
)

// The unit that follows the control planes.
const (
	SyncUnit = "hactl-lb-sync.service"
	SyncFile = "/etc/systemd/system/" + SyncUnit
)

// Unit is what SyncPhase works from.
type Unit struct {
	Host host.Host
	// Command is what runs: hactl's own path, then its arguments. None of
	// them is secret.
	Command []string
	// After is the unit of the program.
	After string
	// OfNode says that the unit is part of a control plane.
	OfNode bool
}

// SyncPhase installs the unit and starts it.
func SyncPhase() phases.Phase[Unit] {
	return phases.Phase[Unit]{
		Name:   "sync",
		Title:  "follow the control planes that join and leave",
		Writes: []string{SyncFile},
		Skip: func(u *Unit) string {
			if len(u.Command) == 0 {
				return "without --sync"
			}
			return ""
		},
		Observe: observeUnit,
		Apply:   applyUnit,
	}
}

func observeUnit(ctx context.Context, u *Unit) (phases.State, error) {
	have, err := u.Host.ReadFile(ctx, SyncFile)
	if errors.Is(err, fs.ErrNotExist) {
		return phases.Missing, nil
	}
	if err != nil || !bytes.Equal(have, u.render()) {
		return phases.Missing, err
	}
	return running(ctx, u.Host, SyncUnit, have)
}

func applyUnit(ctx context.Context, u *Unit) error {
	if err := u.Host.WriteFile(ctx, SyncFile, u.render(), 0o644); err != nil {
		return err
	}
	s := u.Host.Services()
	if err := errors.Join(s.Reload(ctx), s.Enable(ctx, SyncUnit), s.Restart(ctx, SyncUnit)); err != nil {
		return err
	}
	return loaded(ctx, u.Host, SyncUnit, u.render())
}

// render is the unit file. See systemd.unit(5), systemd.service(5).
func (u *Unit) render() []byte {
	words := make([]string, len(u.Command))
	for i, w := range u.Command {
		words[i] = quote(w)
	}
	head := "# Written by hactl lb install --sync."
	if u.OfNode {
		head = unitOfNode
	}
	return fmt.Appendf(nil, `%s
[Unit]
Description=Keep the load balancer's list of control planes right
Documentation=https://github.com/hactl/hactl/blob/main/docs/load-balancer.md
Wants=network-online.target
After=network-online.target %s

[Service]
ExecStart=%s
Restart=always
RestartSec=5s

[Install]
WantedBy=multi-user.target
`, head, u.After, strings.Join(words, " "))
}

// unitOfNode is the first line of a unit that init or join made.
const unitOfNode = "# Written by hactl: part of this control plane, hactl reset takes it away."

// quote makes one word of a command line of systemd: nothing in it is
// replaced or split.
func quote(w string) string {
	w = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "%", "%%", "$", "$$", "\n", `\n`).Replace(w)
	return `"` + w + `"`
}
