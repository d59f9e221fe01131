package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hactl/hactl/e2e/nodes"
)

// backLimit is how long a process that was killed may take to be there again.
const backLimit = time.Minute

// kills ends all processes of that name with SIGKILL. Those that somebody
// watches are there again soon; hactl is not.
func kills(process string) harm {
	var before string
	h := harm{what: "SIGKILL for " + process}
	h.begin = func(ctx context.Context, c *cluster, f fault) (err error) {
		if before, err = pids(ctx, c.node(f.Node), process); err != nil {
			return err
		}
		c.log.say(f.Node, "kill", process+" "+before)
		if before == "" {
			return nil // not started yet, or it has ended
		}
		return kill(ctx, c.node(f.Node), process)
	}
	if process == "hactl" {
		h.judge = func(o outcome) error {
			if o.code == killed || o.code == 0 {
				return nil
			}
			return fmt.Errorf("it was killed, and %w", o.well())
		}
		return h
	}
	h.end = func(ctx context.Context, c *cluster, f fault) error {
		if before == "" || f.Variant == "" {
			return nil
		}
		return until(ctx, backLimit, process+" runs again on "+f.Node, func(ctx context.Context) error {
			now, err := pids(ctx, c.node(f.Node), process)
			if err == nil && (now == "" || now == before) {
				err = fmt.Errorf("processes %q", now)
			}
			return err
		})
	}
	return h
}

// pids are the numbers of the processes of that name, "" if there are none.
func pids(ctx context.Context, n *nodes.Node, process string) (string, error) {
	r, err := n.Run(ctx, "pgrep", "-x", process)
	var exit *nodes.ExitError
	if errors.As(err, &exit) && exit.Result.Code == 1 {
		return "", nil
	}
	return strings.Join(strings.Fields(string(r.Stdout)), " "), err
}

func kill(ctx context.Context, n *nodes.Node, process string) error {
	_, err := n.Run(ctx, "pkill", "-KILL", "-x", process)
	var exit *nodes.ExitError
	if errors.As(err, &exit) && exit.Result.Code == 1 {
		return nil // it has ended meanwhile
	}
	return err
}

// powerOff takes a machine's power away, and gives it back.
var powerOff = harm{
	what:  "power off",
	begin: func(ctx context.Context, c *cluster, f fault) error { return c.node(f.Node).PowerOff(ctx) },
	end: func(ctx context.Context, c *cluster, f fault) error {
		if err := c.node(f.Node).Boot(ctx); err != nil {
			return err
		}
		return c.lab.PodNetwork(ctx, podCIDR)
	},
	judge: func(outcome) error { return nil }, // nobody saw how it ended
}

// cutOff pulls a machine's network cable.
var cutOff = harm{
	what:  "cable out",
	begin: func(ctx context.Context, c *cluster, f fault) error { return c.node(f.Node).CutOff(ctx) },
	end:   func(ctx context.Context, c *cluster, f fault) error { return c.node(f.Node).Reconnect(ctx) },
}

// rule is an iptables rule, without what to do with it.
type rule []string

// filtered lets a machine's own firewall take packets away.
func filtered(rules func(*cluster, fault) []rule) harm {
	change := func(ctx context.Context, c *cluster, f fault, how string) error {
		var errs []error
		for _, r := range rules(c, f) {
			_, err := c.node(f.Node).Run(ctx, append([]string{"iptables", "-w", how}, r...)...)
			errs = append(errs, err)
		}
		return errors.Join(errs...)
	}
	return harm{
		what:  "firewall",
		begin: func(ctx context.Context, c *cluster, f fault) error { return change(ctx, c, f, "-I") },
		end:   func(ctx context.Context, c *cluster, f fault) error { return change(ctx, c, f, "-D") },
	}
}

// between are the rules that keep a machine from another one, both ways.
func between(n *nodes.Node) []rule {
	return []rule{{"INPUT", "-s", n.Address().String(), "-j", "DROP"}, {"OUTPUT", "-d", n.Address().String(), "-j", "DROP"}}
}

func fromPeers(c *cluster, f fault) (list []rule) {
	for _, name := range planes {
		if name != f.Node {
			list = append(list, between(c.node(name))...)
		}
	}
	return list
}

func fromBalancer(c *cluster, _ fault) []rule { return between(c.node(balancer)) }

func incoming(*cluster, fault) []rule { return []rule{{"INPUT", "-i", "host0", "-j", "DROP"}} }

func outgoing(*cluster, fault) []rule { return []rule{{"OUTPUT", "-o", "host0", "-j", "DROP"}} }

func lossy(*cluster, fault) []rule {
	return []rule{{"INPUT", "-i", "host0", "-m", "statistic", "--mode", "random", "--probability", "0.5", "-j", "DROP"}}
}
