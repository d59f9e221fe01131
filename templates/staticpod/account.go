package staticpod

import (
	"context"

	corev1 "k8s.io/api/core/v1"
)

// Account is whom a component runs as instead of root, by IDs.
type Account struct {
	User, Group int64
	// Groups are further groups; nil means none.
	Groups []int64
	// LowPorts says that the component's program has the file capability to
	// listen at ports below 1024, without which the kernel does not start it.
	LowPorts bool
}

// Accounts are the users of a machine that components run as.
type Accounts interface {
	// Find returns the account of a pod, nil as long as Give has work to do.
	// It changes nothing.
	Find(ctx context.Context, pod string) (*Account, error)
	// Give makes the account of a pod, and lets it read the pod's files. It
	// may run twice.
	Give(ctx context.Context, pod string) (*Account, error)
}

// in makes the pod run as the account (kubeadm v1.37,
// util/staticpod/utils_linux.go).
func (a *Account) in(pod *corev1.Pod) {
	s := pod.Spec.SecurityContext
	s.RunAsUser, s.RunAsGroup, s.SupplementalGroups = &a.User, &a.Group, a.Groups
	own := &corev1.SecurityContext{Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}}}
	if a.LowPorts {
		// A file capability counts as an escalation of privileges.
		own.Capabilities.Add = []corev1.Capability{"NET_BIND_SERVICE"}
	} else {
		forbidden := false
		own.AllowPrivilegeEscalation = &forbidden
	}
	pod.Spec.Containers[0].SecurityContext = own
}
