// Command demo is what a newcomer sees: a load balancer and nodes on this
// machine, hactl making them a highly available cluster, and that cluster
// losing a control plane.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

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
	lab, err := nodes.Up(ctx, nodes.Options{Name: labName, ControlPlanes: 3, Workers: 1, LoadBalancers: 1, Keep: true, Progress: os.Stderr})
	if err != nil {
		return err
	}
	if err := lab.InstallHactl(ctx, hactl); err != nil {
		return err
	}
	for _, chapter := range []func(context.Context, *nodes.Lab) error{first, others, ready, loss} {
		if err := chapter(ctx, lab); err != nil {
			return err
		}
	}
	fmt.Printf(`
This took %.0f s. Enter a node:  go run ./e2e/lab exec --name %s cp-1
Take the lab down:            go run ./e2e/lab down --name %s
`, time.Since(began).Seconds(), labName, labName)
	return nil
}

// first makes the first control plane.
func first(ctx context.Context, lab *nodes.Lab) error {
	return show(ctx, lab.Node("cp-1"), "hactl", "init", "--control-plane-endpoint", lab.Endpoint(), "--upload-certs", "--pod-network-cidr", podCIDR)
}

// others joins all other nodes at the same time, with the commands that a
// control plane prints.
func others(ctx context.Context, lab *nodes.Lab) error {
	cp := lab.Node("cp-1")
	plane, err := cp.Run(ctx, "hactl", "token", "create", "--control-plane")
	if err != nil {
		return err
	}
	worker, err := cp.Run(ctx, "hactl", "token", "create", "--print-join-command")
	if err != nil {
		return err
	}
	commands := map[string][]string{"cp-2": joinCommand(plane.Stdout), "cp-3": joinCommand(plane.Stdout), "worker-1": joinCommand(worker.Stdout)}
	fmt.Println("\nNow cp-2, cp-3 and worker-1 join, all at once:")
	var running errgroup.Group
	for name, argv := range commands {
		running.Go(func() error { return beside(ctx, lab.Node(name), argv) })
	}
	return running.Wait()
}

// joinCommand finds the command in what hactl printed.
func joinCommand(out []byte) []string {
	for line := range strings.Lines(string(out)) {
		if fields := strings.Fields(line); len(fields) > 2 && fields[0] == "hactl" && fields[1] == "join" {
			return fields
		}
	}
	return []string{"hactl", "join"} // it says what is missing
}

// beside runs a command whose lines come between those of others.
func beside(ctx context.Context, n *nodes.Node, argv []string) error {
	began := time.Now()
	c, err := n.Command(ctx, argv...)
	if err != nil {
		return err
	}
	out, err := c.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", n.Name(), err, out)
	}
	fmt.Printf("  %s joined in %.1f s\n", n.Name(), time.Since(began).Seconds())
	return nil
}

// ready gives the pods a network and waits for everything.
func ready(ctx context.Context, lab *nodes.Lab) error {
	cp := lab.Node("cp-1")
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
	if err := show(ctx, cp, kubectl([]string{"kubectl", "get", "nodes"})...); err != nil {
		return err
	}
	return show(ctx, cp, "hactl", "status")
}

// loss takes a control plane away.
func loss(ctx context.Context, lab *nodes.Lab) error {
	cp := lab.Node("cp-1")
	fmt.Println("\nNow cp-3 loses its power.")
	if err := lab.Node("cp-3").PowerOff(ctx); err != nil {
		return err
	}
	began := time.Now()
	// The load balancer needs a moment to see it; a client tries again.
	const write = "until kubectl create configmap still-alive --from-literal=written=now --request-timeout=1s 2>/dev/null; do :; done"
	if err := show(ctx, cp, "env", kubeconfig, "timeout", "30", "sh", "-c", write); err != nil {
		return err
	}
	fmt.Printf("The cluster took that write %.1f s after the loss.\n", time.Since(began).Seconds())
	// Something needs attention now, so status ends with 1.
	if err := show(ctx, cp, "hactl", "status"); err != nil && !attention(err) {
		return err
	}
	return nil
}

// attention says whether a command ended with exit code 1.
func attention(err error) bool {
	var exit *exec.ExitError
	return errors.As(err, &exit) && exit.ExitCode() == 1
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
