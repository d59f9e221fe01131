// Command demo is what a newcomer sees: a load balancer and a node on this
// machine, and hactl making the node the first control plane of a cluster.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"

	"github.com/hactl/hactl/e2e/nodes"
)

const (
	labName = "demo"
	podCIDR = "10.244.0.0/16"
	// settled is how long the pods may take once the network is there.
	settled = "120s"
)

func main() {
	hactl := flag.String("hactl", "bin/hactl", "the hactl to show")
	flag.Parse()
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt)
	defer cancel()
	if err := run(ctx, *hactl); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, hactl string) error {
	began := time.Now()
	if err := nodes.Down(ctx, labName); err != nil && !errors.Is(err, nodes.ErrNoLab) {
		return err
	}
	lab, err := nodes.Up(ctx, nodes.Options{Name: labName, ControlPlanes: 1, LoadBalancers: 1, Keep: true, Progress: os.Stderr})
	if err != nil {
		return err
	}
	if err := lab.InstallHactl(ctx, hactl); err != nil {
		return err
	}
	cp := lab.Node("cp-1")
	if err := show(ctx, cp, "hactl", "init", "--control-plane-endpoint", lab.Endpoint(), "--upload-certs", "--pod-network-cidr", podCIDR); err != nil {
		return err
	}
	fmt.Println("\nApplying the pod network, and waiting for the pods.")
	if err := lab.PodNetwork(ctx, podCIDR); err != nil {
		return err
	}
	for _, wait := range [][]string{
		{"kubectl", "wait", "--for=condition=Ready", "nodes", "--all", "--timeout=" + settled},
		{"kubectl", "rollout", "status", "deployment/coredns", "daemonset/kube-proxy", "-n", "kube-system", "--timeout=" + settled},
		{"kubectl", "wait", "--for=condition=Ready", "pods", "--all", "-A", "--timeout=" + settled},
	} {
		if _, err := cp.Run(ctx, kubectl(wait)...); err != nil {
			return err
		}
	}
	for _, look := range [][]string{{"kubectl", "get", "nodes"}, {"kubectl", "get", "pods", "-A"}} {
		if err := show(ctx, cp, kubectl(look)...); err != nil {
			return err
		}
	}
	fmt.Printf(`
This took %.0f s. Enter the node:  go run ./e2e/lab exec --name %s cp-1
Take the lab down:             go run ./e2e/lab down --name %s
`, time.Since(began).Seconds(), labName, labName)
	return nil
}

// show prints a command and runs it on the node, with its output here.
func show(ctx context.Context, n *nodes.Node, argv ...string) error {
	fmt.Printf("\n%s# ", n.Name())
	for _, a := range argv {
		if a != "env" && a != kubeconfig {
			fmt.Print(a, " ")
		}
	}
	fmt.Println()
	c, err := n.Command(ctx, argv...)
	if err != nil {
		return err
	}
	c.Stdout, c.Stderr = os.Stdout, os.Stderr
	if err := c.Run(); err != nil {
		return fmt.Errorf("%s: %w", argv[0], err)
	}
	return nil
}

const kubeconfig = "KUBECONFIG=/etc/kubernetes/admin.conf"

func kubectl(argv []string) []string { return append([]string{"env", kubeconfig}, argv...) }
