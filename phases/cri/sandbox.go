package cri

import (
	"cmp"
	"context"
	"slices"
	"time"
)

// Sandboxes are what a runtime keeps of Pods: each has one sandbox for each
// time that it was started.
type Sandboxes interface {
	// Sandboxes lists the sandboxes that the kubelet had made, those that
	// stopped included: by namespace and pod, the newest of each first. What
	// other users of the runtime made is not among them.
	Sandboxes(ctx context.Context) ([]Sandbox, error)
	// StopSandbox kills the sandbox's containers and takes its network down.
	// After an error of the network plugin the containers are stopped all
	// the same. One that is not there is no error. It has no limit but ctx.
	StopSandbox(ctx context.Context, id string) error
	// RemoveSandbox removes the sandbox with its containers. One that is not
	// there is no error. It has no limit but ctx.
	RemoveSandbox(ctx context.Context, id string) error
}

// Sandbox is what holds the containers of one Pod.
type Sandbox struct {
	ID        string
	Namespace string
	Pod       string
	// Ready says that it was not stopped: containers may run in it.
	Ready     bool
	CreatedAt time.Time
}

// Name is the Pod's, with its namespace.
func (s Sandbox) Name() string { return s.Namespace + "/" + s.Pod }

// orderSandboxes puts the sandboxes as Sandboxes promises.
func orderSandboxes(list []Sandbox) {
	slices.SortFunc(list, func(a, b Sandbox) int {
		return cmp.Or(
			cmp.Compare(a.Namespace, b.Namespace),
			cmp.Compare(a.Pod, b.Pod),
			b.CreatedAt.Compare(a.CreatedAt),
			cmp.Compare(a.ID, b.ID),
		)
	})
}
