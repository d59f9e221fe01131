package loadbalancer

import (
	"bytes"
	"context"
	"errors"
	"io/fs"

	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/host"
	"github.com/hactl/hactl/templates/loadbalancer"
)

// Removal is what RemovePhase works from.
type Removal struct {
	Host host.Host
}

// RemovePhase is phase load-balancer of reset: it takes away what init and
// join made of HAProxy, Keepalived and the unit that follows the control
// planes. Keepalived goes first, so that another control plane takes the
// virtual address over at once. What lb install made, or somebody changed,
// stays.
func RemovePhase() phases.Phase[Removal] {
	return phases.Phase[Removal]{
		Name:  "load-balancer",
		Title: "give the virtual address to another control plane",
		Reads: []string{Keepalived.File(), HAProxy.File(), SyncFile},
		Writes: []string{
			Keepalived.File(), HAProxy.File(), SyncFile + " (removed)",
			Keepalived.Unit(), HAProxy.Unit(), SyncUnit + " (stopped, disabled)",
		},
		Observe: observeRemoval,
		Apply:   applyRemoval,
	}
}

// Made says whether there is anything for RemovePhase to take away.
func Made(ctx context.Context, h host.Host) (bool, error) {
	parts, err := (&Removal{Host: h}).parts(ctx)
	return len(parts) > 0, err
}

// part is a file of the node's load balancer, with the unit that it is for.
type part struct {
	unit  string
	files []string // the one that tells goes last
}

// parts are those that are there, in the order in which they go.
func (r *Removal) parts(ctx context.Context) ([]part, error) {
	var list []part
	unit, err := r.read(ctx, SyncFile)
	if err != nil {
		return nil, err
	}
	if bytes.HasPrefix(unit, []byte(unitOfNode+"\n")) {
		list = append(list, part{SyncUnit, []string{loadedFile(SyncUnit), SyncFile}})
	}
	for _, p := range []Program{Keepalived, HAProxy} {
		file, err := r.read(ctx, p.File())
		if err != nil {
			return nil, err
		}
		if !loadbalancer.OfNode(file) {
			continue
		}
		if loadbalancer.OriginOf(file) != loadbalancer.Own {
			phases.Warn(ctx, p.File()+" was changed by hand since hactl wrote it, so it stays, and so does "+p.Unit())
			continue
		}
		t := &Task{Host: r.Host, Program: p}
		list = append(list, part{p.Unit(), []string{
			loadedFile(p.Unit()), t.pendingFile(), p.File() + ".hactl-old", p.File() + ".hactl-new", p.File(),
		}})
	}
	return list, nil
}

// read returns nothing for a file that is not there.
func (r *Removal) read(ctx context.Context, path string) ([]byte, error) {
	data, err := r.Host.ReadFile(ctx, path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return data, err
}

func observeRemoval(ctx context.Context, r *Removal) (phases.State, error) {
	parts, err := r.parts(ctx)
	if err != nil || len(parts) > 0 {
		return phases.Missing, err
	}
	return phases.Done, nil
}

func applyRemoval(ctx context.Context, r *Removal) error {
	parts, err := r.parts(ctx)
	if err != nil {
		return err
	}
	s := r.Host.Services()
	for _, p := range parts {
		var gone *host.UnitError
		if err := s.Stop(ctx, p.unit); err != nil && !errors.As(err, &gone) {
			return err
		}
		if _, err := r.Host.Exec(ctx, "systemctl", "disable", p.unit); err != nil {
			phases.Warn(ctx, p.unit+" is still enabled: "+err.Error())
		}
		for _, f := range p.files {
			if err := r.Host.Remove(ctx, f); err != nil {
				return err
			}
		}
	}
	return s.Reload(ctx)
}
