package loadbalancer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/wait"
)

// takeUpLimit is how long a program may need for its new file.
const takeUpLimit = 10 * time.Second

// takenUp waits until the program works with its new file. HAProxy and nginx
// start new workers for it; if these cannot start, the old ones go on with
// the old file, and the service manager calls the reload a success.
func (t *Task) takenUp(ctx context.Context, before []string) error {
	if len(before) == 0 {
		return nil // it has no workers, or nobody tells of them
	}
	err := wait.For(ctx, takeUpLimit, wait.Condition{
		What: string(t.Program) + " has taken up its new configuration",
		Check: func(ctx context.Context) (bool, string, error) {
			if text := t.property(ctx, "StatusText"); strings.HasPrefix(text, "Reload failed") {
				return false, "", t.notTakenUp(errors.New(text))
			}
			fresh := slices.ContainsFunc(t.workers(ctx), func(w string) bool { return !slices.Contains(before, w) })
			return fresh, "it has its old workers only", nil
		},
	})
	var late *wait.TimeoutError
	if errors.As(err, &late) {
		return t.notTakenUp(err)
	}
	return err
}

func (t *Task) notTakenUp(why error) error {
	return &phases.Fault{
		What: string(t.Program) + " goes on with its old configuration and could not take up the new one", Why: why,
		Fixes: []string{"see what it says: journalctl -u " + t.Program.Unit() + " -n 50", "the old file is back; nothing else was changed"},
	}
}

// workers are the processes that the program's main process has started;
// none if there are no such, or if the machine does not tell.
func (t *Task) workers(ctx context.Context) []string {
	pid := t.property(ctx, "MainPID")
	if !t.Program.Balances() || pid == "" || pid == "0" {
		return nil
	}
	// See proc(5).
	data, err := t.Host.ReadFile(ctx, fmt.Sprintf("/proc/%s/task/%[1]s/children", pid))
	if err != nil {
		return nil
	}
	return strings.Fields(string(data))
}

// property is one of the unit's, "" if the service manager does not tell.
func (t *Task) property(ctx context.Context, name string) string {
	out, err := t.Host.Probe(ctx, "systemctl", "show", "--property="+name, "--value", t.Program.Unit())
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}
