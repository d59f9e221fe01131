package app

import (
	"context"
	"crypto/x509"
	"net/netip"
	"path"
	"slices"

	"github.com/hactl/hactl/certs"
	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/loadbalancer"
	"github.com/hactl/hactl/phases/preflight"
)

// endpointPhase is what the events about the control-plane endpoint name.
const endpointPhase = "control-plane-endpoint"

// endpointCheck finds another cluster behind the control-plane endpoint
// before anything is written. That nobody is there yet is no failure.
func (m *machine) endpointCheck(c *config.Init, resumed func(context.Context) (bool, error)) preflight.Check {
	return preflight.Check{Name: "LoadBalancer", Run: func(ctx context.Context) ([]string, error) {
		i, balanced := m.inspection(ctx, c)
		if !balanced {
			return nil, nil
		}
		i.Resolve, i.Virtual = m.elsewhere(c), c.Cluster.LoadBalancer != nil
		warnings, err := loadbalancer.Before(ctx, i, resumed)
		if c.Cluster.LoadBalancer != nil {
			warnings = nil // nobody is there before this node is
		}
		return warnings, err
	}}
}

// inspection is of the control-plane endpoint. It is false where the endpoint
// is nothing but this node's API server.
func (m *machine) inspection(ctx context.Context, c *config.Init) (i loadbalancer.Inspection, balanced bool) {
	if c.Cluster.ControlPlaneEndpoint.IsZero() {
		return i, false
	}
	i = loadbalancer.Inspection{Address: c.Endpoint(), Dial: m.dialTCP, Resolve: m.resolve, Now: m.now, CAs: m.clusterCAs(ctx, c)}
	a, err := netip.ParseAddr(i.Address.Host)
	return i, err != nil || !m.isOwnServer(c, a)
}

// clusterCAs are those in the node's files, none if there is no such file:
// what is wrong with it, others say.
func (m *machine) clusterCAs(ctx context.Context, c *config.Init) []*x509.Certificate {
	data, err := m.host.ReadFile(ctx, path.Join(c.Cluster.CertificatesDir, "ca.crt"))
	if err != nil {
		return nil
	}
	list, err := certs.ParseCerts(data)
	if err != nil {
		return nil
	}
	return list
}

// isOwnServer says whether the endpoint at an address is the API server of
// this node.
func (m *machine) isOwnServer(c *config.Init, a netip.Addr) bool {
	if c.Endpoint().Port != c.Local.Port {
		return false // a balancer on this node
	}
	have, err := m.addresses()
	return err == nil && slices.ContainsFunc(have, func(p netip.Prefix) bool { return p.Addr() == a.Unmap() })
}

// elsewhere finds the addresses of a name except this node's own.
func (m *machine) elsewhere(c *config.Init) func(context.Context, string) ([]netip.Addr, error) {
	return func(ctx context.Context, name string) ([]netip.Addr, error) {
		list, err := m.resolve(ctx, name)
		return slices.DeleteFunc(list, func(a netip.Addr) bool { return m.isOwnServer(c, a) }), err
	}
}

// lookout sees whether the control-plane endpoint leads to the cluster, while
// other work goes on. The zero value looks at nothing.
type lookout struct {
	look  func() *loadbalancer.Finding
	stop  context.CancelFunc
	found chan *loadbalancer.Finding // one, once begun
}

// lookout is for a run that makes a control plane; the caller ends it. A
// dry run makes nothing that could be seen.
func (m *machine) lookout(ctx context.Context, c *config.Init) lookout {
	if m.files != nil || c.Cluster.LoadBalancer != nil { // whose phase looks for itself
		return lookout{}
	}
	ctx, stop := context.WithCancel(ctx)
	return lookout{stop: stop, look: func() *loadbalancer.Finding {
		i, balanced := m.inspection(ctx, c)
		if !balanced {
			return nil
		}
		return loadbalancer.After(ctx, i)
	}}
}

// begin is called once this node's API server is up, and the virtual address
// if this node holds it.
func (l *lookout) begin() {
	if l.look == nil || l.found != nil {
		return
	}
	l.found = make(chan *loadbalancer.Finding, 1)
	go func() { l.found <- l.look() }()
}

// lookOut begins to look, unless the virtual address is still to come.
func (s *Initial) lookOut() {
	if s.balancing.lb == nil {
		s.lookout.begin()
	}
}

// lookOut is that of Initial.
func (s *Joining) lookOut() {
	if s.balancing.lb == nil {
		s.lookout.begin()
	}
}

// tell waits for what is found, a few seconds at most, and warns of it: the
// balancer may come later, so it fails no run. Where nobody began, it does.
func (l *lookout) tell(m *machine, notify func(phases.Event)) {
	l.begin()
	if l.found == nil {
		return
	}
	if f := <-l.found; f != nil {
		notify(phases.Event{Phase: endpointPhase, Kind: phases.Warning, At: m.now(), Reason: f.String()})
	}
	l.look, l.found = nil, nil
}

// end gives up what nobody was told of. It may be called at any time.
func (l *lookout) end() {
	if l.stop != nil {
		l.stop()
	}
	if l.found != nil {
		<-l.found
		l.found = nil
	}
}

// andThen calls next when the phase, or the last one of a group, has done its
// work.
func andThen[S any](p phases.Phase[S], next func(*S)) phases.Phase[S] {
	if last := len(p.Phases) - 1; last >= 0 {
		p.Phases[last] = andThen(p.Phases[last], next)
		return p
	}
	apply := p.Apply
	p.Apply = func(ctx context.Context, s *S) error {
		if err := apply(ctx, s); err != nil {
			return err
		}
		next(s)
		return nil
	}
	return p
}
