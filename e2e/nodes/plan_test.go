//go:build linux

package nodes

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPlan(t *testing.T) {
	tests := map[string]struct {
		options Options
		want    []string
		reason  string
	}{
		"Usual":   {Options{ControlPlanes: 2, Workers: 1, LoadBalancers: 1}, []string{"cp-1", "cp-2", "worker-1", "lb-1"}, "control planes first"},
		"Nothing": {Options{}, nil, "a lab without nodes is a mistake"},
		"TooMany": {Options{LoadBalancers: 10}, nil, "there are nine addresses for load balancers"},
		"Etcd":    {Options{ControlPlanes: 1, EtcdHosts: 2, LoadBalancers: 1}, []string{"cp-1", "etcd-1", "etcd-2", "lb-1"}, "etcd outside of the cluster"},
		"Below":   {Options{ControlPlanes: 1, Workers: -1}, nil, "a negative number is a mistake"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := tc.options.plan()
			if diff := cmp.Diff(tc.want, got); diff != "" || (err == nil) != (tc.want != nil) {
				t.Errorf("%s; error %v, names (-want +got):\n%s", tc.reason, err, diff)
			}
		})
	}
}

func TestAddressesAreDistinct(t *testing.T) {
	seen := map[netip.Addr]bool{gateway: true, SpareAddress: true}
	for role, block := range blocks {
		for number := 1; number <= block.count; number++ {
			ip, err := address(role, number)
			if err != nil {
				t.Fatal(err)
			}
			if seen[ip] || !subnet.Contains(ip) {
				t.Errorf("%s-%d has %s, which is taken or outside of %s", role, number, ip, subnet)
			}
			seen[ip] = true
		}
	}
}

func TestParseName(t *testing.T) {
	tests := map[string]struct {
		name   string
		role   Role
		number int
		ok     bool
	}{
		"ControlPlane": {"cp-3", ControlPlane, 3, true},
		"Worker":       {"worker-12", Worker, 12, true},
		"Zero":         {name: "cp-0"},
		"Padded":       {name: "cp-01"},
		"Unknown":      {name: "db-1"},
		"NoNumber":     {name: "cp"},
		"Injection":    {name: "cp-1;reboot"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			role, number, err := parseName(tc.name)
			if (err == nil) != tc.ok || (tc.ok && (role != tc.role || number != tc.number)) {
				t.Errorf("got %s, %d, %v", role, number, err)
			}
		})
	}
}

func TestCheckName(t *testing.T) {
	for name, ok := range map[string]bool{
		"lab": true, "a": true, "e2e-1": true, "": false, "-a": false, "a-": false, "A": false, "a/b": false, "..": false,
		"abcdefghijklmnopqrstuvwxy": false,
	} {
		if err := checkName(name); (err == nil) != ok {
			t.Errorf("%q: %v, want ok = %v", name, err, ok)
		}
	}
}

func TestPodSubnet(t *testing.T) {
	node := netip.MustParseAddr("10.77.0.21")
	tests := map[string]struct{ pods, want, reason string }{
		"Usual":    {"10.244.0.0/16", "10.244.21.0/24", "the node's last octet"},
		"Unmasked": {"10.244.9.1/16", "10.244.21.0/24", "host bits do not matter"},
		"Large":    {"10.0.0.0/8", "10.0.21.0/24", "the range's beginning is used"},
		"Small":    {"10.244.0.0/20", "", "nodes would overlap"},
		"IPv6":     {"fd00::/48", "", "the lab's nodes have IPv4"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := podSubnet(netip.MustParsePrefix(tc.pods), node)
			if (err == nil) != (tc.want != "") || (err == nil && got.String() != tc.want) {
				t.Errorf("got %s, %v; want %q: %s", got, err, tc.want, tc.reason)
			}
		})
	}
}

func TestHAProxyConfig(t *testing.T) {
	got := string(haproxyConfig([]backend{{"cp-1", "10.77.0.21"}, {"cp-2", "10.77.0.22"}}))
	none := string(haproxyConfig(nil))
	want := none + "    server cp-1 10.77.0.21:6443\n    server cp-2 10.77.0.22:6443\n"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("configuration (-want +got):\n%s", diff)
	}
}
