//go:build linux

package nodes

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/hactl/hactl/e2e/build"
)

// killSignal is what ends a process for certain.
const killSignal = syscall.SIGKILL

// Up makes a lab and boots all of its nodes at the same time. It builds what
// is missing first, which takes long on a machine's first run. Without
// Options.Keep the lab ends with this process, and with the returned Lab.
//
// It also removes what is left of labs whose process has crashed.
func Up(ctx context.Context, o Options) (*Lab, error) {
	o.Name = cmp.Or(o.Name, "lab")
	if o.Progress == nil {
		o.Progress = io.Discard
	}
	if err := checkName(o.Name); err != nil {
		return nil, err
	}
	names, err := o.plan()
	if err != nil {
		return nil, err
	}
	artifacts, err := build.Ensure(ctx, build.Options{Progress: o.Progress})
	if err != nil {
		return nil, err
	}
	groups, err := findHierarchies()
	if err != nil {
		return nil, err
	}
	if err := sweep(ctx, groups); err != nil {
		return nil, err
	}
	unlock, err := lockLab(ctx, o.Name)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if r, err := readRecord(o.Name); err == nil && r.Keeper.alive() {
		return nil, fmt.Errorf("lab %s runs already: take it down first", o.Name)
	}
	r := record{Name: o.Name, Keep: o.Keep, Nodes: names, Artifacts: *artifacts}
	// What a lab of this name left behind when the machine stopped.
	if err := removeLab(ctx, r, groups); err != nil {
		return nil, err
	}
	l := &Lab{name: o.Name, groups: groups, record: r}
	if err := l.start(ctx, o.Progress); err != nil {
		// Nothing may stay, even if it was ctx that ended.
		return nil, errors.Join(err, removeLab(context.WithoutCancel(ctx), l.record, groups))
	}
	return l, nil
}

// start brings up the keeper, the switch and the nodes.
func (l *Lab) start(ctx context.Context, progress io.Writer) error {
	begin := time.Now()
	// First the directory: while it is there, nobody restores the limits.
	if err := os.MkdirAll(stateDir(l.name), 0o700); err != nil {
		return err
	}
	if err := raiseLimits(ctx, progress); err != nil {
		return err
	}
	if err := l.startKeeper(); err != nil {
		return err
	}
	if err := l.record.write(); err != nil {
		return err
	}
	for _, argv := range [][]string{
		{"ip", "link", "set", "lo", "up"},
		{"ip", "link", "add", bridge, "type", "bridge"},
		{"ip", "address", "add", gateway.String() + "/" + fmt.Sprint(subnet.Bits()), "dev", bridge},
		{"ip", "link", "set", bridge, "up"},
	} {
		if err := l.onNetwork(ctx, argv...); err != nil {
			return err
		}
	}
	for _, name := range l.record.Nodes {
		n, err := l.newNode(name)
		if err != nil {
			return err
		}
		l.nodes = append(l.nodes, n)
	}
	fmt.Fprintf(progress, "boot %d nodes\n", len(l.nodes))
	err := each(l.nodes, func(n *Node) error {
		if err := n.format(ctx); err != nil {
			return err
		}
		return n.Boot(ctx)
	})
	if err == nil {
		fmt.Fprintf(progress, "lab %s is up: %d nodes in %.1fs\n", l.name, len(l.nodes), time.Since(begin).Seconds())
	}
	return err
}

// startKeeper starts the process that holds the lab's namespaces.
func (l *Lab) startKeeper() error {
	log, err := os.OpenFile(filepath.Join(stateDir(l.name), "keeper.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	keeper := exec.Command(l.record.Artifacts.Keeper, "hold", stateDir(l.name))
	keeper.Stderr = log
	keeper.SysProcAttr = &syscall.SysProcAttr{
		Setsid:     true,
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWNET | syscall.CLONE_NEWIPC,
	}
	said, err := keeper.StdoutPipe()
	if err != nil {
		return err
	}
	if !l.record.Keep {
		watched, owner, err := os.Pipe()
		if err != nil {
			return err
		}
		defer watched.Close()
		keeper.Stdin, l.owner = watched, owner
	}
	if err := keeper.Start(); err != nil {
		return fmt.Errorf("start the keeper: %w", err)
	}
	if l.record.Keeper, err = findProcess(keeper.Process.Pid); err != nil {
		return err
	}
	line, err := bufio.NewReader(said).ReadString('\n')
	if err != nil {
		text, _ := os.ReadFile(log.Name())
		return fmt.Errorf("the keeper did not start: %w: %s", err, text)
	}
	if line != "ready\n" {
		return fmt.Errorf("the keeper said %q", line)
	}
	// Collects the keeper when it ends, so that no zombie stays.
	go keeper.Wait()
	procs, err := l.groups.create(l.name, "keeper")
	if err != nil {
		return err
	}
	for _, file := range procs {
		if err := os.WriteFile(file, fmt.Append(nil, l.record.Keeper.PID), 0o644); err != nil {
			return fmt.Errorf("move the keeper to its control group: %w", err)
		}
	}
	return nil
}

// sweep removes labs whose owner has ended. Their keeper ended with it; a
// directory and empty control groups are left.
func sweep(ctx context.Context, groups hierarchies) error {
	all, err := labs()
	if err != nil {
		return err
	}
	for _, name := range all {
		unlock, err := tryLockLab(name)
		if errors.Is(err, syscall.EWOULDBLOCK) {
			continue // being started or removed right now
		}
		if err != nil {
			return err
		}
		r, err := readRecord(name)
		if err == nil && !r.Keep && !r.Keeper.alive() {
			err = removeLab(ctx, r, groups)
		}
		unlock()
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("remove the rest of lab %s: %w", name, err)
		}
	}
	return nil
}
