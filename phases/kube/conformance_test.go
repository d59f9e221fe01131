package kube_test

import (
	"testing"

	"github.com/hactl/hactl/phases/kube"
	"github.com/hactl/hactl/phases/kube/kubetest"
)

func TestConformance(t *testing.T) {
	apis := map[string]func() kube.API{
		"Memory":           func() kube.API { return kube.NewMemory() },
		"Overlay":          func() kube.API { return kube.NewOverlay(kube.NewMemory()) },
		"OverlayOfOverlay": func() kube.API { return kube.NewOverlay(kube.NewOverlay(kube.NewMemory())) },
		"Client":           func() kube.API { return kube.NewTestClient(t) },
	}
	for name, api := range apis {
		t.Run(name, func(t *testing.T) { kubetest.Run(t, api) })
	}
}
