package kubeadm

import (
	"github.com/hactl/hactl/config"
)

// The wire type of hactl's own kind. It stands in the same file as kubeadm's
// kinds, and kubeadm ignores it.
type (
	highAvailability struct {
		typeMeta     `json:",inline"`
		LoadBalancer *loadBalancer `json:"loadBalancer,omitempty"`
	}

	loadBalancer struct {
		VirtualIP string `json:"virtualIP,omitempty"`
		Interface string `json:"interface,omitempty"`
		RouterID  int32  `json:"routerID,omitempty"`
		Unicast   bool   `json:"unicast,omitempty"`
		Check     string `json:"check,omitempty"`
	}
)

// EncodeOwn writes hactl's own document, for a file and for ConfigMap
// kube-system/hactl-config.
func EncodeOwn(b *config.LoadBalancer) ([]byte, error) {
	return marshal(KindOwn, &highAvailability{
		typeMeta: typeMeta{Kind: KindOwn, APIVersion: ownGroup + "/" + ownVersion},
		LoadBalancer: &loadBalancer{
			VirtualIP: b.Address(), Interface: b.Interface, RouterID: int32(b.RouterID), Unicast: b.Unicast, Check: b.Check,
		},
	})
}

// convertOwn gives hactl's own document to all that it is for.
func (r *reader) convertOwn(d *Documents) {
	if r.own == nil || r.own.LoadBalancer == nil {
		return
	}
	in, f := r.own.LoadBalancer, from{r: r, kind: KindOwn, path: "loadBalancer"}
	b := config.LoadBalancer{Interface: in.Interface, RouterID: int(in.RouterID), Unicast: in.Unicast, Check: in.Check}
	if in.VirtualIP != "" {
		var err error
		if b.VirtualIP, b.Bits, err = config.ParseVirtualIP(in.VirtualIP); err != nil {
			f.child("virtualIP").bad("", "%s", err)
		}
	}
	if r.places[KindOwn]["loadBalancer.routerID"] != nil && in.RouterID == 0 {
		f.child("routerID").bad("", "0 is not 1 to 255")
	}
	d.LoadBalancer = &b
	if d.Init != nil {
		own := b
		d.Init.Cluster.LoadBalancer = &own
	}
	if d.Join != nil {
		own := b
		d.Join.LoadBalancer = &own
	}
}
