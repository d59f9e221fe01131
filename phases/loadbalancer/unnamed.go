package loadbalancer

import (
	"context"
	"net/netip"
	"slices"
)

// Unnamed asks all servers at once, takes the certificate of the first that
// answers, and returns those of the names that it is not valid for: clients
// that use one of them would refuse the server. Answered is false if there
// was no certificate. The names of the servers themselves differ; those of a
// balancer must be in all of them.
func Unnamed(ctx context.Context, dial Dial, servers []netip.AddrPort, names []string) (missing []string, answered bool) {
	contacts := make(chan *contact, len(servers))
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for _, s := range servers {
		go func() {
			c, _ := reach(ctx, dial, s.String(), s.Addr().String())
			contacts <- c
		}()
	}
	for range servers {
		c := <-contacts
		if c == nil || !slices.Contains(c.leaf.DNSNames, "kubernetes") {
			continue // nobody, or no API server
		}
		for _, n := range names {
			if c.leaf.VerifyHostname(n) != nil {
				missing = append(missing, n)
			}
		}
		return missing, true
	}
	return nil, false
}
