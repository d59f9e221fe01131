package main

import "fmt"

// timeline is what e2e/timeline draws.
type timeline struct {
	Title  string
	Panels []panel
}

// panel is one cluster.
type panel struct {
	Title string
	Ready float64 // seconds; a mark
	Rows  []row
}

// row is one node.
type row struct {
	Node       string
	Start, End float64
	Bars       []bar
}

// bar is one phase.
type bar struct {
	Name, Kind string
	Start, End float64
}

// timelineOf shows, for each tool and mode, the cluster that is closest to the
// median.
func timelineOf(r record) timeline {
	t := timeline{Title: "From the first command to three control planes and a worker, all Ready"}
	for _, how := range []mode{atOnce, serial} {
		for _, of := range []tool{hactl, kubeadm} {
			c := r.typical(of, how)
			p := panel{Title: fmt.Sprintf("%s, joins %s", of, how), Ready: c.Ready}
			for _, x := range c.Commands {
				line := row{Node: x.Node, Start: x.Start, End: x.End}
				for _, s := range grouped(x.Spans) {
					line.Bars = append(line.Bars, bar{Name: s.Phase, Kind: kind(s.Phase), Start: s.Start, End: s.End})
				}
				p.Rows = append(p.Rows, line)
			}
			t.Panels = append(t.Panels, p)
		}
	}
	return t
}
