package preflight

import (
	"errors"
	"slices"
	"strings"

	"github.com/hactl/hactl/phases"
)

// Failure is one thing that is wrong.
type Failure struct {
	Check string   // the name that --ignore-preflight-errors knows
	What  string   // one line, without full stop
	Why   error    // the cause, may be nil
	Fixes []string // commands or instructions, in order

	err error // as the check returned it, unless What and Why hold all of it
}

// Error gives check, what and why in one line.
func (f *Failure) Error() string { return f.Check + ": " + f.text() }

// Unwrap returns the cause, or the error of the check.
func (f *Failure) Unwrap() error {
	if f.err == nil {
		return f.Why
	}
	return f.err
}

// Fix returns how to mend it.
func (f *Failure) Fix() []string { return f.Fixes }

func (f *Failure) text() string {
	if f.Why == nil {
		return f.What
	}
	return f.What + ": " + f.Why.Error()
}

// Report is everything that is wrong with the machine, in the order of the
// checks. It is an error if there are failures.
type Report struct {
	Failures []Failure
	// Ignored are the failures that the user asked to ignore.
	Ignored []Failure
}

// Error tells each failure in a line of its own, below a headline if there
// are several.
func (r *Report) Error() string {
	if len(r.Failures) == 1 {
		return r.Failures[0].Error()
	}
	lines := []string{r.Headline()}
	for _, f := range r.Failures {
		lines = append(lines, f.Error())
	}
	return strings.Join(lines, "\n")
}

// Headline says how much is wrong.
func (r *Report) Headline() string {
	return count(len(r.Failures), "thing") + " to mend on this machine"
}

// Unwrap returns the failures, each a *Failure.
func (r *Report) Unwrap() []error {
	var errs []error
	for i := range r.Failures {
		errs = append(errs, &r.Failures[i])
	}
	return errs
}

// Fix returns how to mend all of it, each line with its check if there are
// several, and how to go on in spite of what may be meant so.
func (r *Report) Fix() []string {
	var fixes []string
	for _, f := range r.Failures {
		for _, fix := range f.Fixes {
			if len(r.Failures) > 1 {
				fix = f.Check + ": " + fix
			}
			fixes = append(fixes, fix)
		}
	}
	if flag := r.IgnoreFlag(); flag != "" {
		fixes = append(fixes, "or, if it is meant to be so: "+flag)
	}
	return fixes
}

// IgnoreFlag is the flag that makes warnings of those failures with which a
// node may still work, "" if there are none. Others can be ignored too, but
// nobody should be advised to.
func (r *Report) IgnoreFlag() string {
	names := slices.DeleteFunc(r.names(), func(name string) bool {
		return !slices.ContainsFunc(bearable(), func(b string) bool { return strings.HasPrefix(name, b) })
	})
	if len(names) == 0 {
		return ""
	}
	return "--ignore-preflight-errors=" + strings.Join(names, ",")
}

// bearable are the beginnings of the names of such checks.
func bearable() []string {
	return []string{
		"NumCPU", "Mem", "ClockSane", "Swap", "SystemVerification", "FileExisting-", "FileContent-",
		"ControlPlaneEndpoint", "HTTPProxy", imagePull,
	}
}

// Code is phases.CodePreflight.
func (r *Report) Code() phases.Code { return phases.CodePreflight }

// names are the failed checks, each once.
func (r *Report) names() []string {
	var names []string
	for _, f := range r.Failures {
		if !slices.Contains(names, f.Check) {
			names = append(names, f.Check)
		}
	}
	return names
}

// failures makes the failures of one check out of the error that it returned:
// a joined error is several of them.
func failures(check string, err error) []Failure {
	if err == nil {
		return nil
	}
	f := Failure{Check: check, What: err.Error(), err: err}
	// The error itself is meant here, not what it wraps: errors.As would
	// find the first of several.
	switch e := err.(type) {
	case *phases.Fault:
		// The fault itself is not kept: whoever looks for a fault in a
		// report must not take one of many for the whole.
		f.What, f.Why, f.Fixes, f.err = e.What, e.Why, e.Fixes, nil
	case interface{ Fix() []string }:
		f.Fixes = e.Fix()
	case interface{ Unwrap() []error }:
		var all []Failure
		for _, one := range e.Unwrap() {
			all = append(all, failures(check, one)...)
		}
		return all
	default:
		var fixer interface{ Fix() []string }
		if errors.As(err, &fixer) {
			f.Fixes = fixer.Fix()
		}
	}
	return []Failure{f}
}
