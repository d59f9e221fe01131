package config

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// balanced is a cluster whose control planes balance for themselves.
func balanced(change func(*Init)) *Init {
	return valid(func(c *Init) {
		c.Cluster.ControlPlaneEndpoint = HostPort{Host: "192.168.7.100", Port: 8443}
		c.Cluster.LoadBalancer = &LoadBalancer{VirtualIP: netip.MustParseAddr("192.168.7.100"), Bits: 24}
		change(c)
	})
}

func TestLoadBalancerProblems(t *testing.T) {
	address := func(s string) func(*Init) {
		return func(c *Init) {
			c.Cluster.ControlPlaneEndpoint.Host, c.Cluster.LoadBalancer.VirtualIP = s, netip.MustParseAddr(s)
		}
	}
	cases := map[string]struct {
		reason string
		change func(*Init)
		paths  []string // of the problems
	}{
		"Good":      {"the endpoint is the address, at another port", func(*Init) {}, nil},
		"Name":      {"a name may lead to it", func(c *Init) { c.Cluster.ControlPlaneEndpoint.Host = "api.example.com" }, nil},
		"NoAddress": {"there is nothing to hold", func(c *Init) { c.Cluster.LoadBalancer.VirtualIP = netip.Addr{} }, []string{"loadBalancer.virtualIP"}},
		"NoEndpoint": {"nobody would use the address", func(c *Init) { c.Cluster.ControlPlaneEndpoint = HostPort{} },
			[]string{"controlPlaneEndpoint"}},
		"OtherAddress": {"clients would go elsewhere", func(c *Init) { c.Cluster.ControlPlaneEndpoint.Host = "192.168.7.99" },
			[]string{"controlPlaneEndpoint"}},
		"NoPort":   {"it would be the API server's", func(c *Init) { c.Cluster.ControlPlaneEndpoint.Port = 0 }, []string{"controlPlaneEndpoint"}},
		"SamePort": {"two cannot listen there", func(c *Init) { c.Local.Port = 8443 }, []string{"controlPlaneEndpoint"}},
		"OwnNode":  {"it could not move", address("192.168.7.10"), []string{"loadBalancer.virtualIP"}},
		"Family":   {"HAProxy listens for the API servers' family", address("fd00::7"), []string{"loadBalancer.virtualIP"}},
		"Loopback": {"each node has its own", address("127.0.0.9"), []string{"loadBalancer.virtualIP"}},
		"PodSubnet": {"pods would have it", func(c *Init) {
			c.Cluster.ControlPlaneEndpoint.Host, c.Cluster.LoadBalancer.VirtualIP = "api.example.com", netip.MustParseAddr("10.244.9.9")
		}, []string{podPath}},
		"Interface": {"keepalived.conf would mean something else", func(c *Init) { c.Cluster.LoadBalancer.Interface = "eth0 }" },
			[]string{"loadBalancer.interface"}},
		"RouterID": {"VRRP has eight bits for it", func(c *Init) { c.Cluster.LoadBalancer.RouterID = 256 }, []string{"loadBalancer.routerID"}},
		"Check":    {"there is no such check", func(c *Init) { c.Cluster.LoadBalancer.Check = "http" }, []string{"loadBalancer.check"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got := paths(balanced(c.change).Validate())
			if diff := cmp.Diff(c.paths, got); diff != "" {
				t.Errorf("%s: (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}

func TestLoadBalancerDifferences(t *testing.T) {
	cluster := &LoadBalancer{VirtualIP: netip.MustParseAddr("10.0.0.100"), Bits: 24, Interface: "eth0", RouterID: 51, Check: "readyz"}
	cases := map[string]struct {
		reason string
		own    LoadBalancer
		want   int // lines
	}{
		"Nothing":   {"what is not said is the cluster's", LoadBalancer{}, 0},
		"Same":      {"the file of init", *cluster, 0},
		"NoPrefix":  {"it is the same address", LoadBalancer{VirtualIP: cluster.VirtualIP}, 0},
		"Interface": {"each node has its own", LoadBalancer{Interface: "ens3"}, 0},
		"Address":   {"another address", LoadBalancer{VirtualIP: netip.MustParseAddr("10.0.0.101"), Bits: 24}, 1},
		"Prefix":    {"another network", LoadBalancer{VirtualIP: cluster.VirtualIP, Bits: 16}, 1},
		"All":       {"each is told", LoadBalancer{RouterID: 7, Check: "tcp", Unicast: true}, 3},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if got := c.own.Differences(cluster); len(got) != c.want {
				t.Errorf("%s: %q, want %d", c.reason, got, c.want)
			}
		})
	}
}

func TestParseVirtualIP(t *testing.T) {
	for s, want := range map[string]string{
		"10.0.0.100/24": "10.0.0.100/24", "10.0.0.100": "10.0.0.100", "fd00::1/64": "fd00::1/64", "FD00::1": "fd00::1",
		"10.0.0.100/0": "", "10.0.0.256": "", "api.example.com": "", "fe80::1%eth0": "",
	} {
		a, bits, err := ParseVirtualIP(s)
		if got := (&LoadBalancer{VirtualIP: a, Bits: bits}).Address(); got != want || (err != nil) != (want == "") {
			t.Errorf("%s became %q (%v), want %q", s, got, err, want)
		}
	}
}
