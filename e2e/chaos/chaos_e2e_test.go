//go:build e2e

package main

import (
	"context"
	"testing"
	"time"
)

// shortRun are the faults of the run that is part of every test: a cluster
// whose init is hit, and then faults of two seeds.
func shortRun(t *testing.T) []fault {
	var list []fault
	for _, part := range []struct {
		seed        uint64
		from, count int
	}{{1, 1, 8}, {2, 2, 6}} {
		faults, err := plan(part.seed, part.from, part.count, kinds())
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, faults...)
	}
	return list
}

// TestChaos is the short form of "make chaos".
func TestChaos(t *testing.T) {
	list := shortRun(t)
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	defer cancel()
	o := options{hactl: "../../bin/hactl", log: "../../logs/chaos-test.jsonl", kept: "../../logs/TestChaos"}
	r, err := perform(ctx, o, list)
	t.Logf("%d writes, %d reads, %.0f s\n%s", r.Writes, r.Reads, r.Took.Seconds(), r.table())
	if err != nil {
		t.Error(err)
	}
	if err := r.verdict(); err != nil {
		t.Error(err)
	}
	if len(r.Results) != len(list) {
		t.Errorf("%d of %d faults happened", len(r.Results), len(list))
	}
}
