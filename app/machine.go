package app

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilnet "k8s.io/apimachinery/pkg/util/net"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/cri"
	"github.com/hactl/hactl/phases/host"
	"github.com/hactl/hactl/phases/kube"
)

// machine holds the ports that one run works through.
type machine struct {
	host    host.Host
	api     kube.API
	runtime cri.Runtime
	now     func() time.Time
	// healthy asks a health URL of this node.
	healthy func(context.Context, string) error

	// What a dry run would have changed; nil in a real run.
	files   *host.Overlay
	objects *kube.Overlay

	closers []func()
}

func newMachine(dryRun bool) *machine {
	local := host.NewLocal("")
	m := &machine{host: local, now: time.Now, healthy: healthy, closers: []func(){local.Close}}
	if dryRun {
		m.files = host.NewOverlay(local)
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
	client := kube.NewClient(kube.FromKubeconfig(m.host, server, files...))
	m.api = client
	runtime := cri.Dial(c.Node.CRISocket)
	m.runtime = runtime
	m.closers = append(m.closers, runtime.Close)
	if m.files == nil {
		return nil
	}
	m.objects = kube.NewOverlay(client)
	if !m.any(ctx, files) {
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
// machine, validation. It changes nothing but c.
func (m *machine) settle(ctx context.Context, c *config.Init, notify func(phases.Event)) error {
	c.Default()
	facts, err := m.facts(ctx, c, notify)
	if err != nil {
		return err
	}
	c.Resolve(facts)
	if problems := c.Validate(); len(problems) > 0 {
		return &config.InvalidError{Problems: problems}
	}
	return nil
}

// facts asks the machine for what the configuration leaves open.
func (m *machine) facts(ctx context.Context, c *config.Init, notify func(phases.Event)) (config.Facts, error) {
	var f config.Facts
	name, err := os.Hostname()
	if err != nil {
		return f, fmt.Errorf("ask for the host name: %w", err)
	}
	f.Hostname = name
	if !c.Local.Address.IsValid() {
		if f.Address, err = defaultAddress(); err != nil {
			return f, err
		}
	}
	if c.Node.CRISocket == "" {
		if f.CRISocket, err = cri.Detect(ctx, m.host); err != nil {
			return f, err
		}
	}
	if !strings.HasPrefix(c.Cluster.Version, "v") {
		f.Version = lookUpVersion(ctx, c.Cluster.Version, notify)
	}
	return f, nil
}

// defaultAddress is the address of the interface with the default route, or
// of the only interface where there is no such route.
func defaultAddress() (netip.Addr, error) {
	ip, err := utilnet.ResolveBindAddress(nil)
	if err == nil {
		if a, ok := netip.AddrFromSlice(ip); ok && !a.IsLoopback() {
			return a.Unmap(), nil
		}
	}
	return netip.Addr{}, &phases.Fault{
		What:  "this machine has no default route that would tell its address",
		Why:   err,
		Fixes: []string{"name the address that the other nodes reach this one by: --apiserver-advertise-address"},
		Exit:  phases.CodeUsage,
	}
}

const versionLimit = 3 * time.Second

// lookUpVersion asks for the version behind a label such as "stable-1". When
// there is no answer, or one that this hactl is too old for, it is the
// version that this hactl is made for.
func lookUpVersion(ctx context.Context, label string, notify func(phases.Event)) string {
	ctx, cancel := context.WithTimeout(ctx, versionLimit)
	defer cancel()
	version, err := fetch(ctx, "https://dl.k8s.io/release/"+label+".txt")
	if err == nil && minor(version) == minor(config.Version) {
		return version
	}
	reason := fmt.Sprintf("%s could not be looked up: using %s; name one with --kubernetes-version", label, config.Version)
	if err == nil {
		reason = fmt.Sprintf("%s is %s, which this hactl does not know: using %s", label, version, config.Version)
	}
	notify(phases.Event{Phase: "config", Kind: phases.Warning, At: time.Now(), Reason: reason})
	return config.Version
}

// minor is "v1.37" of "v1.37.1".
func minor(version string) string { return version[:max(0, strings.LastIndex(version, "."))] }

func fetch(ctx context.Context, url string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 64))
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", url, resp.Status)
	}
	return strings.TrimSpace(string(body)), err
}

// healthClient does not check certificates: the components serve their
// health with ones that they make themselves, and nothing secret is sent.
func healthClient() *http.Client {
	return &http.Client{
		Timeout: 2 * time.Second,
		Transport: &http.Transport{
			TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
			DialContext:     (&net.Dialer{Timeout: time.Second}).DialContext,
		},
	}
}

// healthy asks a health URL of this node.
func healthy(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	client := healthClient()
	defer client.CloseIdleConnections()
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("answers %s", resp.Status)
	}
	return nil
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
