package cleanup

import (
	"context"
	"slices"
	"strings"
)

// LeftAlone lists what a reset leaves on the machine, and why: what others
// made, and what can only be undone by those who know what else uses it.
func LeftAlone(ctx context.Context, t *Task) ([]Left, error) {
	list := slices.Clone(t.left)
	if list == nil {
		f, err := t.find(ctx)
		if err != nil {
			return nil, err
		}
		list = f.left
	}
	names, err := t.names(ctx, "/etc/cni/net.d")
	if err != nil {
		return nil, err
	}
	if len(names) > 0 {
		list = append(list, Left{"/etc/cni/net.d", "the pod network's settings; its interfaces and /var/lib/cni stay too"})
	}
	if t.hasUsers(ctx) {
		list = append(list, Left{"users and groups kubeadm-*", "etcd's data that was moved aside is theirs; once it is gone, too: userdel and groupdel"})
	}
	return append(list,
		Left{"iptables, nftables and IPVS rules", "other programs have theirs among them; a reboot removes those of kube-proxy"},
		Left{"kubeconfig files in home directories", "such as ~/.kube/config"},
	), nil
}

// hasUsers says whether the machine has the users of a control plane that
// ran without root (phases/rootless).
func (t *Task) hasUsers(ctx context.Context) bool {
	data, err := t.Host.ReadFile(ctx, "/etc/passwd")
	return err == nil && strings.Contains("\n"+string(data), "\nkubeadm-etcd:")
}
