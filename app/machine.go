package app

import (
	"context"
	"fmt"
	"path"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases/controlplane"
	"github.com/hactl/hactl/phases/cri"
	"github.com/hactl/hactl/phases/host"
	"github.com/hactl/hactl/phases/journal"
	"github.com/hactl/hactl/phases/kube"
	"github.com/hactl/hactl/templates/staticpod"
)

// machine is the world that one run works in.
type machine struct {
	ports

	api     kube.API
	runtime cri.Runtime
	// record is what an earlier run noted of this node, nil if it noted
	// nothing; remember reads it.
	record *journal.Record
	// patchFiles are the files that patches found, name to content.
	patchFiles map[string]string
	// secrets are what the user gave: a dry run shows them nowhere.
	secrets []config.Secret

	// What a dry run would have changed; nil in a real run.
	files   *host.Overlay
	objects *kube.Overlay

	closers []func()
}

// newMachine makes the world of a run; the caller closes it.
func newMachine(p ports, dryRun bool) *machine {
	m := &machine{ports: p}
	if dryRun {
		m.files = host.NewOverlay(p.host)
		m.host = m.files
	}
	return m
}

// connect opens the ports to the runtime and to the API, which need to know
// the settled configuration. Init talks to its own API server: the load
// balancer need not forward to it yet.
func (m *machine) connect(ctx context.Context, in InitInput) error {
	c := in.Config
	server := c.Local.URL()
	if in.Kubeconfig != "" {
		server = ""
	}
	files := kubeconfigs(in.Kubeconfig)
	m.api = m.dialAPI(m.host, server, files)
	m.openRuntime(c.Node.CRISocket)
	if m.files == nil {
		return nil
	}
	m.objects = kube.NewOverlay(m.api)
	// With an external CA, or after an interrupt, there are kubeconfigs before
	// there is an API server.
	here := in.Kubeconfig != "" || m.any(ctx, []string{staticpod.Path(config.ManifestsDir, controlplane.APIServer)})
	if !here || !m.any(ctx, files) {
		cluster, err := imagined(ctx, c)
		if err != nil {
			return err
		}
		m.objects = kube.NewOverlay(cluster)
		m.healthy = func(context.Context, string) error { return nil }
	}
	m.api = m.objects
	return nil
}

// openRuntime opens the container runtime behind the socket until close.
func (m *machine) openRuntime(socket string) {
	runtime, closeRuntime := m.dialRuntime(socket)
	m.runtime = runtime
	m.closers = append(m.closers, closeRuntime)
}

// any says whether one of the files is there before the run.
func (m *machine) any(ctx context.Context, files []string) bool {
	for _, f := range files {
		if _, err := m.host.Stat(ctx, f); err == nil {
			return true
		}
	}
	return false
}

// imagined is the cluster as a dry run of a new node meets it once the
// control plane runs: empty, with the node that the kubelet registers.
func imagined(ctx context.Context, c *config.Init) (*kube.Memory, error) {
	m := kube.NewMemory()
	err := m.Put(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: c.Node.Name}})
	return m, err
}

func (m *machine) close() {
	for _, f := range m.closers {
		f()
	}
}

// settle makes the configuration whole: defaults, what depends on this
// machine, validation. It changes nothing but c. VersionOf finds the version
// behind a label.
func (m *machine) settle(ctx context.Context, c *config.Init, versionOf func(label string) string) error {
	c.Default()
	facts, err := m.facts(ctx, config.Facts{Address: c.Local.Address, CRISocket: c.Node.CRISocket})
	if err != nil {
		return err
	}
	if c.Cluster.VersionIsLabel() {
		facts.Version = versionOf(c.Cluster.Version)
	}
	c.Resolve(facts)
	if problems := c.Validate(); len(problems) > 0 {
		return &config.InvalidError{Problems: problems}
	}
	return nil
}

// facts asks the machine for its name, and for its address and its runtime's
// socket where they are not known.
func (m *machine) facts(ctx context.Context, known config.Facts) (config.Facts, error) {
	name, err := m.hostname()
	if err != nil {
		return known, fmt.Errorf("ask for the host name: %w", err)
	}
	known.Hostname = name
	if !known.Address.IsValid() {
		if known.Address, err = m.address(); err != nil {
			return known, err
		}
	}
	if known.CRISocket == "" {
		known.CRISocket, err = cri.Detect(ctx, m.host)
	}
	return known, err
}

// kubeconfigs are the files that an administrator's client is made from, the
// first that exists. Until the binding of admin.conf's group exists, only
// super-admin.conf may do anything.
func kubeconfigs(given string) []string {
	if given != "" {
		return []string{given}
	}
	return []string{path.Join(config.KubernetesDir, "super-admin.conf"), path.Join(config.KubernetesDir, "admin.conf")}
}
