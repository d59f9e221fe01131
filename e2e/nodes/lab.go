//go:build linux

package nodes

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"slices"
	"sync"
	"time"

	"github.com/hactl/hactl/e2e/build"
)

// ErrNoLab means that no lab of that name runs.
var ErrNoLab = errors.New("no such lab is running")

// Options describe a lab.
type Options struct {
	Name          string // "" is "lab"
	ControlPlanes int
	Workers       int
	LoadBalancers int
	EtcdHosts     int
	Keep          bool      // survives this process, until somebody calls Down
	Progress      io.Writer // nil prints nothing
}

// Lab is a running lab.
type Lab struct {
	name   string
	groups hierarchies
	// owner is the pipe that the keeper of a lab without Keep watches: it
	// closes when this process ends, however it ends.
	owner *os.File

	mu     sync.Mutex
	record record
	nodes  []*Node
}

// Open returns a lab that another process, or this one, has started. It
// returns ErrNoLab if there is none.
func Open(name string) (*Lab, error) {
	if err := build.CheckHost(); err != nil {
		return nil, err
	}
	if err := checkName(name); err != nil {
		return nil, err
	}
	r, err := readRecord(name)
	if errors.Is(err, fs.ErrNotExist) || (err == nil && !r.Keeper.alive()) {
		return nil, fmt.Errorf("%s: %w", name, ErrNoLab)
	}
	if err != nil {
		return nil, err
	}
	groups, err := findHierarchies()
	if err != nil {
		return nil, err
	}
	l := &Lab{name: name, groups: groups, record: r}
	for _, node := range r.Nodes {
		n, err := l.newNode(node)
		if err != nil {
			return nil, err
		}
		l.nodes = append(l.nodes, n)
	}
	return l, nil
}

// List returns the names of the labs that run.
func List() ([]string, error) {
	if err := build.CheckHost(); err != nil {
		return nil, err
	}
	all, err := labs()
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(name string) bool {
		r, err := readRecord(name)
		return err != nil || !r.Keeper.alive()
	}), nil
}

// Name is what Options called the lab.
func (l *Lab) Name() string { return l.name }

// Versions names the releases that the lab's nodes run.
func (l *Lab) Versions() build.Versions { return l.record.Artifacts.Versions }

// Nodes lists the nodes: control planes, workers, etcd hosts, load balancers,
// and then those that were added.
func (l *Lab) Nodes() []*Node {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.nodes)
}

// Node returns the node of that name, or nil.
func (l *Lab) Node(name string) *Node {
	for _, n := range l.Nodes() {
		if n.name == name {
			return n
		}
	}
	return nil
}

// withRole lists the nodes of one role.
func (l *Lab) withRole(role Role) []*Node {
	return slices.DeleteFunc(l.Nodes(), func(n *Node) bool { return n.role != role })
}

// Endpoint is where the first load balancer serves the API, or the first
// control plane if there is none: an address and a port.
func (l *Lab) Endpoint() string {
	for _, role := range []Role{LoadBalancer, ControlPlane} {
		if nodes := l.withRole(role); len(nodes) > 0 {
			return nodes[0].address.String() + ":6443"
		}
	}
	return ""
}

// IgnoredChecks names the preflight checks that fail on every node because of
// this machine, not of the node: what --ignore-preflight-errors needs. It is
// empty on machines with cgroup v2.
func (l *Lab) IgnoredChecks() string {
	if l.groups.unified {
		return ""
	}
	// Kubernetes asks for this by hand on cgroup v1, see KEP-5573.
	return "SystemVerification"
}

// AddNode makes and boots one more node. It knows the others, and they it.
func (l *Lab) AddNode(ctx context.Context, name string) (*Node, error) {
	unlock, err := lockLab(ctx, l.name)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if l.Node(name) != nil {
		return nil, fmt.Errorf("lab %s has a node %s already", l.name, name)
	}
	n, err := l.newNode(name)
	if err != nil {
		return nil, err
	}
	if err := l.change(func() { l.nodes = append(l.nodes, n) }); err != nil {
		return nil, err
	}
	if err := errors.Join(n.format(ctx), n.Boot(ctx)); err != nil {
		return nil, err
	}
	return n, l.introduce(ctx)
}

// RemoveNode powers the node off and takes its disk away.
func (l *Lab) RemoveNode(ctx context.Context, name string) error {
	unlock, err := lockLab(ctx, l.name)
	if err != nil {
		return err
	}
	defer unlock()
	n := l.Node(name)
	if n == nil {
		return fmt.Errorf("lab %s has no node %s", l.name, name)
	}
	if err := errors.Join(n.PowerOff(ctx), n.erase(ctx)); err != nil {
		return err
	}
	if err := l.change(func() { l.nodes = slices.DeleteFunc(l.nodes, func(m *Node) bool { return m == n }) }); err != nil {
		return err
	}
	return l.introduce(ctx)
}

// change alters the list of nodes, here and in the lab's state.
func (l *Lab) change(alter func()) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	alter()
	l.record.Nodes = nil
	for _, n := range l.nodes {
		l.record.Nodes = append(l.record.Nodes, n.name)
	}
	return l.record.write()
}

// introduce tells every running node about the others.
func (l *Lab) introduce(ctx context.Context) error {
	return each(l.Nodes(), func(n *Node) error {
		if !n.Running() {
			return nil
		}
		if err := n.WriteFile(ctx, "/etc/hosts", l.hosts(n), 0o644); err != nil || n.role != LoadBalancer {
			return err
		}
		if err := n.WriteFile(ctx, haproxyFile, haproxyConfig(l.backends()), 0o644); err != nil {
			return err
		}
		_, err := n.Run(ctx, "systemctl", "reload", "haproxy.service")
		return err
	})
}

// Down ends every process of the lab and removes everything that is left of
// it. It may be called again, also after a failure.
func (l *Lab) Down(ctx context.Context) error {
	unlock, err := lockLab(ctx, l.name)
	if err != nil {
		return err
	}
	defer unlock()
	r, err := readRecord(l.name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	// Somebody else may have taken this lab down and started it anew.
	if l.owner != nil {
		defer l.owner.Close()
		if r.Keeper != l.record.Keeper {
			return nil
		}
	}
	return removeLab(ctx, r, l.groups)
}

// Down removes the lab of that name, running or left over from a crash of the
// machine. It returns ErrNoLab if there is nothing to remove.
func Down(ctx context.Context, name string) error {
	if err := errors.Join(build.CheckHost(), checkName(name)); err != nil {
		return err
	}
	if _, err := os.Stat(stateDir(name)); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: %w", name, ErrNoLab)
	}
	unlock, err := lockLab(ctx, name)
	if err != nil {
		return err
	}
	defer unlock()
	groups, err := findHierarchies()
	if err != nil {
		return err
	}
	r, err := readRecord(name)
	if errors.Is(err, fs.ErrNotExist) {
		r, err = record{Name: name}, nil
	}
	if err != nil {
		return err
	}
	return removeLab(ctx, r, groups)
}

// removeLab ends the keeper and with it all processes, mounts and links.
func removeLab(ctx context.Context, r record, groups hierarchies) error {
	for _, name := range r.Nodes {
		// A frozen process does not die of SIGKILL on version 1.
		if err := groups.thaw(r.Name, name); err != nil {
			return err
		}
	}
	if err := r.Keeper.kill(killSignal); err != nil {
		return err
	}
	if err := r.Keeper.gone(ctx, 30*time.Second); err != nil {
		return err
	}
	if err := groups.remove(ctx, r.Name, ""); err != nil {
		return err
	}
	if err := os.RemoveAll(stateDir(r.Name)); err != nil {
		return err
	}
	return restoreLimits(ctx)
}

// inLab prepares a command that runs in the lab's namespaces, outside of any
// node.
func (l *Lab) inLab(ctx context.Context, argv ...string) *exec.Cmd {
	enter := []string{"-t", fmt.Sprint(l.record.Keeper.PID), "-m", "-n", "-p", "-i", "--"}
	return exec.CommandContext(ctx, "nsenter", append(enter, argv...)...)
}

// onNetwork runs one of the nodes' own programs in the lab's network
// namespace, such as ip, bridge, tc or nft: the machine may not have them.
func (l *Lab) onNetwork(ctx context.Context, argv ...string) error {
	command := l.inLab(ctx, append([]string{"chroot", l.record.Artifacts.Root}, argv...)...)
	command.Env = nodeEnv
	return quietly(command)
}

// each calls do for all nodes at the same time and joins the errors.
func each(nodes []*Node, do func(*Node) error) error {
	errs := make([]error, len(nodes))
	var wg sync.WaitGroup
	for i, n := range nodes {
		wg.Go(func() {
			if err := do(n); err != nil {
				errs[i] = fmt.Errorf("%s: %w", n.name, err)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}
