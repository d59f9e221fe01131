package config

import (
	"fmt"
	"strings"
)

// Problem is one thing that is wrong with a configuration.
type Problem struct {
	Path string // the YAML path, "networking.serviceSubnet"
	What string
	Fix  string // may be empty

	// Where it stands, if it stands in a file; Line and Column count from 1
	// and are zero where they are not known.
	Source       string
	Line, Column int
}

func (p Problem) String() string {
	s := p.What
	if p.Path != "" {
		s = p.Path + ": " + s
	}
	if at := p.Place(); at != "" {
		s = at + ": " + s
	}
	if p.Fix != "" {
		s += "; " + p.Fix
	}
	return s
}

// Place is "ha.yaml:12:3", or "" where the place is not known.
func (p Problem) Place() string {
	switch {
	case p.Source == "" || p.Line == 0:
		return p.Source
	case p.Column == 0:
		return fmt.Sprintf("%s:%d", p.Source, p.Line)
	}
	return fmt.Sprintf("%s:%d:%d", p.Source, p.Line, p.Column)
}

// InvalidError carries every problem that validation found.
type InvalidError struct{ Problems []Problem }

func (e *InvalidError) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.String()
	}
	if len(lines) == 1 {
		return "the configuration is not valid: " + lines[0]
	}
	return fmt.Sprintf("the configuration has %d problems:\n  %s", len(lines), strings.Join(lines, "\n  "))
}
