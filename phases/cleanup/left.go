package cleanup

import (
	"context"
	"slices"
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
	return append(list,
		Left{"iptables, nftables and IPVS rules", "other programs have theirs among them; a reboot removes those of kube-proxy"},
		Left{"kubeconfig files in home directories", "such as ~/.kube/config"},
	), nil
}
