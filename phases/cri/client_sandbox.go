package cri

import (
	"context"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// Sandboxes lists the sandboxes that the kubelet had made.
func (c *Client) Sandboxes(ctx context.Context) ([]Sandbox, error) {
	r, err := ask(ctx, c, c.runtime.ListPodSandbox, &runtimeapi.ListPodSandboxRequest{})
	if err != nil {
		return nil, err
	}
	var list []Sandbox
	for _, s := range r.GetItems() {
		labels := s.GetLabels()
		if labels[labelPod] == "" {
			continue
		}
		list = append(list, Sandbox{
			ID: s.GetId(), Namespace: labels[labelNamespace], Pod: labels[labelPod],
			Ready:     s.GetState() == runtimeapi.PodSandboxState_SANDBOX_READY,
			CreatedAt: moment(s.GetCreatedAt()),
		})
	}
	orderSandboxes(list)
	return list, nil
}

// StopSandbox kills the sandbox's containers and takes its network down.
func (c *Client) StopSandbox(ctx context.Context, id string) error {
	_, err := c.runtime.StopPodSandbox(ctx, &runtimeapi.StopPodSandboxRequest{PodSandboxId: id})
	return c.done(ctx, err)
}

// RemoveSandbox removes the sandbox with its containers.
func (c *Client) RemoveSandbox(ctx context.Context, id string) error {
	_, err := c.runtime.RemovePodSandbox(ctx, &runtimeapi.RemovePodSandboxRequest{PodSandboxId: id})
	return c.done(ctx, err)
}

// StopContainer ends the container's program.
func (c *Client) StopContainer(ctx context.Context, id string) error {
	_, err := c.runtime.StopContainer(ctx, &runtimeapi.StopContainerRequest{ContainerId: id, Timeout: 1})
	return c.done(ctx, err)
}

// done is nil for what is not there.
func (c *Client) done(ctx context.Context, err error) error {
	if err == nil || status.Code(err) == codes.NotFound {
		return nil
	}
	return c.explain(ctx, err)
}
