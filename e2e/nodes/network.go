//go:build linux

package nodes

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
)

// conflist is the configuration of the pod network on one node; see the CNI
// specification and the pages of the bridge, host-local and portmap plugins.
type conflist struct {
	CNIVersion string   `json:"cniVersion"`
	Name       string   `json:"name"`
	Plugins    []plugin `json:"plugins"`
}

type plugin struct {
	Type         string          `json:"type"`
	Bridge       string          `json:"bridge,omitempty"`
	IsGateway    bool            `json:"isGateway,omitempty"`
	HairpinMode  bool            `json:"hairpinMode,omitempty"`
	IPAM         *ipam           `json:"ipam,omitempty"`
	Capabilities map[string]bool `json:"capabilities,omitempty"`
}

type ipam struct {
	Type   string       `json:"type"`
	Ranges [][]ipRange  `json:"ranges"`
	Routes []routeEntry `json:"routes"`
}

type ipRange struct {
	Subnet netip.Prefix `json:"subnet"`
}

type routeEntry struct {
	Dst string `json:"dst"`
}

// PodNetwork connects the pods of all running nodes: each node has a /24 of
// podCIDR, which must be a /16 or larger, and a route to each other node's. Call
// it once, at any time, and again after AddNode or Wipe.
//
// A node's /24 follows from its address in the lab. It is not the one that
// kube-controller-manager notes in the Node object, and nothing here reads
// that.
func (l *Lab) PodNetwork(ctx context.Context, podCIDR string) error {
	pods, err := netip.ParsePrefix(podCIDR)
	if err != nil {
		return err
	}
	// The gateway refuses what it cannot forward. A pod hears of it only if the
	// gateway knows the way back; without, every mistake costs a timeout.
	back, err := l.routes(nil, pods)
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(back)) {
		if err := l.onNetwork(ctx, append([]string{"ip"}, strings.Fields(line)...)...); err != nil {
			return err
		}
	}
	return each(l.Nodes(), func(n *Node) error {
		if !n.Running() {
			return nil
		}
		routes, err := l.routes(n, pods)
		if err != nil {
			return err
		}
		// The node applies this file again whenever it boots.
		const file = "/etc/hactl-lab/routes"
		if err := n.WriteFile(ctx, file, routes, 0o644); err != nil {
			return err
		}
		if _, err := n.Run(ctx, "ip", "-batch", file); err != nil || n.role == LoadBalancer {
			return err
		}
		config, err := podConfig(n, pods)
		if err != nil {
			return err
		}
		return n.WriteFile(ctx, "/etc/cni/net.d/10-lab.conflist", config, 0o644)
	})
}

// routes lists, for "ip -batch", the ways from n to the pods of the others, or
// from the gateway if n is nil.
func (l *Lab) routes(n *Node, pods netip.Prefix) ([]byte, error) {
	var b strings.Builder
	for _, other := range l.Nodes() {
		if other == n || other.role == LoadBalancer {
			continue
		}
		subnet, err := podSubnet(pods, other.address)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&b, "route replace %s via %s\n", subnet, other.address)
	}
	return []byte(b.String()), nil
}

func podConfig(n *Node, pods netip.Prefix) ([]byte, error) {
	subnet, err := podSubnet(pods, n.address)
	if err != nil {
		return nil, err
	}
	return json.MarshalIndent(conflist{
		CNIVersion: "1.0.0",
		Name:       "lab",
		Plugins: []plugin{{
			Type: "bridge", Bridge: "cni0", IsGateway: true, HairpinMode: true,
			IPAM: &ipam{
				Type:   "host-local",
				Ranges: [][]ipRange{{{Subnet: subnet}}},
				Routes: []routeEntry{{Dst: "0.0.0.0/0"}},
			},
		}, {
			Type: "portmap", Capabilities: map[string]bool{"portMappings": true},
		}},
	}, "", "  ")
}
