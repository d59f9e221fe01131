package preflight

import (
	"context"
	"errors"
	"io/fs"

	"github.com/hactl/hactl/phases"
)

// JoinPhase is the first phase of a join. Its failure is a *Report.
func JoinPhase() phases.Phase[Task] {
	return phases.Phase[Task]{
		Name:  "preflight",
		Title: "check that this machine can join the cluster",
		Reads: []string{"the machine", "the container runtime", "the cluster's other control planes"},
		Apply: func(ctx context.Context, t *Task) error {
			return t.withDefaults().run(ctx, (*Task).joinChecks)
		},
	}
}

// joinChecks are the checks of a join. A control plane is checked as init
// does it, and for its way to the others.
func (t *Task) joinChecks(f *facts) []Check {
	if !t.Worker {
		return append(t.initChecks(f), t.peerChecks()...)
	}
	list := []Check{
		{isPrivilegedUser, func(context.Context) ([]string, error) { return nil, privileged(f) }},
		{"ClockSane", t.clock},
	}
	list = append(list, t.commonChecks(f)...)
	list = append(list, Check{"Port-10250", func(ctx context.Context) ([]string, error) {
		return nil, t.free(ctx, f, port{number: kubeletPort, component: "kubelet", on: []string{t.Bind[kubeletPort]}})
	}})
	for _, path := range t.Absent {
		list = append(list, Check{"FileAvailable-" + dashed(path), func(ctx context.Context) ([]string, error) {
			return nil, t.absent(ctx, f, path)
		}})
	}
	list = append(list, Check{"HTTPProxy", t.proxied}, Check{"HTTPProxyCIDR", t.proxiedSubnets})
	return append(list, t.forwardingChecks()...)
}

// absent wants a file not to be there that this join would write, unless an
// earlier try wrote it.
func (t *Task) absent(ctx context.Context, f *facts, path string) error {
	_, err := t.Host.Stat(ctx, path)
	if f.resumed || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fault("it cannot be seen whether "+path+" is there", err, "ls -l "+path)
	}
	return fault(path+" is there already", errors.New("this machine is, or was, a node of another cluster"),
		"if it should be one no longer: hactl reset")
}
