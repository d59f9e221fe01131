// Command bench measures hactl and kubeadm side by side: in turn, on the same
// nodes, images, settings and Kubernetes build, each time on fresh nodes.
//
// It needs what the lab needs (see e2e/README.md) and a machine that does
// nothing else. It keeps every number in a file of JSON, writes a report, and
// the data of a timeline for e2e/timeline to draw.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/hactl/hactl/e2e/machine"
	"github.com/hactl/hactl/e2e/nodes"
)

const labName = "bench"

// options are the flags.
type options struct {
	pairs, warmUp         int
	hactl                 string
	from                  string
	raw, report, timeline string
}

func main() {
	if len(os.Args) > 2 && os.Args[1] == meterWord {
		exit(meter(os.Args[2:], os.Stdout))
		return
	}
	if len(os.Args) > 2 && os.Args[1] == keysWord {
		exit(makeKeys(os.Args[2]))
		return
	}
	var o options
	flag.IntVar(&o.pairs, "pairs", 5, "how often each tool is measured in each mode")
	flag.IntVar(&o.warmUp, "warm-up", 1, "pairs before them that do not count")
	flag.StringVar(&o.hactl, "hactl", "bin/hactl", "the hactl to measure")
	flag.StringVar(&o.from, "from", "", "measure nothing: write the report of this earlier record")
	flag.StringVar(&o.raw, "raw", "logs/bench.json", "where every number goes")
	flag.StringVar(&o.report, "report", "logs/benchmarks.md", "where the report goes")
	flag.StringVar(&o.timeline, "timeline", "logs/timeline.json", "where the data of the timeline goes")
	flag.Parse()
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, unix.SIGTERM)
	defer cancel()
	exit(run(ctx, o))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	if o.pairs < 1 || o.warmUp < 0 {
		return errors.New("--pairs is at least 1, --warm-up at least 0")
	}
	var r record
	var err error
	if o.from == "" {
		r, err = measureAll(ctx, o)
	} else {
		r, err = readRecord(o.from)
	}
	if err != nil {
		return err
	}
	text := report(r)
	fmt.Print(text)
	if err := write(o.report, []byte(text)); err != nil {
		return err
	}
	return writeJSON(o.timeline, timelineOf(r))
}

// measureAll takes all numbers, and keeps them after each pair.
func measureAll(ctx context.Context, o options) (r record, err error) {
	lab, err := nodes.Up(ctx, nodes.Options{Name: labName, ControlPlanes: 3, Workers: 1, LoadBalancers: 1, Progress: os.Stderr})
	if err != nil {
		return r, err
	}
	// The lab has to go whatever has happened to ctx.
	defer func() { err = errors.Join(err, lab.Down(context.WithoutCancel(ctx))) }()
	b := &bench{lab: lab}
	if b.hactl, err = keep(o.hactl); err != nil {
		return r, err
	}
	defer os.Remove(b.hactl)
	if err := b.install(ctx); err != nil {
		return r, err
	}
	if r.Machine, err = machine.This(); err != nil {
		return r, err
	}
	if r.Versions, err = machine.Versions(ctx, lab); err != nil {
		return r, err
	}
	for n := range o.warmUp + o.pairs {
		fmt.Fprintf(os.Stderr, "pair %d of %d\n", n+1, o.warmUp+o.pairs)
		p, err := b.pair(ctx)
		if err != nil {
			return r, err
		}
		if n < o.warmUp {
			continue
		}
		r.Pairs, r.Commands = append(r.Pairs, p), b.commands
		if err := writeJSON(o.raw, r); err != nil {
			return r, err
		}
	}
	return r, nil
}

// keep copies the program to a file of its own: who builds it anew meanwhile
// must not change what is measured. The caller removes the file.
func keep(program string) (string, error) {
	from, err := os.Open(program)
	if err != nil {
		return "", err
	}
	defer from.Close()
	to, err := os.CreateTemp("", "hactl-bench-")
	if err != nil {
		return "", err
	}
	_, err = io.Copy(to, from)
	if err := errors.Join(err, to.Close()); err != nil {
		return "", errors.Join(err, os.Remove(to.Name()))
	}
	return to.Name(), nil
}

// bench measures in one lab.
type bench struct {
	lab      *nodes.Lab
	hactl    string
	used     bool     // the nodes are no longer fresh
	commands []string // of both tools, as they can be shown
}

// pair measures both tools in both modes, in turn, and the floor.
func (b *bench) pair(ctx context.Context) (p pair, err error) {
	b.commands = nil
	for _, how := range []mode{serial, atOnce} {
		for _, by := range []tool{hactl, kubeadm} {
			c, err := b.cluster(ctx, by, how, &p)
			if err != nil {
				return p, err
			}
			p.Clusters = append(p.Clusters, c)
		}
	}
	kept, err := files(ctx, b.lab.Node("cp-1"))
	if err != nil {
		return p, err
	}
	if err := b.fresh(ctx); err != nil {
		return p, err
	}
	if p.Key, err = keyTime(ctx, b.lab.Node("cp-1"), 1); err != nil {
		return p, err
	}
	if p.KeyAtOnce, err = keyTime(ctx, b.lab.Node("cp-1"), runtime.NumCPU()); err != nil {
		return p, err
	}
	p.Floor, err = floor(ctx, b.lab.Node("cp-1"), kept)
	fmt.Fprintf(os.Stderr, "  floor: %.1f s; an RSA key: %.0f ms, %.0f ms where all processors make keys\n", p.Floor, p.Key*1000, p.KeyAtOnce*1000)
	return p, err
}

// attempts is how often one cluster is tried. A failure is reported; it does
// not throw away the hour before it.
const attempts = 3

// cluster measures one cluster of one tool.
func (b *bench) cluster(ctx context.Context, by tool, how mode, p *pair) (cluster, error) {
	for n := 1; ; n++ {
		if err := b.fresh(ctx); err != nil {
			return cluster{}, err
		}
		c, commands, err := build(ctx, b.lab, by, how)
		if err == nil {
			if how == serial {
				b.commands = append(b.commands, commands...)
			}
			fmt.Fprintf(os.Stderr, "  %s, %s: all Ready after %.1f s; others used %.0f %% of the machine\n", by, how, c.Ready, c.Others*100)
			return c, nil
		}
		if ctx.Err() != nil || n == attempts {
			return c, err
		}
		p.Failed = append(p.Failed, by)
		fmt.Fprintf(os.Stderr, "  %s, %s, failed: %v\n", by, how, err)
	}
}

// fresh makes all nodes as they were at first, and waits until the disk has
// caught up.
func (b *bench) fresh(ctx context.Context) error {
	if b.used {
		var wiping errgroup.Group
		for _, n := range b.lab.Nodes() {
			wiping.Go(func() error { return n.Wipe(ctx) })
		}
		if err := wiping.Wait(); err != nil {
			return err
		}
		if err := b.install(ctx); err != nil {
			return err
		}
	}
	b.used = true
	unix.Sync()
	return nil
}

// install puts hactl and this program, as the meter, on every node. kubeadm
// is there.
func (b *bench) install(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	return errors.Join(b.lab.InstallHactl(ctx, b.hactl), b.lab.Install(ctx, self, meterPath, 0o755))
}

func readRecord(name string) (r record, err error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(data, &r); err != nil {
		return r, fmt.Errorf("%s: %w", name, err)
	}
	return r, nil
}

func writeJSON[T any](name string, value T) error {
	data, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return err
	}
	return write(name, append(data, '\n'))
}

func write(name string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	return os.WriteFile(name, data, 0o644)
}
