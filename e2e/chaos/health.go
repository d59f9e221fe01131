package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/hactl/hactl/e2e/nodes"
)

// settleLimit is how long all may take to be healthy after a fault.
const settleLimit = 2 * time.Minute

// settle waits until the cluster is healthy, and then looks for what must
// never be: lost writes, members that differ, stale members, a second
// cluster. The last word has hactl status, on the given control plane.
func (c *cluster) settle(ctx context.Context, on string) error {
	if err := until(ctx, settleLimit, "all nodes and members are healthy", c.look); err != nil {
		return err
	}
	if err := c.load.works(ctx, settleLimit); err != nil {
		return err
	}
	if err := c.verify(ctx); err != nil {
		return err
	}
	return until(ctx, settleLimit, "hactl status on "+on+" finds nothing that needs attention", func(ctx context.Context) error {
		return c.status(ctx, c.node(on))
	})
}

// without waits until all others than one node are healthy.
func (c *cluster) without(ctx context.Context, name string) error {
	return until(ctx, settleLimit, "all others than "+name+" are healthy", func(ctx context.Context) error {
		looking, ctx := errgroup.WithContext(ctx)
		c.services(ctx, looking, name)
		for _, other := range planes {
			if other == name {
				continue
			}
			looking.Go(func() error {
				v, err := c.view(ctx, other)
				if err == nil && v.leader == 0 {
					err = errors.New("no leader")
				}
				return about("etcd on "+other, err)
			})
		}
		return looking.Wait()
	})
}

// services looks at what serves on each node but one.
func (c *cluster) services(ctx context.Context, looking *errgroup.Group, but string) {
	for _, name := range members {
		if name == but {
			continue
		}
		looking.Go(func() error { return c.kubelet(ctx, c.node(name)) })
		if c.node(name).Role() == nodes.ControlPlane {
			looking.Go(func() error { return c.server(ctx, c.node(name)) })
		}
	}
	looking.Go(func() error {
		_, err := c.client.ask(ctx, http.MethodGet, c.lab.Endpoint(), "/readyz", nil)
		return about("the load balancer", err)
	})
}

// look says what is not healthy, seen from outside.
func (c *cluster) look(ctx context.Context) error {
	looking, ctx := errgroup.WithContext(ctx)
	c.services(ctx, looking, "")
	looking.Go(func() error { return about("the nodes", c.ready(ctx)) })
	looking.Go(func() error {
		_, err := c.observe(ctx)
		return err
	})
	return looking.Wait()
}

func about(what string, err error) error {
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// server asks a control plane's own API server.
func (c *cluster) server(ctx context.Context, n *nodes.Node) error {
	_, err := c.client.ask(ctx, http.MethodGet, n.Address().String()+":6443", "/readyz", nil)
	return about("kube-apiserver on "+n.Name(), err)
}

// kubelet asks a kubelet; what the API knows of it is up to a minute old.
func (c *cluster) kubelet(ctx context.Context, n *nodes.Node) error {
	conn, err := c.lab.Dial(ctx, "tcp", n.Address().String()+":10250")
	if err != nil {
		return about("kubelet on "+n.Name(), err)
	}
	return conn.Close()
}

// nodeList is what is needed of the nodes of the API.
type nodeList struct {
	Items []struct {
		Metadata struct {
			Name   string
			Labels map[string]string
		}
		Status struct {
			Conditions []struct{ Type, Status string }
		}
	}
}

// ready wants exactly the right nodes, all Ready.
func (c *cluster) ready(ctx context.Context) error {
	list, err := read[nodeList](ctx, c.client, c.lab.Endpoint(), "/api/v1/nodes")
	if err != nil {
		return err
	}
	var names []string
	for _, n := range list.Items {
		names = append(names, n.Metadata.Name)
		is := func(x struct{ Type, Status string }) bool { return x.Type == "Ready" && x.Status == "True" }
		if !slices.ContainsFunc(n.Status.Conditions, is) {
			return fmt.Errorf("%s is not Ready", n.Metadata.Name)
		}
		_, plane := n.Metadata.Labels["node-role.kubernetes.io/control-plane"]
		if plane != slices.Contains(planes, n.Metadata.Name) {
			return fmt.Errorf("%s has the wrong labels for its role", n.Metadata.Name)
		}
	}
	return same("nodes", names, members)
}

// same compares names whatever their order.
func same(what string, got, want []string) error {
	got, want = slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(want))
	if !slices.Equal(got, want) {
		return fmt.Errorf("the %s are %s, want %s", what, strings.Join(got, " "), strings.Join(want, " "))
	}
	return nil
}

// status asks hactl on a node.
func (c *cluster) status(ctx context.Context, n *nodes.Node) error {
	r, err := n.Run(ctx, "hactl", "status", "-o", "json")
	var exit *nodes.ExitError
	if err != nil && !errors.As(err, &exit) {
		return err
	}
	o := parse(r.Stdout)
	var s struct {
		Healthy        bool
		NeedsAttention []struct{ What string }
	}
	if err := json.Unmarshal(o.result, &s); err != nil {
		return fmt.Errorf("exit code %d and no result: %s%s", r.Code, r.Stdout, r.Stderr)
	}
	if s.Healthy != (r.Code == 0) {
		return fmt.Errorf("exit code %d, healthy %t", r.Code, s.Healthy)
	}
	var what []string
	for _, f := range s.NeedsAttention {
		what = append(what, f.What)
	}
	if r.Code != 0 {
		return errors.New(strings.Join(what, "; "))
	}
	return nil
}
