//go:build linux

package nodes

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"time"
)

// ErrOff means that the node does not run.
var ErrOff = errors.New("the node is off")

// Node is one machine of a lab. Its name and its address stay the same
// through everything.
type Node struct {
	lab     *Lab
	name    string
	role    Role
	address netip.Addr
}

func (l *Lab) newNode(name string) (*Node, error) {
	role, number, err := parseName(name)
	if err != nil {
		return nil, err
	}
	ip, err := address(role, number)
	return &Node{lab: l, name: name, role: role, address: ip}, err
}

// Name is the node's host name, such as cp-1.
func (n *Node) Name() string { return n.name }

// Role says what the node is for.
func (n *Node) Role() Role { return n.role }

// Address is the node's IP address in the lab's network.
func (n *Node) Address() netip.Addr { return n.address }

// dir holds the node's disk and what is known about it.
func (n *Node) dir(elements ...string) string {
	return filepath.Join(append([]string{stateDir(n.lab.name), "nodes", n.name}, elements...)...)
}

// running is what is known about a node that has been started.
type running struct {
	Power process // what runs systemd-nspawn; ends with the node
	Init  process // the node's process 1
}

// load returns ErrOff if the node does not run.
func (n *Node) load() (running, error) {
	var r running
	err := readJSON(n.dir("running.json"), &r)
	if errors.Is(err, fs.ErrNotExist) || (err == nil && !r.Power.alive()) {
		return r, fmt.Errorf("%s: %w", n.name, ErrOff)
	}
	if err != nil || r.Init.alive() {
		return r, err
	}
	// A node that reboots by itself has a new process 1.
	r.Init, err = r.Power.container()
	if err != nil {
		return r, fmt.Errorf("%s: %w: %w", n.name, ErrOff, err)
	}
	return r, writeJSON(n.dir("running.json"), r)
}

// Running reports whether the node has power. It may be paused or cut off.
func (n *Node) Running() bool {
	_, err := n.load()
	return err == nil
}

// PowerOff takes the node's power away: every process is gone at once, and
// what was not on the disk is lost. It is no error if the node is off.
func (n *Node) PowerOff(ctx context.Context) error {
	r, err := n.load()
	if err != nil && !errors.Is(err, ErrOff) {
		return err
	}
	if err := r.Init.kill(killSignal); err != nil {
		return err
	}
	// A paused process does not die on cgroup version 1 before it continues.
	if err := n.lab.groups.thaw(n.lab.name, n.name); err != nil {
		return err
	}
	if err := r.Power.gone(ctx, 10*time.Second); err != nil {
		if err := errors.Join(r.Power.kill(killSignal), r.Power.gone(ctx, 10*time.Second)); err != nil {
			return err
		}
	}
	return n.settle(ctx)
}

// Shutdown stops the node cleanly, as "systemctl poweroff" does.
func (n *Node) Shutdown(ctx context.Context) error {
	r, err := n.load()
	if errors.Is(err, ErrOff) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := r.Init.kill(powerOffSignal); err != nil {
		return err
	}
	if err := r.Power.gone(ctx, 2*time.Minute); err != nil {
		return err
	}
	return n.settle(ctx)
}

// settle removes what no machine without power has.
func (n *Node) settle(ctx context.Context) error {
	if err := os.RemoveAll(n.dir("running.json")); err != nil {
		return err
	}
	return n.lab.groups.remove(ctx, n.lab.name, n.name)
}

// Pause stops every process of the node where it stands, as a suspended
// virtual machine does. Its address still answers pings: the kernel is shared.
func (n *Node) Pause() error {
	if _, err := n.load(); err != nil {
		return err
	}
	return n.lab.groups.freeze(n.lab.name, n.name)
}

// Resume continues a paused node.
func (n *Node) Resume() error {
	if _, err := n.load(); err != nil {
		return err
	}
	return n.lab.groups.thaw(n.lab.name, n.name)
}

// CutOff takes the node's network cable out. The node stays reachable by Run
// and the file methods, which do not use the network.
func (n *Node) CutOff(ctx context.Context) error {
	return n.lab.onNetwork(ctx, "ip", "link", "set", n.cable(), "down")
}

// Reconnect puts the network cable back in.
func (n *Node) Reconnect(ctx context.Context) error {
	return n.lab.onNetwork(ctx, "ip", "link", "set", n.cable(), "up")
}

// cable is the lab's end of the node's network link. systemd-nspawn gives it
// its name; network interfaces have at most 15 characters.
func (n *Node) cable() string {
	name := "vb-" + n.name
	return name[:min(len(name), 15)]
}

// Wipe takes the node's power away, empties its disk and boots it: the same
// name and address, and nothing else. The pod network, too, has to be set up
// again.
func (n *Node) Wipe(ctx context.Context) error {
	if err := errors.Join(n.PowerOff(ctx), n.erase(ctx)); err != nil {
		return err
	}
	return errors.Join(n.format(ctx), n.Boot(ctx))
}
