package main

import (
	"slices"
	"strings"
)

// A measure is one line of the report.
type measure struct {
	name string
	unit string
	goal float64 // the ratio that hactl wants to stay below; 0 is none
	// of lists the values of one cluster: the same number for both tools.
	of func(cluster) []float64
}

// section is one table of the report.
type section struct {
	title    string
	measures []measure
}

func sections() []section {
	return []section{
		{"Time", []measure{
			{"init", "s", 0.75, forEach(every, isInit, command.wall)},
			{"second control plane joins", "s", 0, forEach(serial, named("cp-2"), command.wall)},
			{"third control plane joins", "s", 0, forEach(serial, named("cp-3"), command.wall)},
			{"a control plane joins, second and third", "s", 0.45, forEach(serial, isPlane, command.wall)},
			{"worker joins", "s", 1, forEach(serial, named("worker-1"), command.wall)},
			{"all three join, started in the same second", "s", 0, joinsOf(atOnce)},
			{"first command to all Ready, joins one after the other", "s", 0, readyOf(serial)},
			{"first command to all Ready, joins at once", "s", 0, readyOf(atOnce)},
		}},
		{"Processor time, user and system", []measure{
			{"init", "s", 0.8, forEach(every, isInit, cpu)},
			{"a control plane joins", "s", 0.8, forEach(every, isPlane, cpu)},
			{"worker joins", "s", 0.8, forEach(every, named("worker-1"), cpu)},
			{"all four commands", "s", 0.8, allCPU},
		}},
		{"Peak of memory", []measure{
			{"init", "MB", 0.6, forEach(every, isInit, peak)},
			{"a control plane joins", "MB", 0.6, forEach(every, isPlane, peak)},
			{"worker joins", "MB", 0.6, forEach(every, named("worker-1"), peak)},
		}},
	}
}

// every stands for both modes.
const every mode = ""

// forEach lists a value of each command that is asked for.
func forEach(how mode, which func(command) bool, value func(command) float64) func(cluster) []float64 {
	return func(c cluster) (list []float64) {
		if how != every && c.Mode != how {
			return nil
		}
		for _, x := range c.Commands {
			if which(x) {
				list = append(list, value(x))
			}
		}
		return list
	}
}

func isInit(c command) bool { return c.Node == "cp-1" }

// isPlane is for control planes that join.
func isPlane(c command) bool { return strings.HasPrefix(c.Node, "cp-") && !isInit(c) }

func named(name string) func(command) bool { return func(c command) bool { return c.Node == name } }

func cpu(c command) float64  { return c.CPU }
func peak(c command) float64 { return float64(c.Peak) / 1e6 }

// mapped and unmapped are the two parts of peak.
func mapped(c command) float64   { return float64(c.Mapped) / 1e6 }
func unmapped(c command) float64 { return peak(c) - mapped(c) }

func allCPU(c cluster) []float64 {
	sum := 0.0
	for _, x := range c.Commands {
		sum += x.CPU
	}
	return []float64{sum}
}

func readyOf(how mode) func(cluster) []float64 {
	return func(c cluster) []float64 {
		if c.Mode != how {
			return nil
		}
		return []float64{c.Ready}
	}
}

// joinsOf is the time from the start of the first join to the end of the last.
func joinsOf(how mode) func(cluster) []float64 {
	return func(c cluster) []float64 {
		if c.Mode != how {
			return nil
		}
		begin, end := c.Commands[1].Start, 0.0
		for _, x := range c.Commands[1:] {
			begin, end = min(begin, x.Start), max(end, x.End)
		}
		return []float64{end - begin}
	}
}

// values lists what a measure gives for a tool, in the order of the pairs.
func (r record) values(m measure, of tool) (list []float64) {
	for _, p := range r.Pairs {
		for _, c := range p.Clusters {
			if c.Tool == of {
				list = append(list, m.of(c)...)
			}
		}
	}
	return list
}

// ready lists the times to all Ready of a tool in one mode.
func (r record) ready(of tool, how mode) []float64 {
	return r.values(measure{of: readyOf(how)}, of)
}

// best is the mode in which the tool's median is least.
func (r record) best(of tool) mode {
	if spreadOf(r.ready(of, atOnce)).Median < spreadOf(r.ready(of, serial)).Median {
		return atOnce
	}
	return serial
}

// typical is the cluster whose time to all Ready is closest to the median.
func (r record) typical(of tool, how mode) cluster {
	var all []cluster
	for _, p := range r.Pairs {
		for _, c := range p.Clusters {
			if c.Tool == of && c.Mode == how {
				all = append(all, c)
			}
		}
	}
	slices.SortFunc(all, func(a, b cluster) int {
		if a.Ready < b.Ready {
			return -1
		}
		return 1
	})
	return all[(len(all)-1)/2]
}
