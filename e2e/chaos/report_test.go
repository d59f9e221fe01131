package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hactl/hactl/config/goldentest"
	"github.com/hactl/hactl/e2e/machine"
)

func exampleRecord() record {
	made := func(number int, kind, variant string, gap float64, problem string) result {
		return result{
			fault:   fault{Seed: 5, Number: number, Kind: kind, Node: "cp-2", Variant: variant},
			Seconds: 10 + gap, Healthy: 5 + gap, Gap: gap, Problem: problem,
		}
	}
	return record{
		Machine:  machine.Machine{Processor: "Example 1000", Processors: 2, Memory: 8 << 30, Kernel: "6.1.0"},
		Versions: []machine.Version{{Of: "Kubernetes", Is: "v1.37.1"}, {Of: "hactl", Is: "v0.1.0"}},
		Seed:     5, Writes: 1234, Reads: 1200, Took: 10 * time.Minute,
		Results: []result{
			made(1, "init killed", "", 0, ""),
			made(2, "etcd killed", atRest, 1, ""),
			made(3, "power-off", whileItJoins, 2.5, ""),
			made(4, "etcd killed", whileAnotherJoins, 3, "2 of 900 acknowledged writes are not there"),
		},
	}
}

func TestReport(t *testing.T) {
	r := exampleRecord()
	var lines strings.Builder
	for _, x := range r.Results {
		lines.WriteString(x.line() + "\n")
	}
	goldentest.Check(t, "page.golden", r.page())
	goldentest.Check(t, "table.golden", lines.String()+"\n"+r.table())
}

func TestVerdict(t *testing.T) {
	r := exampleRecord()
	if r.verdict() == nil {
		t.Error("a fault was not survived, and the verdict is good")
	}
	r.Results = r.Results[:3]
	if err := r.verdict(); err != nil {
		t.Error(err)
	}
	r.Troubles = []string{"only 3 writes"}
	if r.verdict() == nil {
		t.Error("the load was none, and the verdict is good")
	}
}

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		name, reason string
		values       []float64
		want         float64
	}{
		{"One", "the only one", []float64{3}, 3},
		{"Odd", "the middle, whatever the order", []float64{9, 1, 2}, 2},
		{"Even", "between the two in the middle", []float64{4, 1, 2, 9}, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := median(c.values); got != c.want {
				t.Errorf("%s: got %v, want %v", c.reason, got, c.want)
			}
		})
	}
}

// closing is a buffer that can be closed.
type closing struct{ bytes.Buffer }

func (*closing) Close() error { return nil }

func TestJournal(t *testing.T) {
	out := &closing{}
	j := &journal{out: out, now: func() time.Time { return time.Unix(1, 0) }}
	code := 3
	j.say("", "before", "")
	j.begin(fault{Seed: 1, Number: 4, Kind: "cut off", Node: "cp-2", Variant: atRest, Held: time.Second})
	j.note(entry{What: "hactl join", Node: "cp-2", Code: &code})
	if err := j.close(); err != nil {
		t.Fatal(err)
	}
	var got []entry
	for line := range strings.Lines(out.String()) {
		var e entry
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		got = append(got, e)
	}
	now := time.Unix(1, 0).UTC()
	want := []entry{
		{Time: now, What: "before"},
		{Time: now, Fault: 4, What: "fault", Node: "cp-2", Text: "cut off, cp-2, at rest", Plan: &fault{Seed: 1, Number: 4, Kind: "cut off", Node: "cp-2", Variant: atRest, Held: time.Second}},
		{Time: now, Fault: 4, What: "hactl join", Node: "cp-2", Code: &code},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}
