//go:build linux

package build

// announce says how long this will take, before anything starts.
func (b *builder) announce() {
	for _, c := range b.components() {
		if c.name != "kubernetes" {
			continue
		}
		key, err := c.key(b)
		_, ready := b.readyKey(c.names())
		if err == nil && !ready && !b.cache.has(c.name, key) {
			b.log.printf("The first run builds Kubernetes %s, etcd, containerd and CoreDNS from source.", b.versions.Kubernetes)
			b.log.printf("That takes 10 to 25 minutes on two cores, and is kept in %s: later runs take seconds.", b.cache.dir)
		}
	}
}
