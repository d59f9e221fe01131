package app

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases/loadbalancer"
	"github.com/hactl/hactl/phases/publish"
	lbfiles "github.com/hactl/hactl/templates/loadbalancer"
)

// askLimit is how long a cluster or a server may take to tell something that
// is not needed, or that is known from elsewhere, too.
const askLimit = 5 * time.Second

// findServers takes the list of servers from the cluster if that answers,
// else from the flags and the configuration, else from the file that is
// there: once a list was right, nothing that is only unreachable empties it.
func (b *balancer) findServers(ctx context.Context) error {
	given, err := b.givenServers()
	if err != nil {
		return err
	}
	have, err := b.fileServers(ctx)
	if err != nil {
		return err
	}
	b.servers = given
	if len(given) == 0 {
		b.servers = have
	}
	if b.in.Kubeconfig != "" {
		if err := b.ask(ctx, slices.Concat(have, given)); err != nil {
			if len(b.servers) == 0 {
				return err
			}
			b.warnings = append(b.warnings, "the cluster does not tell its API servers, so the list is as given: "+err.Error())
		}
	}
	if b.program.Balances() && len(b.servers) == 0 {
		return usage("no control plane is named to balance between", "name each: --server cp-1=10.0.0.11:6443", "or give a kubeconfig of a cluster that runs: --kubeconfig")
	}
	if b.servers, err = lbfiles.Sort(b.servers); err != nil {
		return usage(err.Error(), "see each --server")
	}
	return nil
}

// givenServers are those of the flags, and the first control plane of the
// configuration.
func (b *balancer) givenServers() ([]lbfiles.Server, error) {
	var list []lbfiles.Server
	for _, s := range b.in.Servers {
		server, err := lbfiles.ParseServer(s)
		if err != nil {
			return nil, usage("--server: " + err.Error())
		}
		list = append(list, server)
	}
	if c := b.in.Config; c != nil && c.Local.Address.IsValid() && len(list) == 0 {
		port := c.Local.Port
		if port == 0 {
			port = config.DefaultBindPort
		}
		s := lbfiles.Server{Name: c.Node.Name, Address: netip.AddrPortFrom(c.Local.Address, port)}
		if s.Name == "" {
			s.Name = lbfiles.NameOf(c.Local.Address)
		}
		list = append(list, s)
	}
	return list, nil
}

// fileServers are those in the program's file, if hactl wrote it.
func (b *balancer) fileServers(ctx context.Context) ([]lbfiles.Server, error) {
	list, _, err := installedServers(ctx, b.machine, b.program)
	return list, err
}

// installedServers are those in the program's file as hactl wrote it.
func installedServers(ctx context.Context, m *machine, p loadbalancer.Program) ([]lbfiles.Server, lbfiles.Origin, error) {
	if !m.any(ctx, []string{p.File()}) {
		return nil, lbfiles.Foreign, nil
	}
	data, err := m.host.ReadFile(ctx, p.File())
	if err != nil {
		return nil, "", err
	}
	origin := lbfiles.OriginOf(data)
	if origin != lbfiles.Own {
		return nil, origin, nil
	}
	return lbfiles.Servers(data), origin, nil
}

// ask takes servers and endpoint from the cluster.
func (b *balancer) ask(ctx context.Context, known []lbfiles.Server) error {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	access := Access{Kubeconfigs: []string{b.in.Kubeconfig}}
	api := b.dialAPI(b.host, "", access.Kubeconfigs)
	list, err := loadbalancer.Servers(ctx, api, slices.Concat(loadbalancer.Names(ctx, api), known))
	if err != nil {
		return access.explain(err)
	}
	b.servers = list
	if b.endpoint.IsZero() {
		// Who may read endpoints only does not learn the endpoint here.
		if c, err := publish.FetchCluster(ctx, api); err == nil {
			b.endpoint = c.ControlPlaneEndpoint
		}
	}
	return nil
}

// names are those that clients will use, as far as they are known.
func (b *balancer) names() []string {
	var names []string
	if !b.endpoint.IsZero() {
		names = append(names, b.endpoint.Host)
	}
	if b.keep.Address.IsValid() {
		names = append(names, b.keep.Address.Addr().String())
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// warn collects what a person should know, though the file is right.
func (b *balancer) warn(ctx context.Context) {
	if b.program == loadbalancer.Nginx {
		b.warnings = append(b.warnings, "one nginx is a single point of failure: while its host is down, nobody reaches the API there; two hosts and keepalived are not")
	}
	if b.program.Balances() && b.in.Kubeconfig == "" {
		b.warnings = append(b.warnings, "without --kubeconfig the list is as given: a control plane that joins later gets no connections until somebody adds it")
	}
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	missing, answered := loadbalancer.Unnamed(ctx, b.p.dialTCP, addressesOf(b.servers), b.names())
	if !answered && b.in.Config != nil {
		missing = unlisted(b.in.Config, b.names())
	}
	for _, name := range missing {
		b.warnings = append(b.warnings, fmt.Sprintf("the API servers' certificates are not valid for %s, so clients that use it will refuse them: "+
			"add it to apiServer.certSANs (--apiserver-cert-extra-sans)", name))
	}
}

// unlisted are the names that a cluster made from the configuration would
// not have in its certificates.
func unlisted(c *config.Init, names []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(n string) bool {
		return n == c.Cluster.ControlPlaneEndpoint.Host || slices.ContainsFunc(c.Cluster.APIServerSANs, func(san string) bool {
			_, below, wildcard := strings.Cut(san, "*.")
			_, domain, dotted := strings.Cut(n, ".")
			return strings.EqualFold(san, n) || wildcard && dotted && strings.EqualFold(below, domain)
		})
	})
}
