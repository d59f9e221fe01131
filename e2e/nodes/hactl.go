package nodes

import (
	"context"
	"errors"
	"io/fs"
	"os"
)

// cgroupV1Settings let hactl go on where the kernel has cgroup v1: the
// nodes' kubelets are configured to live with it, which hactl cannot know.
const cgroupV1Settings = "ignore-preflight-errors: [SystemVerification]\n"

// InstallHactl puts a hactl binary of this machine on every running cluster
// node, with the settings that this machine's kernel asks for.
func (l *Lab) InstallHactl(ctx context.Context, binary string) error {
	if err := l.Install(ctx, binary, "/usr/local/bin/hactl", 0o755); err != nil {
		return err
	}
	if _, err := os.Stat("/sys/fs/cgroup/cgroup.controllers"); !errors.Is(err, fs.ErrNotExist) {
		return err // nil: the kernel has cgroup v2
	}
	return each(l.Nodes(), func(n *Node) error {
		if !n.Running() {
			return nil
		}
		return n.WriteFile(ctx, "/etc/hactl/config.yaml", []byte(cgroupV1Settings), 0o644)
	})
}
