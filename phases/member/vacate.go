package member

import (
	"context"
	"fmt"

	"github.com/hactl/hactl/templates/staticpod"
)

// vacate takes the manifest away, and ends the pod that the kubelet made of
// it. A kubelet that has not heard from its API server yet ends no static pod
// whose manifest went or changed, and starts no other of the same name beside
// it (kubernetes v1.37, pkg/kubelet, deletePod and allowStaticPodStart): the
// new etcd would wait for an API server that waits for this etcd.
func (t *JoinTask) vacate(ctx context.Context) error {
	if err := t.Files.Remove(ctx, staticpod.Path(t.Dir, Name)); err != nil {
		return err
	}
	if t.Forget == nil {
		return nil
	}
	if err := t.Forget(ctx); err != nil {
		return fmt.Errorf("end the etcd that ran by another manifest: %w", err)
	}
	return nil
}
