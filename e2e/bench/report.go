package main

import (
	"fmt"
	"slices"
	"strings"
)

// report is the record for people, in Markdown.
func report(r record) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# hactl and kubeadm, measured side by side\n\n")
	fmt.Fprintf(&b, "`make bench` has written this page. Both tools ran in turn on the same nodes, images, settings and Kubernetes build, in %d pairs after a warm-up, each time on fresh nodes: three control planes and a worker behind HAProxy. Preflight checks were on, timeouts the same.\n\n", len(r.Pairs))
	if others := r.others(); others.Median > idle {
		fmt.Fprintf(&b, "**The machine was not idle: other programs took %s %% of it. These numbers are rough.**\n\n", cell(others))
	}
	fmt.Fprintf(&b, "Each cell is the median, with the least and the most. The ratio is hactl's value divided by kubeadm's, run by run. Below 1, hactl needs less.\n")
	for _, s := range sections() {
		r.section(&b, s)
	}
	fmt.Fprintf(&b, "\nProcessor time and memory are those of the tool's own process, without the programs that it starts.\n")
	r.floor(&b)
	r.spent(&b)
	fmt.Fprintf(&b, "\n## Where the time goes\n\n![Timeline of the phases of both tools](benchmarks.svg)\n\nFor each tool and order of joins, the timeline shows the run that is closest to the median. hactl's phases are its own events. kubeadm's are the names in its output; what it does before a phase speaks counts for the phase before: its first wait for the API server, for example, for kubelet-start.\n")
	r.phases(&b, "init", "cp-1")
	r.phases(&b, "a control plane joins, the second one", "cp-2")
	r.phases(&b, "a worker joins", "worker-1")
	r.circumstances(&b)
	return b.String()
}

func (r record) section(b *strings.Builder, s section) {
	fmt.Fprintf(b, "\n## %s\n\n| | hactl | kubeadm | ratio | goal |\n|---|---|---|---|---|\n", s.title)
	for _, m := range s.measures {
		compared(b, m, r.values(m, hactl), r.values(m, kubeadm))
	}
	if s.title != "Time" {
		return
	}
	ours, theirs := r.best(hactl), r.best(kubeadm)
	m := measure{name: fmt.Sprintf("**first command to all Ready, each tool in its best mode** (hactl: joins %s, kubeadm: joins %s)", ours, theirs), unit: "s", goal: 0.45}
	compared(b, m, r.ready(hactl, ours), r.ready(kubeadm, theirs))
}

// compared writes one line of a table.
func compared(b *strings.Builder, m measure, ours, theirs []float64) {
	goal := ""
	if m.goal > 0 {
		goal = fmt.Sprintf("≤ %.2f", m.goal)
	}
	fmt.Fprintf(b, "| %s | %s %s | %s %s | %s | %s |\n", m.name, cell(spreadOf(ours)), m.unit, cell(spreadOf(theirs)), m.unit, cell(spreadOf(ratios(ours, theirs))), goal)
}

// cell is "median (least to most)".
func cell(s spread) string {
	return fmt.Sprintf("%s (%s to %s)", number(s.Median), number(s.Min), number(s.Max))
}

// number has two digits after the point below 10, one below 100, else none.
func number(v float64) string {
	switch {
	case v < 10:
		return fmt.Sprintf("%.2f", v)
	case v < 100:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.0f", v)
}

func (r record) floor(b *strings.Builder) {
	var values []float64
	for _, p := range r.Pairs {
		values = append(values, p.Floor)
	}
	fmt.Fprintf(b, "\n## The floor\n\nWith every file of a first control plane in place, and etcd empty, a node needs %s s from the start of the kubelet to an API server that says it is ready. What init takes beyond that is the tool's.\n", cell(spreadOf(values)))
}

// spent says what the processor time and the memory go to, as far as neither
// tool can do without.
func (r record) spent(b *strings.Builder) {
	var one, all []float64
	for _, p := range r.Pairs {
		one, all = append(one, p.Key*1000), append(all, p.KeyAtOnce*1000)
	}
	fmt.Fprintf(b, "\n## What the processor time and the memory go to\n\nBoth tools make the same RSA keys: %d in init, %d where a control plane joins. With %d bits, one takes %s ms of processor time here when they are made one at a time, as kubeadm does, and %s ms when all processors make keys, as hactl does to be done sooner. What is left is the work of the tool itself:\n\n", keysOfInit, keysOfJoin, keyBits, cell(spreadOf(one)), cell(spreadOf(all)))
	fmt.Fprintf(b, "| medians | hactl, keys | hactl, the rest | kubeadm, keys | kubeadm, the rest |\n|---|--:|--:|--:|--:|\n")
	for _, c := range []struct {
		name  string
		which func(command) bool
		keys  float64
	}{{"init", isInit, keysOfInit}, {"a control plane joins", isPlane, keysOfJoin}} {
		r.besideKeys(b, c.name, c.which, c.keys*spreadOf(all).Median/1000, c.keys*spreadOf(one).Median/1000)
	}
	fmt.Fprintf(b, "\nA part of the peak of memory are pages of the program's file. All processes that run it share them, and the kernel takes them back when it needs to:\n\n| medians | hactl, file | hactl, its own | kubeadm, file | kubeadm, its own |\n|---|--:|--:|--:|--:|\n")
	r.parts(b, "init", isInit)
	r.parts(b, "a control plane joins", isPlane)
	r.parts(b, "worker joins", named("worker-1"))
}

// besideKeys writes what the processor time is with and without keys, in
// seconds.
func (r record) besideKeys(b *strings.Builder, name string, which func(command) bool, ours, theirs float64) {
	m := measure{of: forEach(every, which, cpu)}
	fmt.Fprintf(b, "| %s | %s s | %s s | %s s | %s s |\n", name,
		number(ours), number(spreadOf(r.values(m, hactl)).Median-ours),
		number(theirs), number(spreadOf(r.values(m, kubeadm)).Median-theirs))
}

// parts writes the parts of the peak of memory, in MB.
func (r record) parts(b *strings.Builder, name string, which func(command) bool) {
	fmt.Fprintf(b, "| %s |", name)
	for _, of := range []tool{hactl, kubeadm} {
		file := spreadOf(r.values(measure{of: forEach(every, which, mapped)}, of)).Median
		own := spreadOf(r.values(measure{of: forEach(every, which, unmapped)}, of)).Median
		fmt.Fprintf(b, " %s MB | %s MB |", number(file), number(own))
	}
	fmt.Fprintln(b)
}

// phases compares the medians of the phases of one command, where nodes join
// one after the other.
func (r record) phases(b *strings.Builder, title, node string) {
	fmt.Fprintf(b, "\n### %s%s\n\n| hactl | s | kubeadm | s |\n|---|---|---|---|\n", strings.ToUpper(title[:1]), title[1:])
	ours, theirs := r.phaseMedians(hactl, node), r.phaseMedians(kubeadm, node)
	for i := range max(len(ours), len(theirs)) {
		fmt.Fprintf(b, "| %s | %s |\n", phaseCell(ours, i), phaseCell(theirs, i))
	}
}

func phaseCell(list []phaseMedian, i int) string {
	if i >= len(list) {
		return " | "
	}
	return list[i].name + " | " + number(list[i].seconds)
}

// phaseMedian is how long a group of phases took.
type phaseMedian struct {
	name    string
	seconds float64
}

// phaseMedians are in the order in which the groups began. The last is what
// no phase accounts for.
func (r record) phaseMedians(of tool, node string) []phaseMedian {
	const rest = "(between the phases)"
	var order []string
	seconds := map[string][]float64{}
	for _, p := range r.Pairs {
		for _, c := range p.Clusters {
			if c.Tool != of || c.Mode != serial {
				continue
			}
			i := slices.IndexFunc(c.Commands, named(node))
			for name, took := range timeByGroup(c.Commands[i], rest) {
				if !slices.Contains(order, name) {
					order = append(order, name)
				}
				seconds[name] = append(seconds[name], took)
			}
		}
	}
	var list []phaseMedian
	for _, name := range order {
		list = append(list, phaseMedian{name, spreadOf(seconds[name]).Median})
	}
	// A group that only some of the runs had comes after the rest of the first.
	i := slices.IndexFunc(list, func(m phaseMedian) bool { return m.name == rest })
	last := list[i]
	return append(slices.Delete(list, i, i+1), last)
}

// timeByGroup yields how long each group of phases took, in order, and then
// the rest of the command.
func timeByGroup(c command, rest string) func(yield func(string, float64) bool) {
	var order []string
	took, sum := map[string]float64{}, 0.0
	for _, s := range c.Spans {
		name := group(s.Phase)
		if _, ok := took[name]; !ok {
			order = append(order, name)
		}
		took[name] += s.End - s.Start
		sum += s.End - s.Start
	}
	return func(yield func(string, float64) bool) {
		for _, name := range order {
			if !yield(name, took[name]) {
				return
			}
		}
		yield(rest, c.wall()-sum)
	}
}

// circumstances are what the numbers depend on.
func (r record) circumstances(b *strings.Builder) {
	fmt.Fprintf(b, "\n## Measured with\n\n- %s; all nodes on this one machine\n", r.Machine)
	for _, v := range r.Versions {
		fmt.Fprintf(b, "- %s %s\n", v.Of, v.Is)
	}
	failed := map[tool]int{}
	for _, p := range r.Pairs {
		for _, t := range p.Failed {
			failed[t]++
		}
	}
	fmt.Fprintf(b, "- other programs, the kernel included, took %s %% of the processors meanwhile\n", cell(r.others()))
	for _, t := range []tool{hactl, kubeadm} {
		fmt.Fprintf(b, "- clusters of %s that failed and were made again: %d\n", t, failed[t])
	}
	fmt.Fprintf(b, "\nThe commands. The pod network was set up in the same way right after init. All are Ready when a watch of the nodes says so and all commands have ended.\n\n%s\n", "    "+strings.Join(r.Commands, "\n    "))
}

// idle is how much of the processors others may use, in percent, on a machine
// that does nothing else: the kernel itself needs some.
const idle = 10

// others is how much others than the lab have used, in percent.
func (r record) others() spread {
	var list []float64
	for _, p := range r.Pairs {
		for _, c := range p.Clusters {
			list = append(list, c.Others*100)
		}
	}
	return spreadOf(list)
}
