package phases

import (
	"fmt"
	"strings"
)

// Code is the exit code that an error asks for.
type Code int

// The exit codes of hactl, as every help text lists them.
const (
	CodeFailed      Code = 1
	CodeUsage       Code = 2 // usage or configuration
	CodePreflight   Code = 3
	CodeTimeout     Code = 4
	CodeUnsafe      Code = 5 // refused as unsafe
	CodeInterrupted Code = 130
)

// Fault is an error that a person can act on: what is wrong, why, and how to
// mend it. Leaves with typed errors of their own may offer the same through
// methods Fix() []string and Code() Code.
type Fault struct {
	What  string   // one line, without full stop
	Why   error    // the cause, may be nil
	Fixes []string // commands or instructions, in order
	Exit  Code     // zero means CodeFailed
}

// Error gives what and why in one line.
func (f *Fault) Error() string {
	if f.Why == nil {
		return f.What
	}
	return f.What + ": " + f.Why.Error()
}

// Unwrap returns the cause.
func (f *Fault) Unwrap() error { return f.Why }

// Fix returns how to mend it.
func (f *Fault) Fix() []string { return f.Fixes }

// Code returns the exit code that the fault asks for.
func (f *Fault) Code() Code {
	if f.Exit == 0 {
		return CodeFailed
	}
	return f.Exit
}

// PhaseError says in which phase a run failed.
type PhaseError struct {
	Phase string // the path
	Err   error
}

func (e *PhaseError) Error() string { return e.Phase + ": " + e.Err.Error() }

// Unwrap returns the failure itself.
func (e *PhaseError) Unwrap() error { return e.Err }

// UnfinishedError says that a phase ended without a failure, and what it
// should have made is still not there.
type UnfinishedError struct{}

func (e *UnfinishedError) Error() string {
	return "the phase ended, but what it makes is not there or not as it should be"
}

// UnknownPhaseError says that a path names no phase.
type UnknownPhaseError struct {
	Typed string
	Known []string
}

func (e *UnknownPhaseError) Error() string { return fmt.Sprintf("there is no phase %q", e.Typed) }

// Fix lists the phases there are.
func (e *UnknownPhaseError) Fix() []string {
	return []string{"use one of: " + strings.Join(e.Known, " ")}
}

// Code is CodeUsage.
func (e *UnknownPhaseError) Code() Code { return CodeUsage }
