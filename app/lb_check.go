package app

import (
	"context"
	"crypto/x509"
	"errors"
	"io"
	"io/fs"
	"net/netip"
	"path"
	"strings"
	"time"

	"github.com/hactl/hactl/certs"
	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/kube"
	"github.com/hactl/hactl/phases/loadbalancer"
	lbfiles "github.com/hactl/hactl/templates/loadbalancer"
)

// LBCheckInput is what LBCheck needs from its caller.
type LBCheckInput struct {
	// Address is host or host:port; without a port it is 6443.
	Address string
	// CAFile holds the cluster's CA; "" means that of this node, or of the
	// kubeconfig. CAHashes pin it instead: "sha256:…".
	CAFile   string
	CAHashes []string
	// Kubeconfig leads to the cluster; "" means this node's admin.conf, if
	// it has one.
	Kubeconfig string
	// Servers and Balancers are those that are known, as in LBInput.
	Servers, Balancers []string
	// Failover is how long to measure; zero means not at all.
	Failover time.Duration
}

// LBCheckResult is what was found.
type LBCheckResult struct {
	*loadbalancer.Report
}

// LBCheck asks an address as clients of the API do, and tells what is wrong
// with what stands behind it. It changes nothing. What it finds is in the
// result; errors are of the input.
func LBCheck(ctx context.Context, in LBCheckInput, notify func(phases.Event)) (*LBCheckResult, error) {
	p, closePorts := realPorts()
	defer closePorts()
	return lbCheckOver(ctx, p, in, notify)
}

func lbCheckOver(ctx context.Context, p ports, in LBCheckInput, notify func(phases.Event)) (*LBCheckResult, error) {
	m := newMachine(p, false)
	defer m.close()
	c := &lbCheck{machine: m, p: p, in: in}
	tell := func(kind phases.Kind, text string) {
		notify(phases.Event{Phase: "check", Kind: kind, At: p.now(), Reason: text})
	}
	i, err := c.inspection(ctx, tell)
	var fault *phases.Fault
	if errors.As(err, &fault) && fault.Exit == phases.CodeUnsafe {
		return &LBCheckResult{otherCluster(in.Address, fault)}, nil
	}
	if err != nil {
		return nil, err
	}
	report, err := loadbalancer.Inspect(ctx, *i)
	if err != nil {
		return nil, err
	}
	return &LBCheckResult{report}, nil
}

// otherCluster is the report of an address whose CA has none of the hashes.
func otherCluster(address string, f *phases.Fault) *loadbalancer.Report {
	return &loadbalancer.Report{
		Address: address, Answer: loadbalancer.OtherCA,
		Problems: []loadbalancer.Finding{{Answer: loadbalancer.OtherCA, What: f.What, Why: f.Why.Error(), Fix: f.Fixes}},
	}
}

type lbCheck struct {
	*machine
	p  ports
	in LBCheckInput
}

// inspection collects what is known of the cluster and of the balancer.
func (c *lbCheck) inspection(ctx context.Context, tell func(phases.Kind, string)) (*loadbalancer.Inspection, error) {
	address, err := config.ParseHostPort(c.in.Address)
	if err != nil {
		return nil, usage(err.Error(), "write the address as lb.example.com:6443")
	}
	if address.Port == 0 {
		address.Port = config.DefaultBindPort
	}
	i := &loadbalancer.Inspection{
		Address: address, Failover: c.in.Failover, Dial: c.p.dialTCP, Resolve: c.p.resolve, Now: c.now,
		Virtual: c.virtual(ctx, address.Host),
		Tell:    func(text string) { tell(phases.Progress, text) },
	}
	balancers, err := balancerAddresses(c.in.Balancers)
	if err != nil {
		return nil, err
	}
	for _, b := range balancers {
		i.Balancers = append(i.Balancers, netip.AddrPortFrom(b, address.Port))
	}
	if i.CAs, err = c.authorities(ctx, address); err != nil {
		return nil, err
	}
	i.Servers, err = c.servers(ctx, func(text string) { tell(phases.Warning, text) })
	return i, err
}

// authorities finds the cluster's CA: as given, of this node, or of the
// kubeconfig.
func (c *lbCheck) authorities(ctx context.Context, address config.HostPort) ([]*x509.Certificate, error) {
	if len(c.in.CAHashes) > 0 {
		return c.pinned(ctx, address)
	}
	file := c.in.CAFile
	if file == "" {
		file = path.Join(config.DefaultCertsDir, "ca.crt")
	}
	data, err := c.host.ReadFile(ctx, file)
	if errors.Is(err, fs.ErrNotExist) && c.in.CAFile == "" {
		rest, err := kube.FromKubeconfig(c.host, "", c.kubeconfig())(ctx)
		if err != nil || len(rest.CAData) == 0 {
			return nil, nil // the report says that nobody was verified
		}
		data = rest.CAData
	} else if err != nil {
		return nil, usage("the CA cannot be read: "+err.Error(), "name the file: --ca-file")
	}
	list, err := certs.ParseCerts(data)
	if err != nil {
		return nil, usage(file+" holds no certificate: "+err.Error(), "name the cluster's ca.crt: --ca-file")
	}
	return list, nil
}

func (c *lbCheck) kubeconfig() string {
	if c.in.Kubeconfig != "" {
		return c.in.Kubeconfig
	}
	return path.Join(config.KubernetesDir, "admin.conf")
}

// servers are those given, or those that the cluster names, or those that the
// balancer on this host has.
func (c *lbCheck) servers(ctx context.Context, warn func(string)) ([]lbfiles.Server, error) {
	var list []lbfiles.Server
	for _, s := range c.in.Servers {
		server, err := lbfiles.ParseServer(s)
		if err != nil {
			return nil, usage("--server: " + err.Error())
		}
		list = append(list, server)
	}
	if len(list) > 0 {
		return list, nil
	}
	if c.in.Kubeconfig != "" || c.any(ctx, []string{c.kubeconfig()}) {
		limited, cancel := context.WithTimeout(ctx, askLimit)
		defer cancel()
		api := c.dialAPI(c.host, "", []string{c.kubeconfig()})
		list, err := loadbalancer.Servers(limited, api, loadbalancer.Names(limited, api))
		if err == nil {
			return list, nil
		}
		warn("the cluster does not tell which control planes there are: " + err.Error())
	}
	for _, p := range []loadbalancer.Program{loadbalancer.HAProxy, loadbalancer.Nginx} {
		if list, _, err := installedServers(ctx, c.machine, p); err == nil && len(list) > 0 {
			return list, nil
		}
	}
	return nil, nil
}

// virtual says whether Keepalived on this host may hold the address.
func (c *lbCheck) virtual(ctx context.Context, address string) bool {
	data, err := c.host.ReadFile(ctx, loadbalancer.Keepalived.File())
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(data)) {
		if word, _, _ := strings.Cut(strings.TrimSpace(line), "/"); word == address {
			return true
		}
	}
	return false
}

// Text writes what was found, the problems first.
func (r *LBCheckResult) Text(w io.Writer) error {
	p := &printer{w: w}
	p.line("%s: %s", r.Address, r.Answer)
	for _, b := range r.Backends {
		p.line("  %-20s %-24s %d connections", b.Name, b.Address, b.Connections)
	}
	if g := r.Failover; g != nil {
		p.line("  longest gap %.1fs; %d of %d connections failed", g.Seconds, g.Failed, g.Tries)
	}
	for _, list := range []struct {
		kind     string
		findings []loadbalancer.Finding
	}{{"problem", r.Problems}, {"warning", r.Warnings}} {
		for _, f := range list.findings {
			p.line("%s: %s", list.kind, f.What)
			if f.Why != "" {
				p.line("  why  %s", f.Why)
			}
			for _, fix := range f.Fix {
				p.line("  fix  %s", fix)
			}
		}
	}
	return p.err
}
