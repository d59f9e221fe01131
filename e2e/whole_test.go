//go:build e2e

package e2e

import (
	"testing"

	"github.com/hactl/hactl/e2e/nodes"
)

// TestWhole looks at one run of init from outside: what it announced, what
// it gave away, and whether kubeadm can take over.
func TestWhole(t *testing.T) {
	lab := start(t, nodes.Options{Name: "whole", ControlPlanes: 1})
	cp := lab.Node("cp-1")
	initConfig(t, cp)
	flags := []string{"init", "--config", initFile, "--upload-certs"}
	w := &watched{node: cp}
	t.Run("DryRunTellsAll", func(t *testing.T) { dryRunTellsAll(t, w, flags) })
	if w.first.code != 0 || w.first.stdout == "" {
		return
	}
	if err := lab.PodNetwork(t.Context(), podCIDR); err != nil {
		t.Fatal(err)
	}
	kubectl(t, cp, "wait", "--for=condition=Ready", "node/cp-1", "--timeout=60s")
	t.Run("KubeadmReads", func(t *testing.T) { kubeadmReads(t, lab, cp) })
	t.Run("NoSecrets", func(t *testing.T) { noSecrets(t, w, flags) })
}
