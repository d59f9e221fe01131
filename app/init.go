// Package app holds the use cases: what a command does, as a list of phases
// over ports. Nothing here prints; events and typed results go to the
// caller.
package app

import (
	"cmp"
	"context"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/hactl/hactl/certs"
	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/addons"
	"github.com/hactl/hactl/phases/controlplane"
	"github.com/hactl/hactl/phases/joincommand"
	"github.com/hactl/hactl/phases/journal"
	"github.com/hactl/hactl/phases/kube"
	"github.com/hactl/hactl/phases/kubeconfig"
	"github.com/hactl/hactl/phases/kubelet"
	"github.com/hactl/hactl/phases/member"
	"github.com/hactl/hactl/phases/node"
	"github.com/hactl/hactl/phases/pki"
	"github.com/hactl/hactl/phases/preflight"
	"github.com/hactl/hactl/phases/publish"
	"github.com/hactl/hactl/phases/ready"
	"github.com/hactl/hactl/phases/rootless"
	"github.com/hactl/hactl/phases/token"
	"github.com/hactl/hactl/templates/patch"
)

// InitInput is what Init needs from its caller.
type InitInput struct {
	// Config has no defaults set yet.
	Config *config.Init
	// Warnings came up while the configuration was read.
	Warnings []string
	// Kubeconfig is an administrator's kubeconfig file, "" for the one that
	// init makes.
	Kubeconfig string
	// KubeconfigDir is where phase kubeconfig writes, "" for /etc/kubernetes.
	KubeconfigDir string
	UploadCerts   bool
	// AllowEtcdData lets init begin on an external etcd that holds data.
	AllowEtcdData bool
	// HideToken and HideKey keep the secrets out of the result.
	HideToken, HideKey bool
	// Only and Skip are paths as users type them.
	Only, Skip []string
	// Told are the names of the flags that Config comes from: what a phase
	// alone is not told, it takes from the cluster, once there is one. Nil
	// means that Config is whole, as from a file.
	Told []string
	// Environ is the process's environment; proxy settings go from there to
	// the components.
	Environ []string
}

// Initial is the data of one run of init: a task for each phase family.
type Initial struct {
	preflight    preflight.Task
	journal      journal.Task
	pki          pki.Task
	kubeconfig   kubeconfig.Task
	member       member.Task
	controlPlane controlplane.Task
	kubelet      kubelet.Task
	ready        ready.Task
	publish      publish.Task
	node         node.Task
	token        token.Task
	addons       addons.Task
	join         joincommand.Task
	lookout      lookout
	balancing    balancing

	now func() time.Time
}

// InitPhases is init, from top to bottom.
func InitPhases() []phases.Phase[Initial] {
	return []phases.Phase[Initial]{
		phases.Lift(preflight.InitPhase(), func(s *Initial) *preflight.Task { return &s.preflight }),
		phases.Lift(journal.Phase(), func(s *Initial) *journal.Task { return &s.journal }),
		phases.Lift(pki.Phase(), func(s *Initial) *pki.Task { return &s.pki }),
		phases.Lift(kubeconfig.Phase(), func(s *Initial) *kubeconfig.Task { return &s.kubeconfig }),
		phases.Lift(member.Phase(), func(s *Initial) *member.Task { return &s.member }),
		phases.Lift(controlplane.Phase(), func(s *Initial) *controlplane.Task { return &s.controlPlane }),
		phases.Lift(kubelet.StartPhase(), func(s *Initial) *kubelet.Task { return &s.kubelet }),
		andThen(phases.Lift(ready.Phase(), func(s *Initial) *ready.Task { return &s.ready }), (*Initial).lookOut),
		phases.Lift(publish.ConfigPhase(), func(s *Initial) *publish.Task { return &s.publish }),
		andThen(phases.Lift(balancingPhase(), func(s *Initial) *balancing { return &s.balancing }), func(s *Initial) { s.lookout.begin() }),
		phases.Lift(publish.CertsPhase(), func(s *Initial) *publish.Task { return &s.publish }),
		phases.Lift(node.MarkPhase(), func(s *Initial) *node.Task { return &s.node }),
		phases.Lift(token.Phase(), func(s *Initial) *token.Task { return &s.token }),
		phases.Lift(kubelet.FinalizePhase(), func(s *Initial) *kubelet.Task { return &s.kubelet }),
		phases.Lift(addons.Phase(), func(s *Initial) *addons.Task { return &s.addons }),
		phases.Lift(joincommand.Phase(), (*Initial).joinTask),
	}
}

// joinTask takes over what earlier phases of the run have made.
func (s *Initial) joinTask() *joincommand.Task {
	s.join.CertificateKey = s.publish.Key
	return &s.join
}

// Init makes this node the first control plane of a new cluster. Title is
// told what begins, notify gets the events. The result is nil when only one
// phase ran that has none.
func Init(ctx context.Context, in InitInput, title func(string), notify func(phases.Event)) (*InitResult, error) {
	p, closePorts := realPorts()
	defer closePorts()
	return initOver(ctx, p, in, title, notify)
}

// initOver is Init over the given ports.
func initOver(ctx context.Context, p ports, in InitInput, title func(string), notify func(phases.Event)) (*InitResult, error) {
	list := InitPhases()
	o, err := options(list, selection{in.Only, in.Skip}, notify, p.now)
	if err != nil {
		return nil, err
	}
	in.Only = o.Only
	skipAddons(in.Config, o.Skip)
	m := newMachine(p, in.Config.DryRun)
	defer m.close()
	if err := m.hold(ctx, command("hactl init", in.Only)); err != nil {
		return nil, err
	}
	s, err := m.prepare(ctx, in, notify)
	if err != nil {
		return nil, err
	}
	defer s.pki.Keys.Close()
	if len(in.Only) == 0 {
		title("init of " + in.Config.Node.Name + " (" + in.Config.Local.Address.String() + "), Kubernetes " + in.Config.Cluster.Version)
	}
	for _, w := range warnings(in) {
		notify(m.warning(w))
	}
	defer s.lookout.end()
	if err := phases.Run(ctx, wanted(list, s.balancing, in.Only), s, o); err != nil {
		return nil, err
	}
	s.lookout.tell(m, notify)
	if len(in.Only) > 0 {
		if err := m.repatch(ctx, in.Config.PatchesDir); err != nil {
			return nil, err
		}
	}
	return m.result(ctx, in, s)
}

// prepare makes the configuration whole and the tasks of it, and refuses to
// begin where init would do harm. It changes nothing on the machine.
func (m *machine) prepare(ctx context.Context, in InitInput, notify func(phases.Event)) (*Initial, error) {
	if err := m.remember(ctx); err != nil {
		return nil, err
	}
	asked := m.complete(ctx, in)
	err := m.settle(ctx, in.Config, func(label string) string { return m.initVersion(ctx, in, label, notify) })
	if err != nil {
		return nil, err
	}
	if !asked {
		m.severalLearners(ctx, in)
	}
	for _, t := range in.Config.Tokens {
		m.secrets = append(m.secrets, t.Value)
	}
	m.secrets = append(m.secrets, in.Config.CertificateKey)
	if err := m.connect(ctx, in); err != nil {
		return nil, err
	}
	var patches *patch.Set
	if needs(in.Only, patchedPhases) {
		if patches, err = m.patches(ctx, in.Config.PatchesDir, notify); err != nil {
			return nil, err
		}
	}
	s := m.initial(ctx, in)
	s.patch(patches)
	if len(in.Only) > 0 {
		return s, nil
	}
	if err := m.guard(ctx, in.Config, s); err != nil {
		s.pki.Keys.Close()
		return nil, err
	}
	return s, nil
}

// guard refuses a whole run on a node that another configuration, or another
// cluster, has. It tells the tasks what it finds.
func (m *machine) guard(ctx context.Context, c *config.Init, s *Initial) error {
	record, err := m.recordOf(c)
	if err != nil {
		return err
	}
	if err := m.sameConfiguration(ctx, &record); err != nil {
		return err
	}
	resumed, err := m.mayBegin(ctx, c, s)
	if err != nil {
		return err
	}
	s.journal.Record = record
	s.lookout = m.lookout(ctx, c)
	s.preflight.AlreadyInitialised = func(context.Context) (bool, error) { return resumed, nil }
	return nil
}

// patchedPhases write what users can patch, and versionedPhases need to know
// the Kubernetes version.
var (
	patchedPhases   = []string{"etcd", "control-plane", "kubelet-start", "addon"}
	versionedPhases = append([]string{"preflight", "upload-config"}, patchedPhases...)
)

// needs says whether one of the phases runs. Only is as Options has it.
func needs(only, list []string) bool {
	return len(only) == 0 || slices.ContainsFunc(only, func(path string) bool {
		top, _, _ := strings.Cut(path, "/")
		return slices.Contains(list, top)
	})
}

// initVersion is the version behind a label: what an earlier run took it for,
// or what the release server says, which only those phases ask for that
// need it.
func (m *machine) initVersion(ctx context.Context, in InitInput, label string, notify func(phases.Event)) string {
	if recorded := m.recordedVersion(label); recorded != "" {
		return recorded
	}
	if !needs(in.Only, versionedPhases) {
		return config.Version
	}
	return m.version(ctx, label, notify)
}

// warnings are those that came up while the configuration was read, and what
// else can be said now that the machine is known.
func warnings(in InitInput) []string {
	list := slices.Clone(in.Warnings)
	for _, p := range in.Config.Warnings() {
		// With its place in the file, the reader may have said it already.
		if w := p.String(); !slices.ContainsFunc(list, func(said string) bool { return strings.HasSuffix(said, w) }) {
			list = append(list, w)
		}
	}
	return list
}

// skipAddons makes a skipped addon and a disabled one the same thing, so
// that the uploaded configuration tells later nodes the truth.
func skipAddons(c *config.Init, skip []string) {
	for _, p := range skip {
		if p == "addon" || p == "addon/coredns" {
			c.Cluster.DNS.Disabled = true
		}
		if p == "addon" || p == "addon/kube-proxy" {
			c.Cluster.ProxyDisabled = true
		}
	}
}

// initial makes the tasks. They share the configuration and the ports.
func (m *machine) initial(ctx context.Context, in InitInput) *Initial {
	c := in.Config
	cl := &c.Cluster
	s := &Initial{
		now:          m.now,
		member:       member.Task{Files: m.host, Cluster: cl, Local: c.Local, NodeName: c.Node.Name, Timeouts: c.Timeouts, Environ: in.Environ, Dir: config.ManifestsDir},
		controlPlane: controlplane.Task{Files: m.host, Cluster: cl, Local: c.Local, Timeouts: c.Timeouts, Environ: in.Environ, Dir: config.ManifestsDir},
		kubelet:      kubelet.Task{Host: m.host, Cluster: cl, Node: &c.Node, Dir: config.KubeletDir, ConfDir: config.KubernetesDir},
		ready:        ready.Task{Host: m.host, API: m.api, Runtime: m.runtime, Cluster: cl, Timeouts: c.Timeouts, Dir: config.ManifestsDir, Healthy: m.healthy},
		node:         node.Task{API: m.api, Node: &c.Node, Limit: c.Timeouts.Kubelet},
		publish:      publish.Task{API: m.api, Host: m.host, Cluster: cl, Key: c.CertificateKey, Upload: in.UploadCerts, Limit: c.Timeouts.KubernetesAPI, Now: m.now},
		addons:       addons.Task{API: m.api, Cluster: cl, Endpoint: c.Endpoint(), Environ: in.Environ, Limit: c.Timeouts.KubernetesAPI},
	}
	if !in.UploadCerts && len(in.Only) == 0 {
		s.publish.Key = "" // it would open nothing, and must not stand in the join command
	}
	s.member.Accounts = rootless.For(m.host, cl)
	s.controlPlane.Accounts = s.member.Accounts
	s.member.Replace = m.replacer(m.api, c.Node.Name, len(in.Only) > 0)
	s.controlPlane.Replace = s.member.Replace
	m.tasksOfCerts(ctx, s, c)
	s.kubeconfig.Dir = cmp.Or(in.KubeconfigDir, s.kubeconfig.Dir)
	m.tasksOfNodes(s, c)
	if len(in.Only) > 0 {
		// A phase alone may not have been told the endpoint; the cluster was.
		s.join.Published = m.publishedEndpoint
	}
	s.preflight = m.preflight(c, s)
	s.preflight.Extra = append(s.preflight.Extra, m.externalInit(in)...)
	s.preflight.Extra = append(s.preflight.Extra, s.balancingCheck())
	s.journal.Files = m.host
	s.balancing = m.balancing(c, func() kube.API { return m.api })
	return s
}

func (m *machine) tasksOfCerts(ctx context.Context, s *Initial, c *config.Init) {
	algorithm, _ := certs.ParseAlgorithm(c.Cluster.EncryptionAlgorithm) // validated
	s.pki, s.kubeconfig = m.signs(c, algorithm)
	pool := m.keysFor(ctx, algorithm, slices.Concat(pki.KeyFiles(&s.pki), kubeconfig.Files(&s.kubeconfig)))
	s.pki.Keys, s.kubeconfig.Keys = pool, pool
}

func (m *machine) publishedEndpoint(ctx context.Context) (config.HostPort, error) {
	cluster, err := publish.FetchCluster(ctx, m.api)
	if err != nil {
		return config.HostPort{}, err
	}
	return cluster.ControlPlaneEndpoint, nil
}

func (m *machine) tasksOfNodes(s *Initial, c *config.Init) {
	s.token = token.Task{
		API: m.api, Host: m.host, Tokens: c.Tokens, Kubeconfig: path.Join(config.KubernetesDir, "admin.conf"),
		Limit: c.Timeouts.KubernetesAPI, Now: m.now,
	}
	s.join = joincommand.Task{
		Files: m.host, CertDir: c.Cluster.CertificatesDir, Endpoint: c.Endpoint(),
		FixedEndpoint: !c.Cluster.ControlPlaneEndpoint.IsZero(),
		Token:         s.usableToken,
	}
}
