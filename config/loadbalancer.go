package config

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
)

// LoadBalancer says that the control planes balance for themselves: HAProxy
// and Keepalived run on each of them, and the control-plane endpoint is a
// virtual address that one of them holds. It is kept in the cluster as
// ConfigMap kube-system/hactl-config.
type LoadBalancer struct {
	// VirtualIP is the address of the control-plane endpoint. Bits is the
	// length of its network's prefix; zero means that of the network that a
	// node has and that the address is in.
	VirtualIP netip.Addr
	Bits      int
	// Interface is where a node holds the address; "" means the one whose
	// network has it. It is a node's own matter: one may name another.
	Interface string
	// RouterID is the number of the control planes' VRRP group, 1 to 255: of
	// no other group in the network.
	RouterID int
	// Unicast makes the control planes talk to each other only, for networks
	// without multicast.
	Unicast bool
	// Check is how HAProxy tells which API servers may get connections:
	// "readyz", or "tcp" for a cluster that refuses requests without
	// credentials.
	Check string
}

// DefaultRouterID is that of Keepalived's own examples.
const DefaultRouterID = 51

// checks are the names that Check takes.
var checks = []string{"readyz", "tcp"}

// interfaceShape is what the kernel takes as the name of an interface, but
// for letters that mean something in keepalived.conf.
var interfaceShape = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:@-]{0,14}$`)

// Default sets what is not given.
func (b *LoadBalancer) Default() {
	set(&b.RouterID, DefaultRouterID)
	set(&b.Check, checks[0])
}

// Validate returns what is wrong with the load balancer by itself: what it
// must have in a cluster is a matter of Init.
func (b *LoadBalancer) Validate() []Problem {
	v := &validator{}
	v.balancer(b)
	return v.problems
}

// Address is the form that users write: "10.0.0.100/24", or without the
// prefix where none is known.
func (b *LoadBalancer) Address() string {
	switch {
	case !b.VirtualIP.IsValid():
		return ""
	case b.Bits == 0:
		return b.VirtualIP.String()
	}
	return netip.PrefixFrom(b.VirtualIP, b.Bits).String()
}

// ParseVirtualIP reads what Address writes.
func ParseVirtualIP(s string) (netip.Addr, int, error) {
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		return a.Unmap(), 0, nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil || p.Bits() == 0 || p.Addr().Is4In6() {
		return netip.Addr{}, 0, fmt.Errorf("%q is not an address, such as 10.0.0.100/24 or 10.0.0.100", s)
	}
	return p.Addr(), p.Bits(), nil
}

// Differences lists what a node's own file says otherwise than the cluster,
// one line each; what it does not say, and the interface, does not count.
func (b *LoadBalancer) Differences(cluster *LoadBalancer) []string {
	var list []string
	differ := func(field, own, theirs string) {
		if own != "" && own != theirs {
			list = append(list, fmt.Sprintf("loadBalancer.%s: this node is told %s, the cluster has %s", field, own, theirs))
		}
	}
	number := func(n int) string {
		if n == 0 {
			return ""
		}
		return fmt.Sprint(n)
	}
	if b.Bits == 0 || cluster.Bits == 0 {
		differ("virtualIP", (&LoadBalancer{VirtualIP: b.VirtualIP}).Address(), (&LoadBalancer{VirtualIP: cluster.VirtualIP}).Address())
	} else {
		differ("virtualIP", b.Address(), cluster.Address())
	}
	differ("routerID", number(b.RouterID), number(cluster.RouterID))
	differ("check", b.Check, cluster.Check)
	if b.Unicast && !cluster.Unicast {
		differ("unicast", "true", "false")
	}
	return list
}

// balancing wants a load balancer to make the endpoint work.
func (v *validator) balancing(c *Init) {
	b := c.Cluster.LoadBalancer
	if b == nil {
		return
	}
	v.balancer(b)
	a, endpoint := b.VirtualIP, c.Cluster.ControlPlaneEndpoint
	if !a.IsValid() {
		v.add("loadBalancer.virtualIP", "name an address that no machine has: 10.0.0.100/24", "is not set")
		return
	}
	at := HostPort{Host: a.String(), Port: 8443}
	if c.Local.Port == at.Port {
		at.Port = DefaultBindPort
	}
	if local := c.Local.Address; local == a {
		v.add("loadBalancer.virtualIP", "name an address that no machine has", "%s is this node's own: it could not move to another", a)
	} else if local.IsValid() && !local.IsUnspecified() && local.Is4() != a.Is4() {
		v.add("loadBalancer.virtualIP", "name one of the family of "+local.String(), "%s is not of the family of the API servers' addresses", a)
	}
	named, err := netip.ParseAddr(endpoint.Host)
	switch {
	case endpoint.IsZero():
		v.add("controlPlaneEndpoint", "write controlPlaneEndpoint: "+at.String(), "is not set, so nobody would use the virtual address %s", a)
		return
	case err == nil && named != a:
		v.add("controlPlaneEndpoint", fmt.Sprintf("write %s, or the other address as loadBalancer.virtualIP", at), "%s is not the virtual address %s", endpoint.Host, a)
	}
	if err != nil {
		at.Host = endpoint.Host
	}
	if endpoint.Port == 0 || endpoint.Port == c.Local.Port {
		v.add("controlPlaneEndpoint", "write controlPlaneEndpoint: "+at.String(),
			"has the port of the API server (%d), where HAProxy cannot listen on the same machine", c.Local.Port)
	}
}

// balancer checks what can be told from the load balancer alone.
func (v *validator) balancer(b *LoadBalancer) {
	if a := b.VirtualIP; a.IsValid() && (a.IsUnspecified() || a.IsLoopback() || a.IsMulticast() || a.IsLinkLocalUnicast()) {
		v.add("loadBalancer.virtualIP", "name an address of the nodes' network that no machine has", "%s cannot be reached by all nodes", a)
	}
	if b.Interface != "" && !interfaceShape.MatchString(b.Interface) {
		v.add("loadBalancer.interface", "see the names: ip -brief address", "%q is not the name of a network interface", b.Interface)
	}
	if b.RouterID < 0 || b.RouterID > 255 {
		v.add("loadBalancer.routerID", "", "%d is not 1 to 255", b.RouterID)
	}
	if b.Check != "" && !slices.Contains(checks, b.Check) {
		v.add("loadBalancer.check", "use "+strings.Join(checks, ", "), "%q is not known", b.Check)
	}
}
