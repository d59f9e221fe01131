package cmd

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hactl/hactl/cmd/render"
	"github.com/hactl/hactl/phases"
)

// newPhaseList is `… phase list`.
func newPhaseList[S any](streams Streams, list []phases.Phase[S]) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the phases with what they read and write",
		Args:  noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			format, _ := c.Flags().GetString("output")
			r, err := render.New(render.Format(format), streams.Out, streams.Err, streams.width)
			if err != nil {
				return err
			}
			return r.Result(treeOf(list))
		},
	}
}

// phaseTree lists the phases that users see, parents first.
type phaseTree struct {
	Phases []phaseEntry `json:"phases"`
}

type phaseEntry struct {
	Path    string   `json:"path"` // as --skip-phases takes it
	Title   string   `json:"title"`
	Aliases []string `json:"aliases,omitempty"`
	Reads   []string `json:"reads,omitempty"`
	Writes  []string `json:"writes,omitempty"`
}

func treeOf[S any](list []phases.Phase[S]) phaseTree {
	var t phaseTree
	phases.Walk(list, func(path string, p *phases.Phase[S]) {
		if !p.Hidden {
			t.Phases = append(t.Phases, phaseEntry{Path: path, Title: p.Title, Aliases: p.Aliases, Reads: p.Reads, Writes: p.Writes})
		}
	})
	return t
}

// Text writes the tree, each phase with what it reads and writes.
func (t phaseTree) Text(w io.Writer) error {
	var b strings.Builder
	for _, p := range t.Phases {
		depth := strings.Count(p.Path, "/")
		margin := strings.Repeat("  ", depth)
		fmt.Fprintf(&b, "%s%-*s %s\n", margin, 31-len(margin), p.Path[strings.LastIndex(p.Path, "/")+1:], p.Title)
		for _, part := range []struct {
			verb  string
			names []string
		}{{"reads", p.Reads}, {"writes", p.Writes}} {
			if len(part.names) > 0 {
				fmt.Fprintf(&b, "%s  %-6s %s\n", margin, part.verb, strings.Join(part.names, "\n"+margin+"         "))
			}
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
