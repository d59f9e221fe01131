package main

import (
	"context"
	"fmt"

	"github.com/hactl/hactl/e2e/nodes"
)

const (
	// keepFiles packs all that a first control plane has when the kubelet is
	// started: etcd is empty.
	keepFiles = "cd / && tar -c etc/kubernetes var/lib/kubelet/pki var/lib/kubelet/*.yaml var/lib/kubelet/kubeadm-flags.env"
	floorFile = "/root/floor.tar"
	// startAll is what is measured.
	startAll = `systemctl start kubelet && until curl -ksfo /dev/null https://127.0.0.1:6443/readyz; do sleep 0.05; done`
)

// files packs what floor needs, on a node that is a first control plane.
func files(ctx context.Context, cp *nodes.Node) ([]byte, error) {
	r, err := cp.Run(ctx, "sh", "-c", keepFiles)
	return r.Stdout, err
}

// floor is the time, in seconds, from the start of the kubelet to an API
// server that is ready, with every file in place: what Kubernetes itself
// needs. The node is a fresh one with the name and address of the one
// that the files are from.
func floor(ctx context.Context, cp *nodes.Node, files []byte) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, clusterLimit)
	defer cancel()
	if err := cp.WriteFile(ctx, floorFile, files, 0o600); err != nil {
		return 0, err
	}
	if _, err := cp.Run(ctx, "sh", "-ec", "systemctl stop kubelet; tar -C / -xf "+floorFile+"; sync"); err != nil {
		return 0, err
	}
	m, err := underMeter(ctx, cp, []string{"sh", "-c", startAll})
	if err == nil && m.Code != 0 {
		err = fmt.Errorf("floor: exit code %d\n%s", m.Code, m.Stderr)
	}
	return m.Ended.Sub(m.Began).Seconds(), err
}
