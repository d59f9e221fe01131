// Command chaos lets one thing after the other go wrong in a real cluster in
// the lab, under a constant load, and looks whether hactl and the cluster come
// through: whether the same command, run again, ends well, whether every
// acknowledged write is there, and whether all is healthy again.
//
// Which fault comes when follows from a seed, and each fault from the seed and
// its number alone: --seed S --from K --faults 1 repeats one.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hactl/hactl/e2e/machine"
	"github.com/hactl/hactl/e2e/nodes"
)

const labName = "chaos"

// options are the flags.
type options struct {
	seed         uint64
	from, faults int
	only         string
	hactl        string
	log, report  string
	kept         string
}

func main() {
	var o options
	flag.Uint64Var(&o.seed, "seed", 1, "which faults there are")
	flag.IntVar(&o.from, "from", 1, "the number of the first fault")
	flag.IntVar(&o.faults, "faults", 200, "how many faults there are")
	flag.StringVar(&o.only, "only", "", "only these kinds of faults, separated by commas; this changes what a seed stands for")
	flag.StringVar(&o.hactl, "hactl", "bin/hactl", "the hactl to test")
	flag.StringVar(&o.log, "log", "logs/chaos.jsonl", "where everything that happens is noted")
	flag.StringVar(&o.kept, "logs", "logs/chaos", "where the nodes' logs go after a failure")
	flag.StringVar(&o.report, "report", "", "where the report goes; none if empty")
	flag.Parse()
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, unix.SIGTERM)
	defer cancel()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	chosen, err := o.kinds()
	if err != nil {
		return err
	}
	list, err := plan(o.seed, o.from, o.faults, chosen)
	if err != nil {
		return err
	}
	r, err := perform(ctx, o, list)
	if len(r.Results) > 0 {
		fmt.Print("\n", r.table())
	}
	// A run that somebody ends reports the faults that it came to.
	if (err == nil || ctx.Err() != nil) && len(r.Results) > 0 && o.report != "" {
		err = errors.Join(err, os.WriteFile(o.report, []byte(r.page()), 0o644))
	}
	return errors.Join(err, r.verdict())
}

// kinds are those that the flags allow.
func (o options) kinds() ([]kind, error) {
	all := kinds()
	if o.only == "" {
		return all, nil
	}
	var list []kind
	for name := range strings.SplitSeq(o.only, ",") {
		k, err := pick(all, strings.TrimSpace(name))
		if err != nil {
			return nil, err
		}
		list = append(list, k)
	}
	// Fault 1 of each epoch needs a kind of its own.
	if !slices.ContainsFunc(list, func(k kind) bool { return k.first }) {
		list = append(list, firstKinds()...)
	}
	return list, nil
}

// perform lets the faults happen in a lab of its own.
func perform(ctx context.Context, o options, list []fault) (r record, err error) {
	r.Seed = o.seed
	log, err := openJournal(o.log)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, log.close()) }()
	dir, err := os.MkdirTemp("", "hactl-chaos-")
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	clock := filepath.Join(dir, "hactl-clock")
	if needsClock(list) {
		fmt.Fprintln(os.Stderr, "build hactl with a clock that can be off; the first time takes minutes")
		if err := buildClock(ctx, clock); err != nil {
			return r, err
		}
	}
	lab, err := nodes.Up(ctx, nodes.Options{Name: labName, ControlPlanes: len(planes), Workers: len(workers), LoadBalancers: 1, Progress: os.Stderr})
	if err != nil {
		return r, err
	}
	// The lab has to go whatever has happened to ctx.
	defer func() { err = errors.Join(err, lab.Down(context.WithoutCancel(ctx))) }()
	if err := lab.InstallHactl(ctx, o.hactl); err != nil {
		return r, err
	}
	if r.Machine, err = machine.This(); err != nil {
		return r, err
	}
	if r.Versions, err = machine.Versions(ctx, lab); err != nil {
		return r, err
	}
	began := time.Now()
	p := &performance{cluster: newCluster(lab, log, o.hactl), options: o, record: &r}
	p.clock = clock
	err = p.all(ctx, list)
	r.Took = time.Since(began)
	return r, err
}
