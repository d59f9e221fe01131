// Package kubeadmtest reads configuration files for tests. Nothing but tests
// imports it.
package kubeadmtest

import (
	"net/netip"
	"os"
	"testing"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/config/kubeadm"
)

// Init reads a file as init would on a machine with that host name and the
// address 10.0.0.11: with defaults, resolved, and valid.
func Init(t testing.TB, file, hostname string) *config.Init {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	docs, err := kubeadm.Decode(file, data)
	if err != nil {
		t.Fatal(err)
	}
	c := docs.Init
	c.Default()
	c.Resolve(config.Facts{Hostname: hostname, Address: netip.MustParseAddr("10.0.0.11")})
	if problems := c.Validate(); len(problems) > 0 {
		t.Fatal(&config.InvalidError{Problems: problems})
	}
	return c
}
