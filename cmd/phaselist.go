package cmd

import (
	"fmt"
	"io"
	"strings"

	"github.com/hactl/hactl/phases"
)

// showPhases writes the tree of phases with what each reads and writes.
func showPhases[S any](w io.Writer, list []phases.Phase[S]) error {
	var err error
	phases.Walk(list, func(path string, p *phases.Phase[S]) {
		if p.Hidden || err != nil {
			return
		}
		margin := strings.Repeat("  ", strings.Count(path, "/"))
		_, err = fmt.Fprintf(w, "%s%-*s %s\n", margin, 31-len(margin), p.Name, p.Title)
		for _, part := range []struct {
			verb  string
			names []string
		}{{"reads", p.Reads}, {"writes", p.Writes}} {
			if len(part.names) > 0 && err == nil {
				_, err = fmt.Fprintf(w, "%s  %-6s %s\n", margin, part.verb, strings.Join(part.names, "\n"+margin+"         "))
			}
		}
	})
	return err
}
