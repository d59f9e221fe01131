package loadbalancer

import (
	"context"
	"crypto/x509"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/hactl/hactl/certs"
	"github.com/hactl/hactl/templates/loadbalancer"
)

// identity judges the certificate of one connection.
func (i *Inspection) identity(c *contact) {
	n := slices.IndexFunc(i.seen, func(s seen) bool { return s.leaf.Equal(c.leaf) })
	if n >= 0 {
		i.seen[n].count++
		return
	}
	i.seen = append(i.seen, seen{c.leaf, 1})
	who := i.nameOf(c.leaf)
	if len(i.CAs) == 0 {
		i.report.add(Finding{
			Answer: Unverified, What: "nobody compared the certificates with the cluster's CA",
			Fix: []string{"name it: --ca-file, or --ca-cert-hash sha256:… from the join command"},
		})
	} else if f := i.authority(c, who); f != nil {
		i.report.add(*f)
		return
	}
	if err := c.leaf.VerifyHostname(i.Address.Host); err != nil {
		i.report.add(Finding{
			Answer: NameMissing, What: fmt.Sprintf("the certificate of %s is not valid for %s", who, i.Address.Host), Why: err.Error(),
			Fix: missingName(i.Address.Host),
		})
	}
}

// missingName says how a name gets into the API servers' certificates.
func missingName(name string) []string {
	return []string{
		"before init: make it the control-plane endpoint, or add it: --apiserver-cert-extra-sans " + name + " (apiServer.certSANs in ClusterConfiguration)",
		"in a cluster that runs: add it to apiServer.certSANs and, on each control-plane node, remove apiserver.crt and apiserver.key and run: hactl init phase certs apiserver --config FILE",
	}
}

// authority judges who signed the certificate.
func (i *Inspection) authority(c *contact, who string) *Finding {
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	for _, ca := range i.CAs {
		roots.AddCert(ca)
	}
	for _, ca := range c.cas {
		between.AddCert(ca)
	}
	_, err := c.leaf.Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: between, CurrentTime: i.Now(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	if err == nil {
		return nil
	}
	if now := i.Now(); now.After(c.leaf.NotAfter) || now.Before(c.leaf.NotBefore) {
		return &Finding{
			Answer: Expired, What: fmt.Sprintf("the certificate of %s is valid from %s to %s", who, day(c.leaf.NotBefore), day(c.leaf.NotAfter)), Why: err.Error(),
			Fix: []string{"see the clocks of this host and of the node: date", "renew it on that node: kubeadm certs renew apiserver"},
		}
	}
	return &Finding{
		Answer: OtherCA, What: fmt.Sprintf("%s is of another cluster: its certificate is not signed by this cluster's CA (%s)", who, certs.Pin(i.CAs[0])), Why: err.Error(),
		Fix: []string{
			"see that " + i.Address.String() + " is the address that is meant",
			"on the balancer: take the servers of the other cluster out of its list",
			"if the cluster was made anew, the CA file here is the old one: --ca-file",
		},
	}
}

// servingNames are in every API server's certificate.
func servingName(name string) bool {
	return name == "localhost" || name == "kubernetes" || strings.HasPrefix(name, "kubernetes.default")
}

// nameOf is how people know the server that showed the certificate: by its
// node's name.
func (i *Inspection) nameOf(leaf *x509.Certificate) string {
	if s, ok := i.serverOf(leaf); ok {
		return s.Name
	}
	for _, n := range leaf.DNSNames {
		if !servingName(n) && n != i.Address.Host {
			return n
		}
	}
	if leaf.Subject.CommonName != "" {
		return leaf.Subject.CommonName
	}
	return "the server with serial number " + leaf.SerialNumber.String()
}

// serverOf finds the server that the certificate is made for.
func (i *Inspection) serverOf(leaf *x509.Certificate) (loadbalancer.Server, bool) {
	for _, s := range i.Servers {
		if madeFor(leaf, s.Address.Addr()) {
			return s, true
		}
	}
	return loadbalancer.Server{}, false
}

// missing are the servers whose certificate nobody has seen.
func (i *Inspection) missing() []loadbalancer.Server {
	return slices.DeleteFunc(slices.Clone(i.Servers), func(s loadbalancer.Server) bool {
		return slices.ContainsFunc(i.seen, func(c seen) bool { return madeFor(c.leaf, s.Address.Addr()) })
	})
}

// madeFor says whether the certificate is that of the server at an address.
func madeFor(leaf *x509.Certificate, a netip.Addr) bool {
	return slices.ContainsFunc(leaf.IPAddresses, func(ip net.IP) bool { return ip.Equal(a.AsSlice()) })
}

// backends lists who was met, and asks for those who were not.
func (i *Inspection) backends(ctx context.Context) {
	for _, s := range i.seen {
		b := Backend{Name: i.nameOf(s.leaf), Connections: s.count}
		if server, ok := i.serverOf(s.leaf); ok {
			b.Address = server.Address.String()
		}
		i.report.Backends = append(i.report.Backends, b)
	}
	slices.SortFunc(i.report.Backends, func(a, b Backend) int { return strings.Compare(a.Name, b.Name) })
	if slices.ContainsFunc(i.report.Problems, func(f Finding) bool { return f.Answer == OtherCA }) {
		return // who is missing follows from that
	}
	for _, s := range i.missing() {
		i.report.Backends = append(i.report.Backends, Backend{Name: s.Name, Address: s.Address.String()})
		c, err := reach(ctx, i.Dial, s.Address.String(), s.Address.Addr().String())
		if err == nil && c.ready() {
			i.report.add(Finding{
				Answer: BackendMissing, What: fmt.Sprintf("%s (%s) answers by itself, but %s passes no connection on to it", s.Name, s.Address, i.Address),
				Fix: []string{
					"on the balancer: add it to the list, or let hactl keep the list: hactl lb install haproxy --sync",
					"see that the balancer reaches it: curl -k https://" + s.Address.String() + "/readyz",
				},
			})
			continue
		}
		why := "it is not ready"
		if err != nil {
			why = err.Error()
		}
		i.report.add(Finding{
			Answer: BackendDown, What: fmt.Sprintf("%s (%s) answers neither by itself nor through %s", s.Name, s.Address, i.Address), Why: why,
			Fix: []string{"see it: hactl status"},
		})
	}
}
