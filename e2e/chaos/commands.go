package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// diskFull lets a node join with too little room in a directory, the
// fault's variant. How little follows from the moment. Where hactl itself
// writes, the join fails at once; etcd may find room in time.
func diskFull(ctx context.Context, c *cluster, f fault) error {
	n, dir := c.node(f.Node), f.Variant
	least, most := 4, 120 // kB; a whole join writes some 170 in files of one page or two
	if dir == "/var/lib/etcd" {
		least, most = 1<<10, 60<<10 // etcd wants 64 MB for its log alone
	}
	room := least + int(f.Moment*float64(most-least))
	if err := c.leave(ctx, f.Node); err != nil {
		return err
	}
	if _, err := n.Run(ctx, "mount", "-t", "tmpfs", "-o", fmt.Sprintf("mode=700,size=%dk", room), "chaos", dir); err != nil {
		return err
	}
	c.log.say(f.Node, "disk full", fmt.Sprintf("%s has %d kB", dir, room))
	nothing := func(context.Context, *cluster, fault) error { return nil }
	h := harm{what: "no more room", begin: nothing, end: func(ctx context.Context, _ *cluster, _ fault) error {
		_, err := n.Run(ctx, "mount", "-o", "remount,size=1g", dir)
		return err
	}}
	if dir == "/etc/kubernetes" {
		h.judge = func(o outcome) error { return errors.Join(o.says(1, "no space left"), o.told()) }
	}
	f.Moment = 0
	if err := c.joining(ctx, f, f.Node, h); err != nil {
		return err
	}
	// Back to the real disk, which survives a power-off.
	if err := c.leave(ctx, f.Node); err != nil {
		return err
	}
	if _, err := n.Run(ctx, "umount", dir); err != nil {
		return err
	}
	return c.rejoin(ctx, f.Node)
}

// readOnly makes a directory read-only in the middle of a join, and writable
// again soon.
func readOnly(ctx context.Context, c *cluster, f fault) error {
	n, dir := c.node(f.Node), f.Variant
	if err := c.leave(ctx, f.Node); err != nil {
		return err
	}
	if dir == "/etc/kubernetes" { // the others are mounts of their own
		if _, err := n.Run(ctx, "mount", "--bind", dir, dir); err != nil {
			return err
		}
	}
	mount := func(how string) func(context.Context, *cluster, fault) error {
		return func(ctx context.Context, _ *cluster, _ fault) error {
			_, err := n.Run(ctx, "mount", "-o", "remount,bind,"+how, dir)
			return err
		}
	}
	h := harm{what: dir + " is read-only", begin: mount("ro"), end: mount("rw")}
	if err := c.joining(ctx, f, f.Node, h); err != nil || dir != "/etc/kubernetes" {
		return err
	}
	_, err := n.Run(ctx, "umount", "--lazy", dir)
	return err
}

// certsSecret is where the certificates for the next control plane are.
const certsSecret = "/api/v1/namespaces/kube-system/secrets/kubeadm-certs"

func deleteSecret(ctx context.Context, c *cluster, _ fault) error {
	_, err := c.client.ask(ctx, http.MethodDelete, c.lab.Endpoint(), certsSecret, nil)
	return err
}

// alterSecret puts something else in the place of one sealed key.
func alterSecret(ctx context.Context, c *cluster, f fault) error {
	names := []string{"ca.key", "sa.key", "etcd-ca.key", "front-proxy-ca.key"}
	name := names[int(f.Moment*float64(len(names)))]
	text := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("altered ", 200)))
	body := fmt.Appendf(nil, `{"data":{%q:%q}}`, name, text)
	_, err := c.client.ask(ctx, http.MethodPatch, c.lab.Endpoint(), certsSecret, body)
	return err
}

// secret does something to the uploaded certificates before a join or early in
// it. What a person does then is in the join's own words: upload them again.
func secret(harmful func(context.Context, *cluster, fault) error) func(context.Context, *cluster, fault) error {
	return func(ctx context.Context, c *cluster, f fault) error {
		if err := c.leave(ctx, f.Node); err != nil {
			return err
		}
		if err := c.robbed(ctx, f, harmful); err != nil {
			return err
		}
		from := c.node(another(f.Node))
		if _, err := c.must(ctx, from, "init", "phase", "upload-certs", "--upload-certs", "--certificate-key-file", keyFile); err != nil {
			return err
		}
		c.lift()
		return c.rejoin(ctx, f.Node)
	}
}

func (c *cluster) robbed(ctx context.Context, f fault, harmful func(context.Context, *cluster, fault) error) error {
	if f.Variant != "before the join" {
		f.Moment /= 4 // later nobody needs the Secret any more
		_, err := c.strike(ctx, f, harm{what: f.Kind, begin: harmful, judge: forCertificates}, f.Node, c.joinArgs(f.Node)...)
		return err
	}
	if err := harmful(ctx, c, f); err != nil {
		return err
	}
	o, err := c.run(ctx, c.node(f.Node), c.joinArgs(f.Node)...)
	if err == nil && o.code == 0 {
		err = errors.New("it joined without the certificates")
	}
	return errors.Join(err, forCertificates(o))
}

// forCertificates wants a join that failed to say how to upload them.
func forCertificates(o outcome) error {
	if o.code == 0 {
		return nil
	}
	return o.says(o.code, "upload-certs")
}

// The variants of two operators.
const (
	twoJoins           = "two joins of one node"
	joinAndReset       = "join and reset of one node"
	joinHereResetThere = "join of one, reset of another"
	twoResets          = "resets of two nodes"
)

// operation is what one of two people runs.
type operation struct {
	node string
	args []string
}

// operations are what the two run in a variant.
func (c *cluster) operations(f fault) (one, two operation) {
	join, reset := operation{f.Node, c.joinArgs(f.Node)}, operation{f.Node, []string{"reset", "--force"}}
	there := operation{another(f.Node), reset.args}
	switch f.Variant {
	case twoJoins:
		return join, join
	case joinHereResetThere:
		return join, there
	case twoResets:
		return reset, there
	}
	return join, reset
}

// operators lets two people run commands at the same time. One of them may be
// refused. Afterwards each runs his command again, and all is well.
func operators(ctx context.Context, c *cluster, f fault) error {
	one, two := c.operations(f)
	if one.args[0] == "join" {
		if err := c.leave(ctx, one.node); err != nil {
			return err
		}
	}
	a, err := c.start(ctx, c.node(one.node), one.args...)
	if err != nil {
		return err
	}
	busy := a.moment(ctx, c.usual[one.args[0]], f.Moment*0.9)
	b, err := c.start(ctx, c.node(two.node), two.args...)
	if err != nil {
		return err
	}
	first, second := c.wait(a), c.wait(b)
	c.lift()
	if err := errors.Join(first.told(), second.told()); err != nil {
		return err
	}
	if busy && one.node == two.node && first.code == 0 && second.code == 0 && second.ended.Before(first.ended) {
		return fmt.Errorf("hactl %s and hactl %s changed %s at the same time", first.name, second.name, one.node)
	}
	return c.afterwards(ctx, one, two)
}

// afterwards runs both commands again, resets first, and then lets every node
// join that has left.
func (c *cluster) afterwards(ctx context.Context, one, two operation) error {
	if one.node == two.node {
		return c.rejoin(ctx, one.node)
	}
	for _, o := range []operation{one, two} {
		if o.args[0] != "reset" {
			continue
		}
		if err := c.leave(ctx, o.node); err != nil {
			return err
		}
	}
	return errors.Join(c.rejoin(ctx, two.node), c.rejoin(ctx, one.node))
}
