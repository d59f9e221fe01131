package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/etcd"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/cleanup"
	"github.com/hactl/hactl/phases/controlplane"
	"github.com/hactl/hactl/phases/cri"
	"github.com/hactl/hactl/phases/host"
	"github.com/hactl/hactl/phases/journal"
	"github.com/hactl/hactl/phases/loadbalancer"
	"github.com/hactl/hactl/phases/member"
	"github.com/hactl/hactl/templates/staticpod"
)

// ResetInput is what Reset needs from its caller.
type ResetInput struct {
	// Config has no defaults set yet.
	Config *config.Reset
	// Warnings came up while the configuration was read.
	Warnings []string
	// Kubeconfig is an administrator's kubeconfig file, "" for the one that
	// init and join make.
	Kubeconfig string
	// Only and Skip are paths as users type them.
	Only, Skip []string
	// Ask shows what will be lost and returns whether the user wants that.
	// It is not called with Config.Force, nor in a dry run.
	Ask func(ctx context.Context, text string) (bool, error)
}

// Resetting is the data of one run of reset.
type Resetting struct {
	cleanup cleanup.Task
	member  member.RemoveTask
	removal loadbalancer.Removal
}

// ResetPhases is reset, from top to bottom.
func ResetPhases() []phases.Phase[Resetting] {
	return []phases.Phase[Resetting]{
		phases.Lift(cleanup.PreflightPhase(), func(s *Resetting) *cleanup.Task { return &s.cleanup }),
		phases.Lift(member.RemovePhase(), func(s *Resetting) *member.RemoveTask { return &s.member }),
		phases.Lift(loadbalancer.RemovePhase(), func(s *Resetting) *loadbalancer.Removal { return &s.removal }),
		phases.Lift(cleanup.Phase(), func(s *Resetting) *cleanup.Task { return &s.cleanup }),
	}
}

// Reset takes back what init or join made of this node. Title is told what
// begins, notify gets the events.
func Reset(ctx context.Context, in ResetInput, title func(string), notify func(phases.Event)) (*ResetResult, error) {
	p, closePorts := realPorts()
	defer closePorts()
	return resetOver(ctx, p, in, title, notify)
}

// resetOver is Reset over the given ports.
func resetOver(ctx context.Context, p ports, in ResetInput, title func(string), notify func(phases.Event)) (*ResetResult, error) {
	list := ResetPhases()
	o, err := options(list, selection{in.Only, in.Skip}, notify, p.now)
	if err != nil {
		return nil, err
	}
	in.Only = o.Only
	r := &resetter{machine: newMachine(p, in.Config.DryRun), in: in}
	defer r.close()
	if err := r.hold(ctx, command("hactl reset", in.Only)); err != nil {
		return nil, err
	}
	s, err := r.prepare(ctx, notify)
	if err != nil {
		return nil, err
	}
	if len(in.Only) == 0 {
		title("reset of " + s.cleanup.NodeName)
	}
	for _, w := range in.Warnings {
		notify(r.warning(w))
	}
	if list, err = r.list(ctx, list); err != nil {
		return nil, err
	}
	if err := phases.Run(ctx, list, s, o); err != nil {
		return nil, err
	}
	return r.result(ctx, s)
}

// list leaves out what a node without a load balancer has no use for.
func (r *resetter) list(ctx context.Context, all []phases.Phase[Resetting]) ([]phases.Phase[Resetting], error) {
	made, err := loadbalancer.Made(ctx, r.host)
	if made || len(r.in.Only) > 0 {
		return all, err
	}
	return slices.DeleteFunc(all, func(p phases.Phase[Resetting]) bool { return p.Name == loadbalancer.RemovePhase().Name }), err
}

// resetter is the world of one reset.
type resetter struct {
	*machine
	in ResetInput

	// What a dry run would have changed; nil in a real run.
	pods    *cri.Overlay
	members *etcd.Overlay
}

// prepare settles the configuration and makes the tasks.
func (r *resetter) prepare(ctx context.Context, notify func(phases.Event)) (*Resetting, error) {
	c := r.in.Config
	if err := r.remember(ctx); err != nil {
		if ctx.Err() != nil || !c.Force {
			return nil, err
		}
		notify(r.warning("--force: " + err.Error()))
	}
	if r.record == nil {
		r.record = &journal.Record{}
	}
	if err := r.settleReset(ctx, c); err != nil {
		return nil, err
	}
	names, err := r.names(ctx)
	if err != nil {
		return nil, fmt.Errorf("ask for the host name: %w", err)
	}
	s := &Resetting{removal: loadbalancer.Removal{Host: r.host}}
	r.openRuntime(c.CRISocket)
	s.cleanup = r.cleanupTask(c, cmp.Or(r.record.Node, names[0]))
	of, err := cleanup.LookEtcd(ctx, &s.cleanup)
	if err != nil {
		return nil, err
	}
	s.member = r.memberTask(ctx, c, s.cleanup.NodeName, of)
	s.cleanup.MemberGone = func(ctx context.Context) (bool, error) {
		state, err := member.RemovePhase().Observe(ctx, &s.member)
		return state == phases.Done, err
	}
	return s, nil
}

// settleReset makes the configuration whole. It changes nothing but c.
func (r *resetter) settleReset(ctx context.Context, c *config.Reset) error {
	if c.CertificatesDir == "" {
		c.CertificatesDir = r.certDir(ctx)
	}
	c.Default()
	if c.CRISocket == "" {
		socket, err := cri.Detect(ctx, r.host)
		if err != nil {
			return err
		}
		c.Resolve(config.Facts{CRISocket: socket})
	}
	if problems := c.Validate(); len(problems) > 0 {
		return &config.InvalidError{Problems: problems}
	}
	return nil
}

// certDir is where the record or the API server's manifest says that the
// certificates are, "" if neither tells.
func (r *resetter) certDir(ctx context.Context) string {
	if dir := r.record.Config["clusterConfiguration.certificatesDir"]; dir != "" {
		return dir
	}
	server, err := staticpod.Read(ctx, r.host, config.ManifestsDir, controlplane.APIServer)
	if err != nil {
		return "" // the phases say what is wrong with it
	}
	if ca, ok := staticpod.Flag(server, "client-ca-file"); ok && path.IsAbs(ca) {
		return path.Dir(ca)
	}
	return ""
}

func (r *resetter) cleanupTask(c *config.Reset, node string) cleanup.Task {
	t := cleanup.Task{
		Aftermath: aftermath(r.files == nil),
		Host:      r.host, Runtime: r.runtime, NodeName: node,
		Dir: config.KubernetesDir, CertDir: c.CertificatesDir, KubeletDir: config.KubeletDir,
		Unit: config.KubeletUnit, Record: journal.Path, DataDir: r.record.EtcdDataDir,
		CleanTmp: c.CleanupTmpDir, Force: c.Force, DryRun: c.DryRun, Ignore: c.IgnorePreflight,
		Limit: c.Timeouts.KubernetesAPI, Ask: r.in.Ask, Now: r.now,
	}
	for _, f := range c.UnmountFlags {
		t.UnmountFlags = append(t.UnmountFlags, host.UnmountFlag(f))
	}
	if r.files != nil {
		r.pods = cri.NewOverlay(r.runtime)
		t.Runtime = r.pods
	}
	return t
}

// memberTask asks the API for the other members only where there is an
// administrator's kubeconfig: a worker has none, and needs none.
func (r *resetter) memberTask(ctx context.Context, c *config.Reset, node string, of cleanup.Etcd) member.RemoveTask {
	t := member.RemoveTask{
		Files: r.host, NodeName: node, Timeouts: c.Timeouts, Dir: config.ManifestsDir,
		DataDir: of.DataDir, Recorded: of.Data && !of.MemberGone, External: of.External, Force: c.Force,
		Etcd: func(ctx context.Context, endpoints []string) (etcd.Cluster, func() error, error) {
			return r.etcdAt(ctx, c.CertificatesDir, endpoints)
		},
	}
	for setting, value := range r.record.Config {
		if strings.HasSuffix(setting, "localAPIEndpoint.advertiseAddress") {
			t.Advertise, _ = netip.ParseAddr(value) // without one, the name is looked for
		}
	}
	if files := administrators(r.in.Kubeconfig); r.any(ctx, files) {
		t.API = r.dialAPI(r.host, "", files)
	}
	return t
}

// etcdAt dials; a dry run does so once, and keeps what it would have changed.
func (r *resetter) etcdAt(ctx context.Context, certDir string, endpoints []string) (etcd.Cluster, func() error, error) {
	if r.files == nil {
		return r.dialEtcd(ctx, r.host, certDir, endpoints)
	}
	stay := func() error { return nil }
	if r.members != nil {
		return r.members, stay, nil
	}
	cluster, hangUp, err := r.dialEtcd(ctx, r.host, certDir, endpoints)
	if err != nil {
		return nil, nil, err
	}
	r.closers = append(r.closers, func() { _ = hangUp() })
	r.members = etcd.NewOverlay(cluster, etcd.OverlayConfig{Now: r.now})
	return r.members, stay, nil
}

// errNoAnswer is that of a question that nobody is there to answer.
var errNoAnswer = errors.New("nobody answers the question")

// NeedsForce says that a reset was to ask, and that there is nobody to ask.
func NeedsForce() error {
	return &phases.Fault{
		What:  "a reset takes the node apart, so it asks before",
		Why:   errNoAnswer,
		Fixes: []string{"run it on a terminal, or answer for it: --force", "to see only what it would do: --dry-run"},
		Exit:  phases.CodeUsage,
	}
}

// aftermath is how long a real reset waits for pods that come late.
func aftermath(real bool) time.Duration {
	if !real {
		return 0
	}
	return time.Second
}
