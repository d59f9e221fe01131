package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hactl/hactl/config/goldentest"
	"github.com/hactl/hactl/e2e/machine"
)

// made is a cluster in which everything takes slow times as long.
func made(of tool, how mode, slow float64) cluster {
	c := cluster{Tool: of, Mode: how, Others: 0.02}
	at := 0.0
	for _, node := range []string{"cp-1", "cp-2", "cp-3", "worker-1"} {
		took := 10 * slow
		c.Commands = append(c.Commands, command{
			Node: node, Start: at, End: at + took, CPU: slow, Peak: int64(slow * 50e6), Mapped: int64(slow * 30e6),
			Spans: []span{{"preflight", at, at + took/4}, {"certs/ca", at + took/4, at + took/2}, {"certs/sa", at + took/2, at + took*3/4}},
		})
		if how == serial || node == "cp-1" {
			at += took
		}
		c.Ready = at + 1
	}
	return c
}

func madeRecord() record {
	r := record{
		Machine:  machine.Machine{Processor: "Example 1000", Processors: 2, Memory: 8 << 30, Kernel: "6.1.0"},
		Versions: []machine.Version{{Of: "Kubernetes", Is: "v1.37.1"}, {Of: "hactl", Is: "v0.1.0"}},
		Commands: []string{"hactl init -o json", "kubeadm init"},
	}
	for _, noise := range []float64{1, 1.2, 0.9} {
		r.Pairs = append(r.Pairs, pair{Floor: 7 * noise, Key: 0.01 * noise, KeyAtOnce: 0.015 * noise, Clusters: []cluster{
			made(hactl, serial, 0.5*noise), made(kubeadm, serial, noise), made(hactl, atOnce, 0.4*noise), made(kubeadm, atOnce, 5*noise),
		}})
	}
	r.Pairs[1].Failed = []tool{kubeadm}
	return r
}

func TestReport(t *testing.T) {
	goldentest.Check(t, "report.golden", report(madeRecord()))
}

func TestReportOfBusyMachine(t *testing.T) {
	const warning = "The machine was not idle"
	r := madeRecord()
	if strings.Contains(report(r), warning) {
		t.Error("a warning of an idle machine")
	}
	for _, p := range r.Pairs {
		for i := range p.Clusters {
			p.Clusters[i].Others = 0.4
		}
	}
	if !strings.Contains(report(r), warning) {
		t.Error("no warning of a machine that was busy")
	}
}

// TestValuesMatch wants both tools to have as many values in each measure,
// in the order of the runs: they are divided one by one.
func TestValuesMatch(t *testing.T) {
	r := madeRecord()
	for _, s := range sections() {
		for _, m := range s.measures {
			ours, theirs := r.values(m, hactl), r.values(m, kubeadm)
			if len(ours) == 0 || len(ours) != len(theirs) {
				t.Errorf("%s: %s: %d values and %d", s.title, m.name, len(ours), len(theirs))
			}
		}
	}
	planes := sections()[0].measures[3]
	if diff := cmp.Diff([]float64{5, 5, 6, 6, 4.5, 4.5}, r.values(planes, hactl)); diff != "" {
		t.Errorf("%s: -want +got\n%s", planes.name, diff)
	}
}

func TestBest(t *testing.T) {
	r := madeRecord()
	if got := r.best(hactl); got != atOnce {
		t.Errorf("hactl is best with joins %s", got)
	}
	if got := r.best(kubeadm); got != serial {
		t.Errorf("kubeadm is best with joins %s", got)
	}
	if got := r.typical(hactl, serial).Ready; got != 21 {
		t.Errorf("the typical cluster took %v, want the median", got)
	}
}

func TestSpread(t *testing.T) {
	for _, c := range []struct {
		name, reason string
		values       []float64
		want         spread
	}{
		{"Odd", "the middle one", []float64{3, 1, 2}, spread{2, 1, 3}},
		{"Even", "between the two in the middle", []float64{4, 1, 2, 3}, spread{2.5, 1, 4}},
		{"None", "nothing to say", nil, spread{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := spreadOf(c.values); got != c.want {
				t.Errorf("%s: got %v, want %v", c.reason, got, c.want)
			}
		})
	}
}

func TestGrouped(t *testing.T) {
	got := grouped([]span{
		{"control-plane-prepare/certs/apiserver", 0, 1}, {"control-plane-prepare/certs/sa", 1, 2},
		{"kubelet-start", 2, 3}, {"control-plane-prepare/certs/late", 3, 4},
	})
	want := []span{{"certs", 0, 2}, {"kubelet-start", 2, 3}, {"certs", 3, 4}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestTimeline(t *testing.T) {
	got := timelineOf(madeRecord())
	if len(got.Panels) != 4 || got.Panels[0].Title != "hactl, joins at once" || len(got.Panels[0].Rows) != 4 {
		t.Fatalf("got %+v", got)
	}
	want := row{Node: "cp-1", End: 5, Bars: []bar{{"preflight", "look", 0, 1.25}, {"certs", "files", 1.25, 3.75}}}
	if diff := cmp.Diff(want, got.Panels[2].Rows[0]); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}
