package cmd

import (
	"github.com/spf13/pflag"

	"github.com/hactl/hactl/config"
)

// virtualFlags say that the control planes balance for themselves. In a file,
// it is the document HighAvailability.
type virtualFlags struct {
	address, device string
	routerID        int
	unicast         bool
}

// virtualNames are the names of the flags.
const virtualNames = "virtual-ip virtual-ip-interface virtual-ip-unicast virtual-router-id"

func (f *virtualFlags) register(s *pflag.FlagSet) {
	s.StringVar(&f.address, "virtual-ip", "", "virtual address of the control planes, which run HAProxy and Keepalived for it, such as 10.0.0.100/24: that of --control-plane-endpoint, at another port than the API servers'")
	s.StringVar(&f.device, "virtual-ip-interface", "", "network interface of the virtual address on this node (default: the one whose network has it)")
	s.BoolVar(&f.unicast, "virtual-ip-unicast", false, "the control planes talk about the virtual address to each other only: for networks without multicast")
	s.IntVar(&f.routerID, "virtual-router-id", 0, "number of the control planes' VRRP group, 1 to 255, of no other group in the network (default: 51)")
}

// balancer is nil if no flag is given.
func (f *virtualFlags) balancer(p *parser) *config.LoadBalancer {
	if *f == (virtualFlags{}) {
		return nil
	}
	b := &config.LoadBalancer{Interface: f.device, RouterID: f.routerID, Unicast: f.unicast}
	if f.address != "" {
		var err error
		if b.VirtualIP, b.Bits, err = config.ParseVirtualIP(f.address); err != nil {
			p.add("--virtual-ip", err.Error(), "")
		}
	}
	return b
}
