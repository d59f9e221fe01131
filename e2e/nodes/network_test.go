//go:build linux

package nodes

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// testLab is a lab on paper.
func testLab(t *testing.T, names ...string) *Lab {
	t.Helper()
	l := &Lab{name: "paper"}
	for _, name := range names {
		n, err := l.newNode(name)
		if err != nil {
			t.Fatal(err)
		}
		l.nodes = append(l.nodes, n)
	}
	return l
}

func TestRoutes(t *testing.T) {
	l := testLab(t, "cp-1", "cp-2", "worker-1", "lb-1")
	tests := map[string]struct {
		from   *Node
		want   string
		reason string
	}{
		"ControlPlane": {
			l.Node("cp-1"), "route replace 10.244.22.0/24 via 10.77.0.22\nroute replace 10.244.101.0/24 via 10.77.0.101\n",
			"not to itself, and load balancers have no pods",
		},
		"Gateway": {
			nil, "route replace 10.244.21.0/24 via 10.77.0.21\nroute replace 10.244.22.0/24 via 10.77.0.22\n" +
				"route replace 10.244.101.0/24 via 10.77.0.101\n", "answers reach every pod",
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := l.routes(tc.from, netip.MustParsePrefix("10.244.0.0/16"))
			if diff := cmp.Diff(tc.want, string(got)); diff != "" || err != nil {
				t.Errorf("%s; error %v, routes (-want +got):\n%s", tc.reason, err, diff)
			}
		})
	}
}

func TestEndpointAndHosts(t *testing.T) {
	l := testLab(t, "cp-1", "lb-1")
	if got := l.Endpoint(); got != "10.77.0.11:6443" {
		t.Errorf("endpoint %s", got)
	}
	if got := testLab(t, "cp-1").Endpoint(); got != "10.77.0.21:6443" {
		t.Errorf("endpoint without a load balancer %s", got)
	}
	want := "127.0.0.1 localhost\n::1 localhost\n10.77.0.21 cp-1\n10.77.0.11 lb-1\n10.77.0.11 api.lab\n"
	if diff := cmp.Diff(want, string(l.hosts(l.Node("cp-1")))); diff != "" {
		t.Errorf("hosts (-want +got):\n%s", diff)
	}
}
