//go:build e2e

package kube_test

import (
	"os"
	"testing"

	"github.com/hactl/hactl/phases/host"
	"github.com/hactl/hactl/phases/kube"
	"github.com/hactl/hactl/phases/kube/kubetest"
)

// TestServerConformance runs against the cluster of HACTL_E2E_KUBECONFIG, a
// file of a cluster administrator.
func TestServerConformance(t *testing.T) {
	path := os.Getenv("HACTL_E2E_KUBECONFIG")
	if path == "" {
		t.Fatal("HACTL_E2E_KUBECONFIG is not set")
	}
	client := kube.NewClient(kube.FromKubeconfig(host.NewLocal(""), "", path))
	t.Run("Client", func(t *testing.T) { kubetest.Run(t, func() kube.API { return client }) })
	t.Run("Overlay", func(t *testing.T) { kubetest.Run(t, func() kube.API { return kube.NewOverlay(client) }) })
}
