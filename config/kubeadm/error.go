package kubeadm

import (
	"fmt"
	"strings"

	"github.com/hactl/hactl/config"
)

// Error is everything that is wrong with one file.
type Error struct {
	Source   string // the file's name, as given to Decode
	Problems []config.Problem
}

// Error is one line for each problem, after a line that counts them.
func (e *Error) Error() string {
	if len(e.Problems) == 1 {
		return e.Problems[0].String()
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s has %d problems:", e.Source, len(e.Problems))
	for _, p := range e.Problems {
		b.WriteString("\n  " + p.String())
	}
	return b.String()
}

// Fix returns what to do about the problems, where that is known.
func (e *Error) Fix() []string {
	var list []string
	for _, p := range e.Problems {
		if p.Fix != "" {
			list = append(list, strings.TrimPrefix(p.Place()+": "+p.Fix, ": "))
		}
	}
	return list
}

// newError sorts problems by their place; it returns nil if there are none.
func newError(source string, problems []config.Problem) error {
	if len(problems) == 0 {
		return nil
	}
	for i := range problems {
		problems[i].Source = source
	}
	sortByPlace(problems)
	return &Error{Source: source, Problems: problems}
}
