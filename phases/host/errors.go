package host

import (
	"fmt"
	"strings"
)

// ExitError says that a program ended with an exit code other than zero.
type ExitError struct {
	Argv0  string
	Code   int    // -1 when a signal ended it
	Stderr string // the last 4 KiB of standard error
}

func (e *ExitError) Error() string {
	how := fmt.Sprintf("%s: exit code %d", e.Argv0, e.Code)
	if e.Code < 0 {
		how = e.Argv0 + ": ended by a signal"
	}
	if text := strings.TrimSpace(e.Stderr); text != "" {
		how += ": " + text
	}
	return how
}

// UnitError says that a unit does not exist, so nothing can be done with it.
type UnitError struct {
	Unit string
}

func (e *UnitError) Error() string { return e.Unit + ": there is no such unit" }

// Fix says how to find out why.
func (e *UnitError) Fix() []string {
	return []string{
		"install the package that brings " + e.Unit,
		"then: systemctl daemon-reload && systemctl status " + e.Unit,
	}
}

// JobError says that the service manager ended a job without success.
type JobError struct {
	Unit   string
	Action ServiceAction
	Result string // the service manager's word: "failed", "timeout", "dependency", …
}

func (e *JobError) Error() string {
	return fmt.Sprintf("%s %s: the job ended with %q", e.Action, e.Unit, e.Result)
}

// Fix says where the unit tells why.
func (e *JobError) Fix() []string {
	return []string{"systemctl status " + e.Unit, "journalctl -xeu " + e.Unit}
}

// ManagerError says that the machine's service manager does not answer.
type ManagerError struct {
	Err error
}

func (e *ManagerError) Error() string { return "systemd does not answer: " + e.Err.Error() }

// Unwrap returns the cause.
func (e *ManagerError) Unwrap() error { return e.Err }

// Fix says what hactl needs.
func (e *ManagerError) Fix() []string {
	return []string{
		"run hactl as root on a machine whose init is systemd (ps -p 1 -o comm= prints systemd)",
		"in a container, mount /run/systemd and /run/dbus of the machine",
	}
}

// MountedError says that a file system is mounted on a path that was to be
// removed. Nothing on that file system was removed.
type MountedError struct {
	Path string
}

func (e *MountedError) Error() string { return e.Path + ": a file system is mounted here" }

// Fix says how to see and to undo the mount.
func (e *MountedError) Fix() []string {
	return []string{"see what is mounted: findmnt " + e.Path, "then, if it may go: umount " + e.Path}
}
