package app

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/loadbalancer"
	lbfiles "github.com/hactl/hactl/templates/loadbalancer"
)

// lbLimit is how long a program may take to serve with a new configuration:
// HAProxy finds a server that is ready within two seconds, and Keepalived
// holds its address within four.
const lbLimit = 15 * time.Second

// LBInstallInput is what LBInstall needs from its caller.
type LBInstallInput struct {
	LBInput
	// Sync also installs the unit that follows the cluster's control planes.
	Sync bool
	// Force replaces a file that hactl did not write, and keeps a copy.
	Force  bool
	DryRun bool
	// Skip are paths as users type them.
	Skip []string
}

// installing is the data of one run of LBInstall.
type installing struct {
	task loadbalancer.Task
	unit loadbalancer.Unit
}

// LBInstallPhases is lb install, from top to bottom.
func LBInstallPhases() []phases.Phase[installing] {
	var list []phases.Phase[installing]
	for _, p := range loadbalancer.Phases() {
		list = append(list, phases.Lift(p, func(s *installing) *loadbalancer.Task { return &s.task }))
	}
	return append(list, phases.Lift(loadbalancer.SyncPhase(), func(s *installing) *loadbalancer.Unit { return &s.unit }))
}

// LBInstall sets up a load balancer on this host. It may run again; a failure
// brings back what was there before. Title is told what begins, notify gets
// the events.
func LBInstall(ctx context.Context, in LBInstallInput, title func(string), notify func(phases.Event)) (*LBInstallResult, error) {
	p, closePorts := realPorts()
	defer closePorts()
	return lbInstallOver(ctx, p, in, title, notify)
}

func lbInstallOver(ctx context.Context, p ports, in LBInstallInput, title func(string), notify func(phases.Event)) (*LBInstallResult, error) {
	m := newMachine(p, in.DryRun)
	defer m.close()
	if err := m.hold(ctx, "hactl lb install"); err != nil {
		return nil, err
	}
	b, err := settleBalancer(ctx, m, p, in.LBInput)
	if err != nil {
		return nil, err
	}
	s, err := b.installing(in)
	if err == nil && !in.Sync {
		err = b.undisturbed(ctx)
	}
	if err != nil {
		return nil, err
	}
	title(fmt.Sprintf("%s at %s", b.program, b.where()))
	if err := s.run(ctx, b, phases.Options{Notify: notify, Now: b.now}, in.Skip); err != nil {
		return nil, err
	}
	b.tell(notify)
	return &LBInstallResult{
		Program: in.Program, File: b.program.File(), Where: b.where(), Servers: b.shown(),
		State: string(b.keep.State), Priority: b.keep.Priority, Sync: in.Sync, DryRun: m.report(),
	}, nil
}

func (s *installing) run(ctx context.Context, b *balancer, o phases.Options, skip []string) error {
	list := LBInstallPhases()
	var err error
	if o.Skip, err = phases.Resolve(list, skip); err != nil {
		return err
	}
	return phases.Run(ctx, list, s, o)
}

func (b *balancer) installing(in LBInstallInput) (*installing, error) {
	t, err := b.task(b.servers, in.Force)
	if err != nil {
		return nil, err
	}
	s := &installing{task: t, unit: loadbalancer.Unit{Host: b.host, After: b.program.Unit()}}
	if !in.Sync {
		return s, nil
	}
	switch {
	case !b.program.Balances():
		return nil, usage("--sync is of no use to keepalived: it has no list of control planes", "use it with haproxy or nginx")
	case in.Kubeconfig == "":
		return nil, usage("--sync needs a way to ask the cluster", "make a kubeconfig that may read this one object, as docs/load-balancer.md says, and give it: --kubeconfig")
	}
	s.unit.Command, err = b.syncCommand()
	return s, err
}

// syncCommand is what the unit runs: only what the file is made from.
func (b *balancer) syncCommand() ([]string, error) {
	hactl, err := b.p.executable()
	if err != nil {
		return nil, fmt.Errorf("find hactl's own path: %w", err)
	}
	return []string{
		hactl, "lb", "sync", string(b.program), fmt.Sprintf("--bind-port=%d", b.port), "--check=" + string(b.check),
		"--kubeconfig=" + b.in.Kubeconfig,
	}, nil
}

// undisturbed refuses a change that the unit of an earlier --sync would take
// back with the cluster's next change.
func (b *balancer) undisturbed(ctx context.Context) error {
	if !b.program.Balances() || !b.any(ctx, []string{loadbalancer.SyncFile}) {
		return nil
	}
	unit, err := b.host.ReadFile(ctx, loadbalancer.SyncFile)
	if err != nil {
		return err
	}
	same := fmt.Sprintf(`"sync" "%s" "--bind-port=%d" "--check=%s"`, b.program, b.port, b.check)
	if strings.Contains(string(unit), same) || !strings.Contains(string(unit), fmt.Sprintf(`"sync" "%s"`, b.program)) {
		return nil
	}
	return &phases.Fault{
		What: loadbalancer.SyncUnit + " keeps " + string(b.program) + " with other settings, and would bring them back",
		Fixes: []string{
			"give it the new ones, too: add --sync and --kubeconfig",
			"or take it away: systemctl disable --now " + loadbalancer.SyncUnit + " && rm " + loadbalancer.SyncFile,
		},
		Exit: phases.CodeUnsafe,
	}
}

// reinstall gives the program another list of servers.
func (b *balancer) reinstall(ctx context.Context, servers []lbfiles.Server) error {
	t, err := b.task(servers, false)
	if err != nil {
		return err
	}
	s := &installing{task: t, unit: loadbalancer.Unit{Host: b.host}}
	return s.run(ctx, b, phases.Options{Now: b.now}, nil)
}

// LBInstallResult is what a load balancer host has now.
type LBInstallResult struct {
	Program  string        `json:"program"`
	File     string        `json:"file"`
	Where    string        `json:"where"`
	Servers  []string      `json:"servers,omitempty"`
	State    string        `json:"state,omitempty"`
	Priority int           `json:"priority,omitempty"`
	Sync     bool          `json:"sync"`
	DryRun   *DryRunReport `json:"dryRun,omitempty"`
}

// Text writes the result for people.
func (r *LBInstallResult) Text(w io.Writer) error {
	p := &printer{w: w}
	if r.DryRun != nil {
		r.DryRun.text(p)
		return p.err
	}
	p.line("")
	p.line("%s serves at %s (%s).", r.Program, r.Where, r.File)
	for _, s := range r.Servers {
		p.line("  %s", s)
	}
	if r.State != "" {
		p.line("This host begins as %s with priority %d; every other host needs another priority.", r.State, r.Priority)
	}
	if r.Sync {
		p.line("The list follows the cluster: systemctl status %s", loadbalancer.SyncUnit)
	}
	p.line("")
	p.line("Check it from a node, as clients see it: hactl lb check ADDRESS:PORT")
	return p.err
}
