package preflight

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"sync"

	"github.com/hactl/hactl/phases"
)

// Check is one look at the machine. Name is what --ignore-preflight-errors
// knows it by.
//
// Run changes nothing. It may run at the same time as all other checks. Its
// error becomes the failures: a *phases.Fault one with what, why and fixes,
// an error with Fix() one with fixes, a joined error one for each part.
type Check struct {
	Name string
	Run  func(ctx context.Context) (warnings []string, err error)
}

// finding is what one check returned.
type finding struct {
	warnings []string
	err      error
}

// run runs the checks that list returns, then pulls the images if nothing is
// wrong. It returns nil, a *Report or what ended ctx.
func (t *Task) run(ctx context.Context, list func(*Task, *facts) []Check) error {
	resumed, err := t.AlreadyInitialised(ctx)
	if err != nil {
		return err
	}
	checks := append(list(t, t.facts(ctx, resumed)), t.Extra...)
	ignore, err := newIgnore(t.Ignore)
	if err != nil {
		return err
	}
	ignore.warnUnknown(ctx, checks)

	report := &Report{}
	if err := report.collect(ctx, checks, ignore); err != nil {
		return err
	}
	// Pulling changes the machine, so it waits until nothing else is wrong.
	if len(report.Failures) == 0 {
		if err := report.collect(ctx, []Check{{imagePull, t.pullImages}}, ignore); err != nil {
			return err
		}
	}
	if len(report.Failures) == 0 {
		return nil
	}
	return report
}

// collect runs the checks at the same time, warns, and adds what is wrong in
// the order of the checks.
func (r *Report) collect(ctx context.Context, checks []Check, ignore ignore) error {
	findings := make([]finding, len(checks))
	var running sync.WaitGroup
	for i, c := range checks {
		running.Go(func() { findings[i].warnings, findings[i].err = c.Run(ctx) })
	}
	running.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	for i, c := range checks {
		for _, w := range findings[i].warnings {
			phases.Warn(ctx, c.Name+": "+w)
		}
		for _, f := range failures(c.Name, findings[i].err) {
			if ignore.has(c.Name) {
				r.Ignored = append(r.Ignored, f)
				phases.Warn(ctx, "ignored: "+f.Error())
				continue
			}
			r.Failures = append(r.Failures, f)
		}
	}
	r.dropConsequences()
	return nil
}

// dropConsequences leaves out what only a missing right caused, once the
// report says that the user is not root.
func (r *Report) dropConsequences() {
	isUser := func(f Failure) bool { return f.Check == isPrivilegedUser }
	if !slices.ContainsFunc(r.Failures, isUser) {
		return
	}
	r.Failures = slices.DeleteFunc(r.Failures, func(f Failure) bool {
		return !isUser(f) && errors.Is(&f, fs.ErrPermission)
	})
}

// fault is short for a failure with what, why and fixes.
func fault(what string, why error, fixes ...string) error {
	return &phases.Fault{What: what, Why: why, Fixes: fixes, Exit: phases.CodePreflight}
}
