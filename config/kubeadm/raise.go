package kubeadm

import (
	"maps"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// argsOf makes a list of a map, in the order of the names.
func argsOf(m map[string]string) argList {
	var out argList
	for _, name := range slices.Sorted(maps.Keys(m)) {
		out = append(out, arg{Name: name, Value: m[name]})
	}
	return out
}

// gone are the feature gates that v1beta2 and v1beta3 had. What they turned
// on is always on now (kubeadm v1.23 to v1.37, features/features.go).
var gone = []string{
	"IPv6DualStack", "UnversionedKubeletConfigMap", "EtcdLearnerMode", "UpgradeAddonsBeforeControlPlane",
	"WaitForAllControlPlaneComponents", "ControlPlaneKubeletLocalMode", "NodeLocalCRISocket",
}

// raise moves what older versions say to its place in v1beta4, and tells
// what of it is no more.
func (r *reader) raise() {
	if r.cluster != nil {
		f := from{r: r, kind: KindCluster}
		f.raiseCluster(r.cluster)
	}
	if r.join != nil && r.join.Discovery.Timeout != nil {
		f := from{r: r, kind: KindJoin}
		if r.join.Timeouts == nil {
			r.join.Timeouts = &timeouts{}
		}
		f.child("discovery.timeout").moveTo(KindJoin, "timeouts.discovery", r.join.Discovery.Timeout, &r.join.Timeouts.Discovery)
		r.join.Discovery.Timeout = nil
	}
}

func (f from) raiseCluster(c *clusterConfiguration) {
	if d := c.APIServer.TimeoutForControlPlane; d != nil {
		if f.r.init == nil {
			f.r.init = &initConfiguration{}
		}
		if f.r.init.Timeouts == nil {
			f.r.init.Timeouts = &timeouts{}
		}
		f.child("apiServer.timeoutForControlPlane").moveTo(KindInit, "timeouts.controlPlaneComponentHealthCheck",
			d, &f.r.init.Timeouts.ControlPlaneComponentHealthCheck)
		c.APIServer.TimeoutForControlPlane = nil
	}
	if h := c.UseHyperKubeImage; h != nil {
		if *h {
			f.child("useHyperKubeImage").warn("remove it", "there is no hyperkube image any more; each component has its own")
		}
		c.UseHyperKubeImage = nil
	}
	if t := c.DNS.Type; t != nil {
		if *t != "" && *t != "CoreDNS" {
			f.child("dns.type").bad("remove it", "%s is not installed any more; CoreDNS is", *t)
		}
		c.DNS.Type = nil
	}
	if v := f.r.versions[KindCluster]; v == "v1beta2" || v == "v1beta3" {
		f.child("featureGates").raiseGates(c)
	}
}

func (f from) raiseGates(c *clusterConfiguration) {
	for _, name := range gone {
		if on, ok := c.FeatureGates[name]; ok {
			if !on {
				f.child(name).warn("remove it", "cannot be turned off any more")
			}
			delete(c.FeatureGates, name)
		}
	}
	if on, ok := c.FeatureGates["PublicKeysECDSA"]; ok {
		if on {
			c.EncryptionAlgorithm = "ECDSA-P256"
		}
		delete(c.FeatureGates, "PublicKeysECDSA")
	}
}

// moveTo sets a field of v1beta4 from one of an older version, unless it is
// set already.
func (f from) moveTo(kind, path string, value *metav1.Duration, field **metav1.Duration) {
	if *field != nil {
		f.warn("remove it", "%s of %s is used in its place", path, kind)
		return
	}
	*field = value
	if f.r.places[kind] == nil {
		f.r.places[kind] = places{}
	}
	f.r.places[kind][path] = f.node()
}
