package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// kind is a kind of fault.
type kind struct {
	name     string
	weight   int  // how often, among all kinds that could happen
	first    bool // it happens to init, so it needs nodes without a cluster
	nodes    []string
	variants []string
	// The fault is held for a time between these two.
	least, most time.Duration
	// run lets the fault happen and end, and then does what a person would:
	// at most to run the same commands again. It calls lift when the fault
	// is over.
	run func(context.Context, *cluster, fault) error
}

// The variants say what goes on while the fault happens. At rest means
// nothing but the load.
const (
	atRest            = "at rest"
	whileItJoins      = "while it joins"
	whileItIsReset    = "while it is reset"
	whileAnotherJoins = "while another joins"
)

// maxGap is the longest time without an acknowledged write where two members
// with a vote and the load balancer work.
const maxGap = 10 * time.Second

// gapLimit is how long the cluster may acknowledge no write because of one
// fault; zero means any time: without the only load balancer nobody can reach
// the API, and of two members with a vote, as there are while the third joins
// anew, none may fail.
func gapLimit(f fault) time.Duration {
	if f.Node == balancer || f.Variant == whileAnotherJoins {
		return 0
	}
	return maxGap
}

// kinds are all kinds of faults.
func kinds() []kind {
	return slices.Concat(processKinds(), machineKinds(), networkKinds(), commandKinds(), firstKinds())
}

func processKinds() []kind {
	often := []string{atRest, atRest, atRest, whileAnotherJoins}
	return []kind{
		{name: "etcd killed", weight: 14, nodes: planes, variants: often, run: happens(kills("etcd"))},
		{name: "kube-apiserver killed", weight: 14, nodes: planes, variants: often, run: happens(kills("kube-apiserver"))},
		{name: "kubelet killed", weight: 8, nodes: members, variants: often, run: happens(kills("kubelet"))},
		{name: "containerd killed", weight: 8, nodes: members, variants: often, run: happens(kills("containerd"))},
		{name: "load balancer killed", weight: 10, nodes: []string{balancer}, variants: []string{atRest}, run: happens(kills("haproxy"))},
	}
}

func machineKinds() []kind {
	return []kind{
		{
			name: "power-off", weight: 14, nodes: members, least: 0, most: 4 * time.Second, run: happens(powerOff),
			variants: []string{atRest, atRest, atRest, whileItJoins, whileItIsReset, whileAnotherJoins},
		},
		{name: "load balancer off", weight: 4, nodes: []string{balancer}, variants: []string{atRest}, most: 3 * time.Second, run: happens(powerOff)},
	}
}

func networkKinds() []kind {
	variants := []string{atRest, atRest, atRest, atRest, whileItJoins, whileItIsReset}
	list := []kind{ // the held times and the variants are those of all
		{name: "cut off", weight: 10, nodes: members, run: happens(cutOff)},
		{name: "cut off from its peers", weight: 8, nodes: planes, run: happens(filtered(fromPeers))},
		{name: "cut off from the load balancer", weight: 8, nodes: members, run: happens(filtered(fromBalancer))},
		{name: "nothing arrives", weight: 6, nodes: members, run: happens(filtered(incoming))},
		{name: "nothing leaves", weight: 6, nodes: members, run: happens(filtered(outgoing))},
		{name: "half of all packets lost", weight: 8, nodes: members, run: happens(filtered(lossy))},
		{name: "100 ms of delay", weight: 8, nodes: members, run: happens(delayed(100 * time.Millisecond))},
	}
	for i := range list {
		list[i].variants, list[i].least, list[i].most = variants, 2*time.Second, 7*time.Second
	}
	return list
}

func commandKinds() []kind {
	return []kind{
		{name: "join killed", weight: 14, nodes: members, variants: []string{whileItJoins}, run: happens(kills("hactl"))},
		{name: "reset killed", weight: 12, nodes: members, variants: []string{whileItIsReset}, run: happens(kills("hactl"))},
		{
			name: "disk full", weight: 6, nodes: planes, least: 5 * time.Second, most: 12 * time.Second, run: diskFull,
			variants: []string{"/etc/kubernetes", "/var/lib/etcd"},
		},
		{
			name: "read-only file system", weight: 6, nodes: planes, least: 3 * time.Second, most: 10 * time.Second, run: readOnly,
			variants: []string{"/etc/kubernetes", "/var/lib/etcd", "/var/lib/kubelet"},
		},
		{name: "certificates Secret deleted", weight: 5, nodes: planes, variants: []string{"before the join", "during the join"}, run: secret(deleteSecret)},
		{name: "certificates Secret altered", weight: 5, nodes: planes, variants: []string{"before the join", "during the join"}, run: secret(alterSecret)},
		{name: clockKind, weight: 4, nodes: members, variants: slices.Sorted(maps.Keys(offsets)), run: wrongClock},
		{name: "two operators", weight: 8, nodes: planes, variants: []string{twoJoins, joinAndReset, joinHereResetThere, twoResets}, run: operators},
	}
}

func firstKinds() []kind {
	first := planes[:1]
	return []kind{
		{name: "init killed", weight: 4, first: true, nodes: first, run: inits(kills("hactl"))},
		{name: "power-off during init", weight: 2, first: true, nodes: first, most: 3 * time.Second, run: inits(powerOff)},
		{name: "etcd killed during init", weight: 1, first: true, nodes: first, run: inits(kills("etcd"))},
		{name: "kube-apiserver killed during init", weight: 1, first: true, nodes: first, run: inits(kills("kube-apiserver"))},
	}
}

// harm is something that can be done to a node and undone.
type harm struct {
	what  string
	begin func(context.Context, *cluster, fault) error
	end   func(context.Context, *cluster, fault) error // nil: it ends by itself
	judge func(outcome) error                          // of a command that ran meanwhile
}

// happens lets the harm happen as the fault's variant says.
func happens(h harm) func(context.Context, *cluster, fault) error {
	return func(ctx context.Context, c *cluster, f fault) error {
		switch f.Variant {
		case atRest:
			return c.suffer(ctx, f, h)
		case whileItJoins:
			return errors.Join(c.leave(ctx, f.Node), c.joining(ctx, f, f.Node, h))
		case whileAnotherJoins:
			joiner := another(f.Node)
			return errors.Join(c.leave(ctx, joiner), c.joining(ctx, f, joiner, h))
		case whileItIsReset:
			if _, err := c.strike(ctx, f, h, f.Node, "reset", "--force"); err != nil {
				return err
			}
			if err := c.leave(ctx, f.Node); err != nil {
				return err
			}
			return c.rejoin(ctx, f.Node)
		}
		return fmt.Errorf("%s knows nothing to do %s", f.Kind, f.Variant)
	}
}

// suffer lets the harm begin, last and end.
func (c *cluster) suffer(ctx context.Context, f fault, h harm) error {
	if err := h.begin(ctx, c, f); err != nil {
		return err
	}
	pass(ctx, f.Held)
	return c.relieve(ctx, f, h)
}

// relieve ends the harm, whatever has happened.
func (c *cluster) relieve(ctx context.Context, f fault, h harm) error {
	defer c.lift()
	if h.end == nil {
		return nil
	}
	return h.end(ctx, c, f)
}

// strike runs a command on a node and lets the harm begin at the fault's
// moment of it. The command may fail, as long as it says why.
func (c *cluster) strike(ctx context.Context, f fault, h harm, node string, args ...string) (outcome, error) {
	r, err := c.start(ctx, c.node(node), args...)
	if err != nil {
		return outcome{}, err
	}
	r.moment(ctx, c.usual[args[0]], f.Moment)
	c.log.say(f.Node, h.what, fmt.Sprintf("%.2f s after the begin of hactl %s on %s", seconds(time.Since(r.began)), args[0], node))
	err = h.begin(ctx, c, f)
	if err == nil {
		select {
		case <-r.done:
		case <-time.After(f.Held):
		}
	}
	err = errors.Join(err, c.relieve(ctx, f, h))
	o := c.wait(r)
	judge := h.judge
	if judge == nil || node != f.Node {
		judge = outcome.told
	}
	return o, errors.Join(err, judge(o))
}

// joining lets the harm happen while a node joins. Then the same join again
// ends well.
func (c *cluster) joining(ctx context.Context, f fault, joiner string, h harm) error {
	if _, err := c.strike(ctx, f, h, joiner, c.joinArgs(joiner)...); err != nil {
		return err
	}
	// A join waits for nobody: it refuses to go on while a member is dead.
	if err := c.without(ctx, joiner); err != nil {
		return err
	}
	return c.rejoin(ctx, joiner)
}

// inits lets the harm happen while init makes a cluster. Then the same init
// again ends well.
func inits(h harm) func(context.Context, *cluster, fault) error {
	return func(ctx context.Context, c *cluster, f fault) error {
		if err := c.fresh(ctx); err != nil {
			return err
		}
		if _, err := c.strike(ctx, f, h, f.Node, c.initArgs()...); err != nil {
			return err
		}
		return c.inited(ctx, f.Node)
	}
}

// inited runs the same init again, which has to end well, and makes the rest
// of the cluster.
func (c *cluster) inited(ctx context.Context, name string) error {
	o, err := c.must(ctx, c.node(name), c.initArgs()...)
	if err != nil {
		return err
	}
	return errors.Join(o.leftovers(ctx, c.node(name)), c.begun(ctx, o), c.others(ctx))
}
