package app

import (
	"cmp"
	"context"
	"io"
	"slices"

	"github.com/hactl/hactl/phases/cleanup"
)

// ResetResult is what reset leaves behind.
type ResetResult struct {
	Node string `json:"node"`
	// EtcdBackup is where the data of etcd was moved, "" for nowhere.
	EtcdBackup string         `json:"etcdBackup,omitempty"`
	LeftAlone  []cleanup.Left `json:"leftAlone,omitempty"`
	DryRun     *DryRunReport  `json:"dryRun,omitempty"`

	only string // the phase that ran alone
}

func (r *resetter) result(ctx context.Context, s *Resetting) (*ResetResult, error) {
	result := &ResetResult{Node: s.cleanup.NodeName, EtcdBackup: s.cleanup.Backup, DryRun: r.resetReport()}
	if len(r.in.Only) > 0 {
		result.only = r.in.Only[0]
	}
	if result.only != "" && result.only != "cleanup-node" {
		return result, nil
	}
	var err error
	result.LeftAlone, err = cleanup.LeftAlone(ctx, &s.cleanup)
	return result, err
}

// resetReport is nil for a real run.
func (r *resetter) resetReport() *DryRunReport {
	report := r.report()
	if report == nil {
		return nil
	}
	var pods []MachineChange
	for _, c := range r.pods.Changes() {
		pods = append(pods, MachineChange{Action: string(c.Action), Target: "pod " + c.Sandbox.Name()})
	}
	// They go at the same time: the order is that of their names.
	slices.SortStableFunc(pods, func(a, b MachineChange) int { return cmp.Compare(a.Target, b.Target) })
	report.Machine = append(pods, report.Machine...)
	report.Objects = append(report.Objects, memberChanges(r.members)...)
	return report
}

// Text writes the result for people.
func (r *ResetResult) Text(w io.Writer) error {
	p := &printer{w: w}
	if r.DryRun != nil {
		r.DryRun.text(p)
	}
	if r.DryRun == nil && r.only == "" {
		p.line("")
		p.line("%s is no node any more.", r.Node)
	}
	if r.EtcdBackup != "" && r.DryRun == nil {
		p.line("")
		p.line("The data of etcd is kept. When nobody needs it any more:")
		p.line("  rm -r %s", r.EtcdBackup)
	}
	if len(r.LeftAlone) > 0 {
		p.line("")
		p.line("Left alone:")
		for _, l := range r.LeftAlone {
			p.line("  %s: %s", l.What, l.Why)
		}
	}
	if r.DryRun == nil && r.only == "" {
		p.line("")
		p.line("A cluster that goes on still lists the node. On a control-plane node:")
		p.line("  hactl node remove %s", r.Node)
	}
	return p.err
}
