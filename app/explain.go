package app

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/config/kubeadm"
	"github.com/hactl/hactl/phases"
)

// ErrInterrupted is the cause of a context that ends because the user
// interrupted the command.
var ErrInterrupted = errors.New("interrupted")

// Explanation is what a person needs to know of an error.
type Explanation struct {
	What  string      `json:"what"`
	Phase string      `json:"phase,omitempty"`
	Why   string      `json:"why,omitempty"`
	Fix   []string    `json:"fix,omitempty"`
	Code  phases.Code `json:"code"`
}

// Explain takes an error apart: what is wrong, in which phase, why, how to
// mend it, and the exit code that it asks for.
func Explain(err error) Explanation {
	x := Explanation{Code: phases.CodeFailed}
	var inPhase *phases.PhaseError
	if errors.As(err, &inPhase) {
		x.Phase, err = inPhase.Phase, inPhase.Err
	}
	x.What = err.Error()
	var fault *phases.Fault
	if errors.As(err, &fault) {
		x.What = fault.What
		if fault.Why != nil {
			x.Why = fault.Why.Error()
		}
	}
	var fixer interface{ Fix() []string }
	if errors.As(err, &fixer) {
		x.Fix = fixer.Fix()
	}
	if len(x.Fix) == 0 {
		x.Fix = diskFix(err)
	}
	var coder interface{ Code() phases.Code }
	var invalid *config.InvalidError
	var unreadable *kubeadm.Error
	switch {
	case errors.Is(err, ErrInterrupted) || errors.Is(err, context.Canceled):
		x.What, x.Why, x.Code = "interrupted", "", phases.CodeInterrupted
		x.Fix = []string{"run the same command again: finished phases are kept"}
	case errors.As(err, &coder):
		x.Code = coder.Code()
	case errors.As(err, &invalid):
		x.Code = phases.CodeUsage
		x.What, x.Fix = problems(invalid.Problems)
	case errors.As(err, &unreadable):
		x.Code = phases.CodeUsage
		x.What, x.Fix = problems(unreadable.Problems)
	}
	return x
}

// problems shows one problem by itself, several as a list.
func problems(list []config.Problem) (what string, fix []string) {
	if len(list) == 1 {
		if list[0].Fix != "" {
			fix = []string{list[0].Fix}
		}
		return where(list[0]) + list[0].What, fix
	}
	what = fmt.Sprintf("%d settings are not valid", len(list))
	for _, p := range list {
		// The place is said once: what to do stands behind what is wrong.
		what += "\n" + where(p) + p.What
		if p.Fix != "" {
			what += "; " + p.Fix
		}
	}
	return what, nil
}

// where is "ha.yaml:3:5: networking.podSubnet: ", or what is known of it.
func where(p config.Problem) string {
	s := ""
	for _, part := range []string{p.Place(), p.Path} {
		if part != "" {
			s += part + ": "
		}
	}
	return s
}

// String is the explanation for people.
func (x Explanation) String() string {
	var b strings.Builder
	b.WriteString("error: " + indent(x.What, "  ") + "\n")
	field := func(name, text string) {
		if text != "" {
			b.WriteString("  " + name + strings.Repeat(" ", 7-len(name)) + indent(text, "         ") + "\n")
		}
	}
	field("phase", x.Phase)
	field("why", x.Why)
	field("fix", strings.Join(x.Fix, "\n"))
	return b.String()
}

// indent moves all lines but the first to the right.
func indent(text, by string) string {
	return strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n"+by)
}
