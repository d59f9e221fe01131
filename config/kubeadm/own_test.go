package kubeadm

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hactl/hactl/config"
)

var addresses = cmp.Comparer(func(a, b netip.Addr) bool { return a == b })

// hactl's own document goes to all that it stands beside, and comes back.
func TestOwn(t *testing.T) {
	const own = "---\napiVersion: hactl.io/v1alpha1\nkind: HighAvailability\nloadBalancer:\n  virtualIP: 10.0.0.100/24\n  unicast: true\n"
	const cluster = "apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\ncontrolPlaneEndpoint: 10.0.0.100:8443\n"
	const join = "apiVersion: kubeadm.k8s.io/v1beta4\nkind: JoinConfiguration\ndiscovery: {file: {kubeConfigPath: /a}}\n"
	said := config.LoadBalancer{VirtualIP: netip.MustParseAddr("10.0.0.100"), Bits: 24, Unicast: true}
	whole := said
	whole.Default()

	docs, err := Load("ha.yaml", []byte(cluster+"---\n"+join+own))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&whole, docs.Init.Cluster.LoadBalancer, addresses); diff != "" {
		t.Errorf("of the cluster: -want +got\n%s", diff)
	}
	if diff := cmp.Diff(&said, docs.Join.LoadBalancer, addresses); diff != "" {
		t.Errorf("a join is told no more than the file says: -want +got\n%s", diff)
	}
	for name, encode := range map[string]func() ([]byte, error){
		"init": func() ([]byte, error) { return EncodeInit(docs.Init) },
		"join": func() ([]byte, error) { return EncodeJoin(docs.Join) },
	} {
		text, err := encode()
		if err != nil {
			t.Fatal(err)
		}
		again, err := Load(name, text)
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, text)
		}
		if again.LoadBalancer.Address() != "10.0.0.100/24" {
			t.Errorf("%s: written as\n%s", name, text)
		}
	}

	alone, err := Load("own.yaml", []byte(own))
	if err != nil || alone.LoadBalancer == nil || alone.LoadBalancer.RouterID != config.DefaultRouterID {
		t.Errorf("alone: %v %+v", err, alone)
	}
	out, notes, err := Migrate("ha.yaml", []byte(cluster+own))
	if err != nil || len(notes) > 0 || string(out) != cluster+own {
		t.Errorf("migrated: %v %v\n%s", err, notes, out)
	}
}
