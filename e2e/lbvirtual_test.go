//go:build e2e

package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hactl/hactl/e2e/nodes"
)

// TestVirtualAddress puts HAProxy and Keepalived on the control planes
// themselves: the API servers stay at 6443, and the endpoint is 8443 at the
// virtual address. The host that holds it fails.
func TestVirtualAddress(t *testing.T) {
	lab := start(t, nodes.Options{Name: "lbvip", ControlPlanes: 3})
	b := &balancers{lab: lab, cp: lab.Node("cp-2"), hosts: lab.Nodes(), vip: nodes.SpareAddress.String(), endpoint: nodes.SpareAddress.String() + ":8443"}
	var addresses []string
	for _, n := range b.hosts {
		addresses = append(addresses, n.Address().String())
	}
	among := "--balancer=" + strings.Join(addresses, ",")
	openPage(t, lab, "load-balancer.md").section(t, "Without extra hosts")
	o := hactl(t, lab.Node("cp-1"), "init", "--control-plane-endpoint", b.endpoint, "--upload-certs", "--pod-network-cidr", podCIDR, "-o", "json")
	if o.code != 0 {
		t.Fatalf("exit code %d\n%s%s", o.code, o.stdout, o.stderr)
	}
	result(t, o.stdout, &b.result)
	joinAtOnce(t, lab, b.result, "cp-2", "cp-3")
	network(t, lab)
	if r := b.check(t, check{want: "good", address: b.endpoint, more: []string{among}}); len(r.Backends) != 3 || r.found("single-balancer") {
		t.Errorf("found %+v %+v, want three backends behind three balancers", r.Backends, r.Warnings)
	}
	holder := b.holder(t)
	if holder != lab.Node("cp-1") {
		t.Fatalf("cp-1 has the highest priority; the address is held by %v", holder)
	}
	g := b.measure(t, func() {
		if err := holder.PowerOff(t.Context()); err != nil {
			t.Error(err)
		}
	})
	t.Logf("cp-1, which held the address, lost its power: clients were cut off for %.1f s", g.Seconds)
	if g.Seconds > limitFailover {
		t.Errorf("the limit is %.1f s", limitFailover)
	}
	eventually(t, 10*time.Second, "another control plane holds the address", func() (bool, string) {
		return b.holder(t) != nil, fmt.Sprint(b.holder(t))
	})
}
