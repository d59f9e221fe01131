package nodes

import (
	"context"
	"fmt"
)

// InstallHactl puts a hactl binary of this machine on every running node,
// with settings for what this machine's kernel cannot give the nodes (see
// IgnoredChecks).
func (l *Lab) InstallHactl(ctx context.Context, binary string) error {
	if err := l.Install(ctx, binary, "/usr/local/bin/hactl", 0o755); err != nil {
		return err
	}
	checks := l.IgnoredChecks()
	if checks == "" {
		return nil
	}
	settings := fmt.Sprintf("ignore-preflight-errors: [%s]\n", checks)
	return each(l.Nodes(), func(n *Node) error {
		if !n.Running() {
			return nil
		}
		return n.WriteFile(ctx, "/etc/hactl/config.yaml", []byte(settings), 0o644)
	})
}
