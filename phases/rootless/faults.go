package rootless

import (
	"fmt"
	"strings"

	"github.com/hactl/hactl/phases"
)

// judgeUser refuses a user that kubeadm would refuse, too.
func (d *database) judgeUser(e entry) error {
	var why error
	switch g, ok := find(d.groups, e.name); {
	case e.id < d.uids.min || e.id > d.uids.max:
		why = fmt.Errorf("its ID %d is not one of the system's own users (%d to %d, %s)", e.id, d.uids.min, d.uids.max, limitsFile)
	case e.last != noShell:
		why = fmt.Errorf("its shell is %q, not %s", e.last, noShell)
	case !ok || g.id != e.gid:
		why = fmt.Errorf("its group has ID %d, which is not that of group %s", e.gid, e.name)
	default:
		return nil
	}
	return foreign("user", e.name, why, "userdel "+e.name)
}

// judgeGroup refuses a group that kubeadm would refuse, too.
func (d *database) judgeGroup(e entry, want group) error {
	var why error
	switch {
	case e.id < d.gids.min || e.id > d.gids.max:
		why = fmt.Errorf("its ID %d is not one of the system's own groups (%d to %d, %s)", e.id, d.gids.min, d.gids.max, limitsFile)
	case e.last != want.members:
		why = fmt.Errorf("its members are %q, not %q", e.last, want.members)
	default:
		return nil
	}
	return foreign("group", e.name, why, "groupdel "+e.name)
}

func foreign(kind, name string, why error, remove string) error {
	return &phases.Fault{
		What: fmt.Sprintf("%s %s is not the one that the control plane runs with", kind, name),
		Why:  why,
		Fixes: []string{
			"if nothing else needs it, remove it, and run the same command again: " + remove,
			"or let the control plane run as root: leave out feature gate " + Gate,
		},
	}
}

func noFreeID(name string, r idRange) error {
	return &phases.Fault{
		What:  fmt.Sprintf("there is no free ID for %s between %d and %d", name, r.min, r.max),
		Fixes: []string{"make room, or widen SYS_UID_MIN to SYS_UID_MAX and SYS_GID_MIN to SYS_GID_MAX in " + limitsFile},
	}
}

func locked(name string) error {
	return &phases.Fault{
		What: "another program is changing " + name,
		Why:  fmt.Errorf("its lock is there: %s.lock", name),
		Fixes: []string{
			"wait for it to end, and run the same command again",
			fmt.Sprintf("if no process with the ID in it lives any more: rm %s.lock", name),
		},
	}
}

func linked(name string, lines []string) error {
	return &phases.Fault{
		What:  name + " is a symbolic link, which hactl does not replace",
		Fixes: []string{"add these lines by the means that make its target: " + strings.Join(lines, "  ")},
	}
}
