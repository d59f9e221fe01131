package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/hactl/hactl/e2e/nodes"
)

const (
	podCIDR = "10.244.0.0/16"
	// clusterLimit is the longest that one cluster may take to be Ready.
	clusterLimit = 10 * time.Minute
	kubeconfig   = "KUBECONFIG=/etc/kubernetes/admin.conf"
)

// joiners are the nodes that join, in the order of serial.
var joiners = []string{"cp-2", "cp-3", "worker-1"}

// builder makes one cluster with one tool and takes the time.
type builder struct {
	lab   *nodes.Lab
	tool  tool
	zero  time.Time // the start of the first command
	joins joinCommands
	shown []string // the commands, for the report
}

// build makes a cluster on fresh nodes.
func build(ctx context.Context, lab *nodes.Lab, by tool, how mode) (cluster, []string, error) {
	ctx, cancel := context.WithTimeout(ctx, clusterLimit)
	defer cancel()
	b := &builder{lab: lab, tool: by}
	c := cluster{Tool: by, Mode: how}
	load, err := startLoad(lab)
	if err != nil {
		return c, nil, err
	}
	first, err := b.init(ctx)
	if err != nil {
		return c, nil, err
	}
	// The same for both tools, and at the same moment.
	if err := lab.PodNetwork(ctx, podCIDR); err != nil {
		return c, nil, err
	}
	ready := make(chan map[string]time.Time, 1)
	var all errgroup.Group
	all.Go(func() error { return b.watchReady(ctx, ready) })
	joined, err := b.join(ctx, how)
	if err != nil {
		cancel()
		_ = all.Wait() // it only says that it was cancelled
		return c, nil, err
	}
	if err := all.Wait(); err != nil {
		return c, nil, err
	}
	c.Commands = append([]command{first}, joined...)
	c.Nodes = map[string]float64{}
	for name, at := range <-ready {
		c.Nodes[name] = at.Sub(b.zero).Seconds()
		c.Ready = max(c.Ready, c.Nodes[name])
	}
	for _, x := range c.Commands {
		c.Ready = max(c.Ready, x.End)
	}
	c.Others, err = load.others()
	return c, b.shown, err
}

func (b *builder) init(ctx context.Context) (command, error) {
	argv := []string{
		string(b.tool), "init", "--control-plane-endpoint", b.lab.Endpoint(), "--upload-certs",
		"--pod-network-cidr", podCIDR, "--kubernetes-version", b.lab.Versions().Kubernetes,
	}
	m, err := b.run(ctx, "cp-1", argv)
	if err != nil {
		return command{}, err
	}
	b.zero = m.Began
	if b.tool == hactl {
		b.joins, err = hactlJoins(m.Stdout)
	} else {
		b.joins, err = kubeadmJoins(m.Stdout)
	}
	if err != nil {
		return command{}, err
	}
	b.shown = []string{b.show(argv), b.show(b.joins.controlPlane), b.show(b.joins.worker)}
	return b.command("cp-1", m)
}

// join lets all other nodes join.
func (b *builder) join(ctx context.Context, how mode) ([]command, error) {
	var running errgroup.Group
	if how == serial {
		running.SetLimit(1)
	}
	done := make([]command, len(joiners))
	for i, name := range joiners {
		running.Go(func() error {
			argv := b.joins.worker
			if b.lab.Node(name).Role() == nodes.ControlPlane {
				argv = b.joins.controlPlane
			}
			m, err := b.run(ctx, name, argv)
			if err != nil {
				return err
			}
			done[i], err = b.command(name, m)
			return err
		})
	}
	return done, running.Wait()
}

// common are the flags that all commands of the tool have here.
func (b *builder) common(argv []string) []string {
	argv = slices.Clone(argv)
	if checks := b.lab.IgnoredChecks(); checks != "" {
		argv = append(argv, "--ignore-preflight-errors="+checks)
	}
	if b.tool == hactl {
		argv = append(argv, "-o", "json") // its phases with their times
	}
	return argv
}

func (b *builder) show(argv []string) string { return withoutSecrets(b.common(argv)) }

// run runs one command of the tool on a node, under the meter.
func (b *builder) run(ctx context.Context, node string, argv []string) (metered, error) {
	m, err := underMeter(ctx, b.lab.Node(node), b.common(argv))
	if err == nil && m.Code != 0 {
		var out strings.Builder
		for _, l := range m.Stdout[max(0, len(m.Stdout)-10):] {
			out.WriteString(l.Text + "\n")
		}
		err = fmt.Errorf("%s: %s: exit code %d\n%s%s", node, withoutSecrets(argv), m.Code, out.String(), m.Stderr)
	}
	return m, err
}

// underMeter runs a command on a node under the meter, however it ends.
func underMeter(ctx context.Context, n *nodes.Node, argv []string) (m metered, err error) {
	r, err := n.Run(ctx, append([]string{meterPath, meterWord}, argv...)...)
	if err != nil {
		return m, err
	}
	return m, json.Unmarshal(r.Stdout, &m)
}

// command is what the record keeps of what the meter saw.
func (b *builder) command(node string, m metered) (command, error) {
	c := command{Node: node, Start: m.Began.Sub(b.zero).Seconds(), End: m.Ended.Sub(b.zero).Seconds(), CPU: m.CPU, Peak: m.Peak, Mapped: m.Mapped}
	if b.tool == kubeadm {
		c.Spans = kubeadmSpans(m.Stdout, b.zero, m.Ended)
		return c, nil
	}
	var err1, err2 error
	c.Spans, err1 = hactlSpans(m.Stdout, b.zero)
	c.Notes, err2 = hactlNotes(m.Stdout, b.zero)
	return c, errors.Join(err1, err2)
}

// watchReady sends since when each node is Ready, once all are at the same
// time.
func (b *builder) watchReady(ctx context.Context, ready chan<- map[string]time.Time) error {
	since := map[string]time.Time{}
	for ctx.Err() == nil {
		if err := b.watchOnce(ctx, since); err != nil {
			return err
		}
		if allReady(since) {
			ready <- since
			return nil
		}
		// The watch was cut, as watches are when API servers come and go.
	}
	return fmt.Errorf("all nodes are Ready: %w; Ready are %v", ctx.Err(), since)
}

// watchOnce reads one watch until all nodes are Ready, or until it is cut.
func (b *builder) watchOnce(ctx context.Context, since map[string]time.Time) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cp := b.lab.Node("cp-1")
	// Not through the load balancer: what it does is another matter.
	c, err := cp.Command(ctx, "env", kubeconfig, "kubectl", "--server", "https://"+cp.Address().String()+":6443",
		"get", "nodes", "--watch", "-o", `jsonpath={.metadata.name} {.status.conditions[?(@.type=="Ready")].status}{"\n"}`)
	if err != nil {
		return err
	}
	out, err := c.StdoutPipe()
	if err != nil {
		return err
	}
	if err := c.Start(); err != nil {
		return err
	}
	for scan := bufio.NewScanner(out); !allReady(since) && scan.Scan(); {
		noteReady(since, scan.Text(), time.Now())
	}
	cancel()
	_ = c.Wait() // it was told to end, or the watch was cut
	return nil
}

// noteReady takes a line of the watch: a node's name and whether it is Ready.
func noteReady(since map[string]time.Time, line string, now time.Time) {
	name, status, _ := strings.Cut(line, " ")
	if status != "True" {
		delete(since, name)
		return
	}
	if _, ok := since[name]; !ok {
		since[name] = now
	}
}

func allReady(since map[string]time.Time) bool {
	return len(since) == len(joiners)+1
}
