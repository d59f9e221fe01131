package app

import (
	"context"
	"slices"
	"strings"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/addons"
	"github.com/hactl/hactl/phases/controlplane"
	"github.com/hactl/hactl/phases/discovery"
	"github.com/hactl/hactl/phases/journal"
	"github.com/hactl/hactl/phases/kubeconfig"
	"github.com/hactl/hactl/phases/kubelet"
	"github.com/hactl/hactl/phases/member"
	"github.com/hactl/hactl/phases/node"
	"github.com/hactl/hactl/phases/pki"
	"github.com/hactl/hactl/phases/preflight"
	"github.com/hactl/hactl/phases/publish"
	"github.com/hactl/hactl/phases/ready"
)

// JoinInput is what Join needs from its caller.
type JoinInput struct {
	// Config has no defaults set yet.
	Config *config.JoinNode
	// Given is a ClusterConfiguration that came with the JoinConfiguration,
	// nil if there was none. It must say what the cluster says.
	Given *config.Cluster
	// Warnings came up while the configuration was read.
	Warnings []string
	// Only and Skip are paths as users type them.
	Only, Skip []string
	// Environ is the process's environment; proxy settings go from there to
	// the components.
	Environ []string
}

// Joining is the data of one run of join: a task for each phase family.
type Joining struct {
	preflight    preflight.Task
	journal      journal.Task
	download     publish.Task
	pki          pki.Task
	kubeconfig   kubeconfig.Task
	controlPlane controlplane.Task
	member       member.JoinTask
	kubelet      kubelet.Task
	ready        ready.Task
	node         node.Task
	spread       addons.Spread
	lookout      lookout
	balancing    balancing

	found *discovery.Found
	// noToken is why the kubelet cannot bootstrap with what is found.
	noToken error
}

// JoinPhases is join, from top to bottom. A worker has only some of them.
func JoinPhases() []phases.Phase[Joining] {
	return []phases.Phase[Joining]{
		phases.Lift(preflight.JoinPhase(), func(s *Joining) *preflight.Task { return &s.preflight }),
		phases.Lift(journal.Phase(), func(s *Joining) *journal.Task { return &s.journal }),
		{
			Name:  "control-plane-prepare",
			Title: "prepare the files of a control plane",
			Phases: []phases.Phase[Joining]{
				phases.Lift(publish.DownloadPhase(), func(s *Joining) *publish.Task { return &s.download }),
				whole(phases.Lift(pki.JoinPhase(), func(s *Joining) *pki.Task { return &s.pki })),
				whole(phases.Lift(kubeconfig.JoinPhase(), func(s *Joining) *kubeconfig.Task { return &s.kubeconfig })),
				whole(phases.Lift(controlplane.Phase(), func(s *Joining) *controlplane.Task { return &s.controlPlane })),
			},
		},
		phases.Lift(member.CheckPhase(), func(s *Joining) *member.JoinTask { return &s.member }),
		entering(phases.Lift(kubelet.JoinStartPhase(), func(s *Joining) *kubelet.Task { return &s.kubelet })),
		phases.Lift(member.JoinPhase(), func(s *Joining) *member.JoinTask { return &s.member }),
		phases.Lift(kubelet.BootstrapPhase(), func(s *Joining) *kubelet.Task { return &s.kubelet }),
		{
			Name:  "control-plane-join",
			Title: "make the node a control plane",
			Phases: []phases.Phase[Joining]{
				phases.Lift(node.MarkPhase(), func(s *Joining) *node.Task { return &s.node }),
				hide(phases.Lift(kubelet.FinalizePhase(), func(s *Joining) *kubelet.Task { return &s.kubelet })),
			},
		},
		andThen(phases.Lift(ready.Phase(), func(s *Joining) *ready.Task { return &s.ready }), (*Joining).lookOut),
		andThen(phases.Lift(balancingPhase(), func(s *Joining) *balancing { return &s.balancing }), func(s *Joining) { s.lookout.begin() }),
		phases.Lift(addons.SpreadPhase(), func(s *Joining) *addons.Spread { return &s.spread }),
	}
}

// workerPhases are those that a node without a control plane has.
var workerPhases = []string{"preflight", "journal", "kubelet-start", "kubelet-wait-bootstrap"}

// needsControlPlane refuses to run a phase alone that a worker does not have.
func needsControlPlane(in JoinInput) error {
	for _, path := range in.Only {
		first, _, _ := strings.Cut(path, "/")
		if in.Config.ControlPlane == nil && !slices.Contains(workerPhases, first) {
			return &phases.Fault{
				What:  "phase " + path + " is for control planes",
				Fixes: []string{"add --control-plane, or controlPlane to the JoinConfiguration"},
				Exit:  phases.CodeUsage,
			}
		}
	}
	return nil
}

// whole hides the sub-phases: in kubeadm's join, the phase is one.
func whole(p phases.Phase[Joining]) phases.Phase[Joining] {
	for i := range p.Phases {
		p.Phases[i].Hidden = true
	}
	return p
}

// hide hides a phase that kubeadm's join does not have.
func hide(p phases.Phase[Joining]) phases.Phase[Joining] {
	p.Hidden = true
	return whole(p)
}

// entering decides how the kubelet gets in, once it is known whether this
// node can sign for it.
func entering(p phases.Phase[Joining]) phases.Phase[Joining] {
	observe := p.Observe
	p.Observe = func(ctx context.Context, s *Joining) (phases.State, error) {
		if err := s.enter(ctx); err != nil {
			return phases.Missing, err
		}
		if s.kubelet.Join.Bootstrap != nil && s.noToken != nil {
			return phases.Missing, s.noToken
		}
		return observe(ctx, s)
	}
	return p
}

// enter lets the kubelet bootstrap with what discovery found, unless the
// cluster's CA can sign for it here.
func (s *Joining) enter(ctx context.Context) error {
	s.kubelet.Join.Bootstrap = s.found.Kubeconfig
	if s.kubelet.Join.Worker {
		return nil
	}
	can, err := kubeconfig.CanSign(ctx, &s.kubeconfig)
	if can {
		s.kubelet.Join.Bootstrap = nil
	}
	return err
}

// Join makes this node a worker or a further control plane of a cluster.
// Title is told what begins, notify gets the events.
func Join(ctx context.Context, in JoinInput, title func(string), notify func(phases.Event)) (*Joined, error) {
	p, closePorts := realPorts()
	defer closePorts()
	return joinOver(ctx, p, in, title, notify)
}

// joinOver is Join over the given ports.
func joinOver(ctx context.Context, p ports, in JoinInput, title func(string), notify func(phases.Event)) (*Joined, error) {
	list := JoinPhases()
	o, err := options(list, selection{in.Only, in.Skip}, notify, p.now)
	if err != nil {
		return nil, err
	}
	in.Only = o.Only
	if err := needsControlPlane(in); err != nil {
		return nil, err
	}
	m := newMachine(p, in.Config.DryRun)
	defer m.close()
	if err := m.hold(ctx, command("hactl join", in.Only)); err != nil {
		return nil, err
	}
	j := &joiner{machine: m, in: in}
	if err := j.settle(ctx); err != nil {
		return nil, err
	}
	if len(in.Only) == 0 {
		title("join of " + in.Config.Node.Name + " as " + j.role())
	}
	for _, w := range in.Warnings {
		notify(m.warning(w))
	}
	if err := j.find(ctx, notify); err != nil {
		return nil, err
	}
	s, err := j.tasks(ctx, notify)
	if err != nil {
		return nil, err
	}
	defer s.pki.Keys.Close()
	defer s.lookout.end()
	if err := phases.Run(ctx, wanted(j.list(list), s.balancing, in.Only), s, o); err != nil {
		return nil, err
	}
	s.lookout.tell(m, notify)
	if len(in.Only) > 0 {
		if err := m.repatch(ctx, in.Config.PatchesDir); err != nil {
			return nil, err
		}
	}
	return j.result(ctx, s)
}

// list leaves out the phases that this run has no use for: those of control
// planes on a worker and, in a dry run, the one that waits for the node to be
// Ready.
func (j *joiner) list(all []phases.Phase[Joining]) []phases.Phase[Joining] {
	return slices.DeleteFunc(all, func(p phases.Phase[Joining]) bool {
		return j.worker() && !slices.Contains(workerPhases, p.Name) ||
			j.in.Config.DryRun && p.Name == addons.SpreadPhase().Name
	})
}
