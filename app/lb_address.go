package app

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/hactl/hactl/phases/loadbalancer"
	lbfiles "github.com/hactl/hactl/templates/loadbalancer"
)

// settleAddress finds what Keepalived needs: the address with its network,
// the interface, and this host's place among the others.
func (b *balancer) settleAddress() error {
	k := &b.keep
	*k = lbfiles.Keepalived{
		Process: string(loadbalancer.HAProxy), Port: b.port, Check: b.check,
		Interface: b.in.Interface, RouterID: b.in.RouterID, Priority: b.in.Priority, State: lbfiles.State(b.in.State),
	}
	here, err := b.p.interfaces()
	if err != nil {
		return fmt.Errorf("list the interfaces of this host: %w", err)
	}
	if err := b.settleVirtual(here); err != nil {
		return err
	}
	return b.settlePlace(here)
}

// settleVirtual finds address, network and interface.
func (b *balancer) settleVirtual(here []lbInterface) error {
	given := b.in.VirtualIP
	if given == "" {
		given = b.endpoint.Host
	}
	k := &b.keep
	address, err := netip.ParseAddr(given)
	if err != nil {
		if k.Address, err = netip.ParsePrefix(given); err != nil {
			return usage(fmt.Sprintf("%q is no address that Keepalived could hold", given), "name the virtual address with its network: --virtual-ip 10.0.0.100/24")
		}
		address = k.Address.Addr()
	}
	var around netip.Prefix
	for _, i := range here {
		for _, n := range i.networks {
			if n.Contains(address) && (k.Interface == "" || k.Interface == i.name) && n.Bits() > around.Bits() && !n.IsSingleIP() {
				around, b.in.Interface = n, i.name
			}
		}
	}
	if k.Interface == "" {
		k.Interface = b.in.Interface
	}
	if k.Interface == "" {
		return usage(fmt.Sprintf("no interface of this host has a network with the address %s", address), "name the interface: "+b.deviceSetting()+", such as eth0")
	}
	if !k.Address.IsValid() {
		if !around.IsValid() {
			return usage("the network of "+given+" is not known", "name the address with its network: --virtual-ip "+given+"/24")
		}
		k.Address = netip.PrefixFrom(address, around.Bits())
	}
	return nil
}

// deviceSetting is how users choose the interface.
func (b *balancer) deviceSetting() string {
	if b.ofNode {
		return "loadBalancer.interface (--virtual-ip-interface)"
	}
	return "--interface"
}

// settlePlace finds state and priority: each host must have another priority.
func (b *balancer) settlePlace(here []lbInterface) error {
	k := &b.keep
	switch k.State {
	case "", lbfiles.Main, lbfiles.Backup:
	default:
		return usage(fmt.Sprintf("there is no state %q", k.State), "use --state MASTER on one host and --state BACKUP on the others")
	}
	if len(b.in.Balancers) > 0 {
		if err := b.settleAmong(here); err != nil {
			return err
		}
	}
	switch {
	case k.Priority == 0 && k.State == "":
		return usage("it is not known which host holds the virtual address first",
			"name all hosts, in the same order on each: --balancer 10.0.0.98,10.0.0.99",
			"or say it: --state MASTER on one host, --state BACKUP --priority 100 on another, each with a priority of its own")
	case k.State == "":
		k.State = lbfiles.Main
		if k.Priority < lbfiles.Priority(0, 1) {
			k.State = lbfiles.Backup
		}
	case k.Priority == 0 && k.State == lbfiles.Main:
		k.Priority = lbfiles.Priority(0, 2)
	case k.Priority == 0:
		k.Priority = lbfiles.Priority(1, 2)
	}
	return nil
}

// settleAmong takes this host's place among all.
func (b *balancer) settleAmong(here []lbInterface) error {
	k := &b.keep
	all, err := balancerAddresses(b.in.Balancers)
	if err != nil {
		return err
	}
	place := slices.IndexFunc(all, func(a netip.Addr) bool { return isHere(here, a) })
	if place < 0 {
		if k.State != "" && k.Priority != 0 && !b.in.Unicast {
			return nil // rendered for another host
		}
		return usage("none of the balancers is this host", "see which addresses it has: ip address", "or say what this host is: --state and --priority")
	}
	if k.Priority == 0 {
		k.Priority = lbfiles.Priority(place, len(all))
	}
	if k.State == "" {
		k.State = lbfiles.Backup
		if place == 0 {
			k.State = lbfiles.Main
		}
	}
	if b.in.Unicast {
		k.Source = all[place]
		k.Peers = slices.Delete(slices.Clone(all), place, place+1)
	}
	if len(all) < 2 {
		b.warnings = append(b.warnings, "one balancer only: nobody takes the virtual address over when it fails")
	}
	return nil
}

func isHere(here []lbInterface, a netip.Addr) bool {
	return slices.ContainsFunc(here, func(i lbInterface) bool {
		return slices.ContainsFunc(i.networks, func(n netip.Prefix) bool { return n.Addr() == a })
	})
}

func balancerAddresses(list []string) ([]netip.Addr, error) {
	var all []netip.Addr
	for _, s := range list {
		a, err := netip.ParseAddr(s)
		if err != nil {
			return nil, usage(fmt.Sprintf("--balancer: %q is not an address", s), "write them as 10.0.0.98,10.0.0.99")
		}
		if slices.Contains(all, a) {
			return nil, usage(fmt.Sprintf("--balancer: %s is named twice", a))
		}
		all = append(all, a)
	}
	return all, nil
}
