package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/hactl/hactl/e2e/machine"
)

// result is what came of one fault.
type result struct {
	fault
	Seconds float64 `json:"seconds"`           // from its begin until all was healthy and checked
	Healthy float64 `json:"healthy"`           // the same from its end
	Gap     float64 `json:"gap"`               // the longest time without an acknowledged write, in seconds
	Problem string  `json:"problem,omitempty"` // why it was not survived; "" if it was
}

// line is the result for people.
func (r result) line() string {
	word := "ok"
	if r.Problem != "" {
		word = "FAILED: " + r.Problem
	}
	return fmt.Sprintf("%4d %-62s %6.1f s, gap %4.1f s  %s", r.Number, r.fault, r.Seconds, r.Gap, word)
}

// record is what a run has shown.
type record struct {
	Machine       machine.Machine
	Versions      []machine.Version
	Seed          uint64
	Results       []result
	Writes, Reads int // that were answered
	Took          time.Duration
	Troubles      []string // what went wrong outside of a fault
}

// group is what came of all faults of one kind.
type group struct {
	kind           string
	count, passed  int
	gap            float64 // the longest of all
	healthy, whole float64 // medians
}

// groups are the kinds in the order in which people know them.
func (r record) groups() (list []group) {
	for _, k := range kinds() {
		g := group{kind: k.name}
		var healthy, whole []float64
		for _, x := range r.Results {
			if x.Kind != k.name {
				continue
			}
			g.count++
			if x.Problem == "" {
				g.passed++
			}
			g.gap = max(g.gap, x.Gap)
			healthy, whole = append(healthy, x.Healthy), append(whole, x.Seconds)
		}
		if g.count > 0 {
			g.healthy, g.whole = median(healthy), median(whole)
			list = append(list, g)
		}
	}
	return list
}

// median is the middle of the values, of which there is at least one.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 0 {
		return (sorted[middle-1] + sorted[middle]) / 2
	}
	return sorted[middle]
}

// sum is the line below all groups.
func (r record) sum() group {
	total := group{kind: "all"}
	for _, g := range r.groups() {
		total.count, total.passed, total.gap = total.count+g.count, total.passed+g.passed, max(total.gap, g.gap)
	}
	return total
}

// table shows the groups on a terminal.
func (r record) table() string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "kind\tfaults\tsurvived\tlongest gap\thealthy after (median)")
	for _, g := range r.groups() {
		fmt.Fprintf(w, "%s\t%d\t%d\t%.1f s\t%.1f s\n", g.kind, g.count, g.passed, g.gap, g.healthy)
	}
	total := r.sum()
	fmt.Fprintf(w, "%s\t%d\t%d\t%.1f s\t\n", total.kind, total.count, total.passed, total.gap)
	// The text goes to memory, which takes everything.
	_ = w.Flush()
	return b.String()
}

// verdict is an error unless every fault was survived, and nothing else went
// wrong.
func (r record) verdict() error {
	var errs []error
	for _, text := range r.Troubles {
		errs = append(errs, errors.New(text))
	}
	if total := r.sum(); total.passed < total.count {
		errs = append(errs, fmt.Errorf("%d of %d faults were not survived", total.count-total.passed, total.count))
	}
	return errors.Join(errs...)
}
