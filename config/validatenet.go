package config

import (
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
)

// Sizes of networks (kubeadm v1.37, constants/constants.go and
// apis/kubeadm/validation).
const (
	minServiceBits  = 4  // the fewest that hold 10 addresses
	maxServiceBits  = 20 // kube-apiserver takes no larger IPv4 or IPv6 range
	minPodBits      = 4  // the fewest that hold 14 addresses
	maxNodeBits     = 16 // kube-controller-manager gives out at most 65536 node ranges
	nodeMask4       = 24 // its default size of a node's range
	nodeMask6       = 64
	haNodes         = 3 // a control-plane endpoint is for clusters of at least so many nodes
	servicePath     = "networking.serviceSubnet"
	podPath         = "networking.podSubnet"
	chooseOtherFix  = "choose ranges that do not overlap"
	nodeMaskSizeArg = "node-cidr-mask-size"
)

func (v *validator) networking(c *Cluster) {
	n := c.Networking
	v.subnets(servicePath, n.ServiceSubnets)
	v.subnets(podPath, n.PodSubnets)
	for _, p := range n.ServiceSubnets {
		bits := p.Addr().BitLen() - p.Bits()
		if bits < minServiceBits {
			v.add(servicePath, "use a larger range, such as 10.96.0.0/12", "%s has only %d addresses", p, 1<<bits)
		}
		if bits > maxServiceBits {
			v.add(servicePath, fmt.Sprintf("use a range of /%d or smaller", p.Addr().BitLen()-maxServiceBits), "%s is larger than kube-apiserver takes", p)
		}
	}
	for _, pod := range n.PodSubnets {
		for _, service := range n.ServiceSubnets {
			if pod.Overlaps(service) {
				v.add(podPath, chooseOtherFix, "%s overlaps the service subnet %s", pod, service)
			}
		}
		v.podSubnet(c, pod)
	}
	for i, s := range c.Kubelet.ClusterDNS {
		a, err := netip.ParseAddr(s)
		if at := fmt.Sprintf(kubeletPath+"clusterDNS[%d]", i); err != nil {
			v.add(at, "", "expected an IP address, got %q", s)
		} else if _, ok := containing(n.ServiceSubnets, a); ok {
			continue
		} else if p, ok := containing(n.PodSubnets, a); ok {
			v.add(at, "use an address of the service subnet, such as "+c.DNSAddress().String(), "%s is in the pod subnet %s", a, p)
		}
	}
	if len(validation.IsDNS1123Subdomain(n.DNSDomain)) > 0 {
		v.add("networking.dnsDomain", nameFix, "%q is not a DNS domain", n.DNSDomain)
	}
}

func (v *validator) podSubnet(c *Cluster, pod netip.Prefix) {
	if bits := pod.Addr().BitLen() - pod.Bits(); bits < minPodBits {
		v.add(podPath, "use a larger range, such as 10.244.0.0/16", "%s has only %d addresses", pod, 1<<bits)
		return
	}
	if value, _ := argValue(c.ControllerManager.ExtraArgs, "allocate-node-cidrs"); value == "false" {
		return
	}
	mask, err := c.nodeMask(pod.Addr())
	if err != nil {
		v.add("controllerManager.extraArgs", "", "%s", err)
		return
	}
	switch nodeBits := mask - pod.Bits(); {
	case nodeBits < 0:
		v.add(podPath, "use a larger range, or smaller ones for each node with "+nodeMaskSizeArg,
			"%s is smaller than the /%d that each node takes", pod, mask)
	case nodeBits > maxNodeBits:
		v.add(podPath, "use a smaller range, or larger ones for each node with "+nodeMaskSizeArg,
			"%s holds 2^%d node ranges of /%d; kube-controller-manager takes at most 2^%d", pod, nodeBits, mask, maxNodeBits)
	case 1<<nodeBits < haNodes && !c.ControlPlaneEndpoint.IsZero():
		v.add(podPath, fmt.Sprintf("use a larger range, such as a /%d", max(mask-8, 0)),
			"%s has room for %d of the %d nodes that a highly available control plane needs; each takes a /%d", pod, 1<<nodeBits, haNodes, mask)
	}
}

// nodeMask is the length of the prefix that each node takes of the pod
// subnet with the family of a.
func (c *Cluster) nodeMask(a netip.Addr) (int, error) {
	name, mask := nodeMaskSizeArg+"-ipv4", nodeMask4
	if a.Is6() {
		name, mask = nodeMaskSizeArg+"-ipv6", nodeMask6
	}
	value, ok := argValue(c.ControllerManager.ExtraArgs, name)
	if !ok && len(c.Networking.PodSubnets) == 1 {
		name = nodeMaskSizeArg
		value, ok = argValue(c.ControllerManager.ExtraArgs, name)
	}
	if !ok || value == "" {
		return mask, nil
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < 0 || n > a.BitLen() {
		return 0, fmt.Errorf("%s: %q is not the length of a prefix", name, value)
	}
	return n, nil
}

// NodeCapacity is how many nodes get a range of each pod subnet; 0 if that
// is not limited, since there is no pod subnet or nodes get no ranges of it.
func (c *Cluster) NodeCapacity() int {
	least := 0
	if value, _ := argValue(c.ControllerManager.ExtraArgs, "allocate-node-cidrs"); value == "false" {
		return 0
	}
	for _, pod := range c.Networking.PodSubnets {
		mask, err := c.nodeMask(pod.Addr())
		if bits := mask - pod.Bits(); err == nil && bits >= 0 && bits <= maxNodeBits && (least == 0 || 1<<bits < least) {
			least = 1 << bits
		}
	}
	return least
}

// argValue is the value that counts: the last one.
func argValue(args []Arg, name string) (string, bool) {
	for _, a := range slices.Backward(args) {
		if a.Name == name {
			return a.Value, true
		}
	}
	return "", false
}

func (v *validator) subnets(path string, list []netip.Prefix) {
	if len(list) > 2 || (len(list) == 2 && list[0].Addr().Is4() == list[1].Addr().Is4()) {
		v.add(path, "", "takes one range, or one IPv4 and one IPv6 range; it has %s", Join(list))
	}
}

// nodeNetwork refuses subnets that hide machines from the pods.
func (v *validator) nodeNetwork(c *Init) {
	n := c.Cluster.Networking
	subnets := map[string][]netip.Prefix{servicePath: n.ServiceSubnets, podPath: n.PodSubnets}
	for _, path := range []string{servicePath, podPath} {
		for _, subnet := range subnets[path] {
			for _, network := range c.Networks {
				if subnet.Overlaps(network) {
					v.add(path, chooseOtherFix, "%s overlaps %s, the network of this node", subnet, network)
				}
			}
			for _, m := range c.machines() {
				if _, ok := containing(c.Networks, m.addr); !ok && subnet.Contains(m.addr) {
					v.add(path, chooseOtherFix, "%s contains %s, %s", subnet, m.addr, m.what)
				}
			}
		}
	}
}

type machine struct {
	addr netip.Addr
	what string
}

// machines are the addresses outside the cluster's networks that the
// configuration names.
func (c *Init) machines() []machine {
	var list []machine
	if a := c.Local.Address; a.IsValid() && !a.IsUnspecified() {
		list = append(list, machine{a, "the address of this node"})
	}
	if a, err := netip.ParseAddr(c.Cluster.ControlPlaneEndpoint.Host); err == nil && a != c.Local.Address {
		list = append(list, machine{a, "the control-plane endpoint"})
	}
	if b := c.Cluster.LoadBalancer; b != nil && b.VirtualIP.IsValid() && b.VirtualIP.String() != c.Cluster.ControlPlaneEndpoint.Host {
		list = append(list, machine{b.VirtualIP, "the virtual address"})
	}
	if x := c.Cluster.Etcd.External; x != nil {
		for _, s := range x.Endpoints {
			if u, err := url.Parse(s); err == nil {
				if a, err := netip.ParseAddr(u.Hostname()); err == nil {
					list = append(list, machine{a, "an etcd endpoint"})
				}
			}
		}
	}
	return list
}

func containing(list []netip.Prefix, a netip.Addr) (netip.Prefix, bool) {
	for _, p := range list {
		if p.Contains(a) {
			return p, true
		}
	}
	return netip.Prefix{}, false
}

func (v *validator) local(path string, e Endpoint) {
	if a := e.Address; a.IsValid() && (a.IsLoopback() || a.IsMulticast() || a.IsLinkLocalUnicast()) {
		v.add(path+".advertiseAddress", "use the address that the other nodes reach this one by", "%s cannot be reached by other nodes", a)
	}
}

func (v *validator) sans(field string, list []string) {
	for i, s := range list {
		if _, err := netip.ParseAddr(s); err == nil {
			continue
		}
		at := fmt.Sprintf("%s[%d]", field, i)
		name, wildcard := strings.CutPrefix(s, "*.")
		switch {
		case allDigitsAndDots(name):
			v.add(at, "", "%q looks like an IP address, but is none", s)
		case len(validation.IsDNS1123Subdomain(s)) == 0:
		case wildcard && len(validation.IsWildcardDNS1123Subdomain(s)) == 0:
		default:
			v.add(at, sanFix(s), "%q is neither an IP address nor a DNS name", s)
		}
	}
}

func sanFix(s string) string {
	if u, err := url.Parse(s); err == nil && u.Scheme != "" && u.Hostname() != "" {
		return "write " + u.Hostname()
	}
	if hp, err := ParseHostPort(s); err == nil && hp.Port != 0 {
		return "leave out the port: " + hp.Host
	}
	if _, err := netip.ParsePrefix(s); err == nil {
		return "a certificate names addresses, not ranges"
	}
	if lower := strings.ToLower(s); len(validation.IsDNS1123Subdomain(lower)) == 0 {
		return "write it in lower case: " + lower
	}
	return ""
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
