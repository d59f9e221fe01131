//go:build e2e && soak

package e2e

import (
	"fmt"
	"testing"

	"github.com/hactl/hactl/e2e/nodes"
)

// TestJoinRepeated makes the same cluster of three control planes and a
// worker again and again, with all joins started in the same second.
func TestJoinRepeated(t *testing.T) {
	lab := start(t, nodes.Options{Name: "repeated", ControlPlanes: 3, Workers: 1, LoadBalancers: 1})
	for round := range 10 {
		if round > 0 {
			for _, n := range lab.Nodes() {
				if n.Role() != nodes.LoadBalancer {
					wipe(t, lab, n)
				}
			}
		}
		t.Run(fmt.Sprint(round+1), func(t *testing.T) {
			r := initialized(t, lab)
			w := writes(t, lab.Node("cp-1"), lab.Endpoint())
			joinAtOnce(t, lab, r, "cp-2", "cp-3", "worker-1")
			network(t, lab)
			w.end()
			healthyMembers(t, lab.Node("cp-1"), "cp-1", "cp-2", "cp-3")
			healthyStatus(t, lab.Node("cp-1"))
		})
	}
}

// TestJoinFive makes a cluster of five control planes at once, of which two
// may fail.
func TestJoinFive(t *testing.T) {
	lab := start(t, nodes.Options{Name: "five", ControlPlanes: 5, LoadBalancers: 1})
	cp := lab.Node("cp-1")
	r := initialized(t, lab)
	w := writes(t, cp, lab.Endpoint())
	defer w.end()
	joinAtOnce(t, lab, r, "cp-2", "cp-3", "cp-4", "cp-5")
	network(t, lab)
	healthyMembers(t, cp, "cp-1", "cp-2", "cp-3", "cp-4", "cp-5")
	healthyStatus(t, cp)
	for _, name := range []string{"cp-4", "cp-5"} {
		if err := lab.Node(name).PowerOff(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	// Two are dead, and so not one more may be: the writer goes on.
	for _, name := range []string{"cp-4", "cp-5"} {
		remove(t, cp, name)
	}
	healthyMembers(t, cp, "cp-1", "cp-2", "cp-3")
}
