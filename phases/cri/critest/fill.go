package critest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/hactl/hactl/phases/cri"
)

// Fill puts an image and a running container into the runtime and returns
// the fixture that says so.
func Fill(m *cri.Memory) Fixture {
	f := Fixture{
		Runtime: m,
		Image:   "registry.k8s.io/pause:3.10.2",
		NoImage: "registry.k8s.io/no-such-image:v0",
		Running: cri.Container{
			ID: "c1", Namespace: "kube-system", Pod: "kube-apiserver-node-1", Name: "kube-apiserver",
			Image: "registry.k8s.io/kube-apiserver:v1.37.1", State: cri.Running,
			Attempt: 2, CreatedAt: time.Unix(1_800_000_000, 0).UTC(),
		},
		Log: []string{"starting", "serving securely"},
	}
	m.SetImages(f.Image)
	m.OnPull(func(_ context.Context, image string) error {
		if image == f.NoImage {
			return errors.New("not found")
		}
		return nil
	})
	m.SetContainer(f.Running, f.Log...)
	other := f.Running
	other.ID, other.Name, other.Pod = "c2", "etcd", "etcd-node-1"
	m.SetContainer(other, "etcd is up")
	f.Sandboxes = []cri.Sandbox{
		{ID: "s2", Namespace: "kube-system", Pod: "etcd-node-1", Ready: true, CreatedAt: time.Unix(1_800_000_000, 0).UTC()},
		{ID: "s3", Namespace: "kube-system", Pod: "kube-apiserver-node-1", Ready: true, CreatedAt: time.Unix(1_800_000_009, 0).UTC()},
		{ID: "s1", Namespace: "kube-system", Pod: "kube-apiserver-node-1", CreatedAt: time.Unix(1_800_000_000, 0).UTC()},
	}
	for _, s := range f.Sandboxes {
		m.SetSandbox(s)
	}
	f.Change = func(*testing.T) { m.SetContainer(other, "etcd is up again") }
	return f
}
