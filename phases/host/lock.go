package host

import "strings"

// LockPath is the lock that a process holds while it changes this node.
const LockPath = "/run/hactl.lock"

// LockedError says that another process holds a lock.
type LockedError struct {
	Path string
	// Holder is what that process said of itself, "" if it has not yet.
	Holder string
}

func (e *LockedError) Error() string {
	if e.Holder == "" {
		return e.Path + " is held by another process"
	}
	return e.Path + " is held by " + e.Holder
}

// firstLine keeps what a file says of its holder short.
func firstLine(data []byte) string {
	line, _, _ := strings.Cut(string(data), "\n")
	return strings.TrimSpace(line)
}
