package app

import (
	"context"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases/preflight"
	"github.com/hactl/hactl/phases/rootless"
)

// usersCheck finds, before anything is written, users that a control plane
// without root cannot run as.
func (m *machine) usersCheck(c *config.Cluster) preflight.Check {
	return preflight.Check{Name: "Users", Run: func(ctx context.Context) ([]string, error) {
		return nil, rootless.Problem(ctx, m.host, c)
	}}
}
