package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"
)

// calm is how long writes have to go on before a fault: one that falls into
// the recovery from the one before would be two.
const calm = 500 * time.Millisecond

// performance is a run of many faults.
type performance struct {
	*cluster
	options options
	record  *record
	whole   bool // the cluster is there and healthy
}

// all lets all faults happen, one after the other. A failure is counted, and
// the next fault gets a new cluster; an error is of the run itself.
func (p *performance) all(ctx context.Context, list []fault) error {
	for _, f := range list {
		if err := p.prepare(ctx, f); err != nil {
			return errors.Join(err, p.finish())
		}
		r := p.one(ctx, f)
		if ctx.Err() != nil {
			return errors.Join(context.Cause(ctx), p.finish())
		}
		p.record.Results = append(p.record.Results, r)
		p.log.note(entry{What: "result", Node: f.Node, Text: r.Problem, Seconds: r.Seconds, Result: &r})
		fmt.Println(r.line())
		if r.Problem != "" {
			p.keep(ctx, f)
		}
	}
	return p.finish()
}

// prepare makes a cluster if the fault needs one and there is none.
func (p *performance) prepare(ctx context.Context, f fault) error {
	if f.Number%epoch == 1 {
		p.trouble(p.finish())
		p.whole = false
		return nil
	}
	if p.whole {
		return nil
	}
	began := time.Now()
	if err := p.make(ctx); err != nil {
		// That is a failure, too, but no reason to forget the rest.
		p.trouble(fmt.Errorf("make a cluster: %w", err))
		p.trouble(p.finish())
		if err := p.make(ctx); err != nil {
			return fmt.Errorf("make a cluster: %w", err)
		}
	}
	p.whole = true
	fmt.Printf("     a new cluster in %.1f s\n", time.Since(began).Seconds())
	return nil
}

// trouble notes an error that is not of one fault: the run fails, and goes on.
func (p *performance) trouble(err error) {
	if err != nil {
		p.record.Troubles = append(p.record.Troubles, err.Error())
		p.log.note(entry{What: "trouble", Text: err.Error()})
		fmt.Println("    ", err)
	}
}

// finish ends a cluster's load.
func (p *performance) finish() error {
	if p.load == nil {
		return nil
	}
	l := p.load
	p.load = nil
	err := l.end()
	p.record.Writes += len(l.written)
	p.record.Reads += l.reads
	return err
}

// one lets a fault happen and judges what comes of it.
func (p *performance) one(ctx context.Context, f fault) result {
	p.log.begin(f)
	began := time.Now()
	p.lifted = began
	err := p.happen(ctx, f)
	now := time.Now()
	r := result{fault: f, Seconds: seconds(now.Sub(began)), Healthy: seconds(now.Sub(p.lifted))}
	if p.load != nil {
		gap, missing := p.load.longest(now)
		r.Gap = seconds(gap)
		err = errors.Join(err, missing)
		if limit := gapLimit(f); err == nil && limit > 0 && gap > limit && f.Number%epoch != 1 {
			err = fmt.Errorf("no write was acknowledged for %.1f s: the limit is %s", gap.Seconds(), limit)
		}
	}
	if err != nil {
		r.Problem = err.Error()
	}
	p.whole = err == nil
	return r
}

// happen lets the fault happen and waits until all is healthy.
func (p *performance) happen(ctx context.Context, f fault) error {
	k, err := pick(kinds(), f.Kind)
	if err != nil {
		return err
	}
	if p.load != nil {
		p.load.since(time.Now())
		pass(ctx, calm)
	}
	if err := k.run(ctx, p.cluster, f); err != nil {
		return err
	}
	return p.settle(ctx, planes[f.Number%len(planes)])
}

// keep keeps what shows why a fault was not survived.
func (p *performance) keep(ctx context.Context, f fault) {
	dir := filepath.Join(p.options.kept, fmt.Sprintf("%d-%d", f.Seed, f.Number))
	fmt.Printf("     again: %s\n     the nodes' logs: %s\n", p.options.again(f), dir)
	if err := p.lab.CollectLogs(ctx, dir); err != nil {
		fmt.Println("     collect logs:", err)
	}
	// A cluster that was broken need not have answered often.
	_ = p.finish()
}

// again is the command that repeats one fault.
func (o options) again(f fault) string {
	text := fmt.Sprintf("go run ./e2e/chaos --seed %d --from %d --faults 1", f.Seed, f.Number)
	if o.only != "" {
		text += fmt.Sprintf(" --only %q", o.only)
	}
	return text
}
