// Package cleanup takes away what init and join made of this node, and
// nothing else: it asks before, moves the data of etcd aside instead of
// removing it, and says what it leaves alone. It never touches another node,
// the cluster's objects or an external etcd.
package cleanup

import (
	"context"
	"time"

	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/cri"
	"github.com/hactl/hactl/phases/host"
)

// Task is what the phases of a reset work from. One task serves all phases
// of a run: it remembers what was settled.
type Task struct {
	Host    host.Host
	Runtime cri.Sandboxes

	NodeName   string
	Dir        string // of the kubeconfig files and manifests, /etc/kubernetes
	CertDir    string
	KubeletDir string
	Unit       string // of the kubelet
	// Record is the journal's file in KubeletDir. It goes last, so that a
	// reset that was interrupted still knows what this node made.
	Record string
	// DataDir is the data directory of etcd that the journal says this node
	// made, "" if it says none.
	DataDir string

	CleanTmp     bool
	UnmountFlags []host.UnmountFlag
	// Force accepts the risks that the phases refuse without it, and asks
	// nothing. Each risk that is taken is a warning.
	Force bool
	// DryRun asks nothing.
	DryRun bool
	// Ignore names preflight checks whose failure is a warning, or is "all".
	Ignore []string
	// Limit is the longest time that the runtime may need to stop one pod.
	Limit time.Duration
	// Aftermath is how long a pod may take to come that the kubelet asked for
	// before it was stopped: making one takes a few hundred milliseconds.
	// Zero waits for none.
	Aftermath time.Duration

	// MemberGone says whether etcd counts no member of this node any more.
	// Nil means that nobody can say.
	MemberGone func(ctx context.Context) (bool, error)
	// Ask shows what will be lost and returns whether the user wants that.
	Ask func(ctx context.Context, text string) (bool, error)
	Now func() time.Time

	// Backup is where this run moved the data of etcd, "" for nowhere.
	Backup string

	left      []Left          // what this run left alone
	stuck     map[string]bool // stopped pods that the runtime cannot remove
	halted    bool            // the kubelet ran until this run stopped it
	unmanaged bool            // there is no service manager, and that is accepted
	blind     bool            // the runtime does not answer, and that is accepted
}

// Phase is phase cleanup-node of reset.
func Phase() phases.Phase[Task] {
	return phases.Phase[Task]{
		Name:    "cleanup-node",
		Aliases: []string{"cleanupnode"},
		Title:   "take away what was made on this node",
		Reads:   []string{"/etc/kubernetes", "/var/lib/kubelet", "the pods in the container runtime"},
		Writes: []string{
			"kubelet.service (stopped)", "the pods in the container runtime (removed)",
			"/etc/kubernetes, /var/lib/kubelet (emptied of what hactl, kubeadm and the kubelet made)",
			"/var/lib/etcd (moved to /var/lib/etcd-backup-TIME)",
		},
		Observe: observe,
		Apply:   apply,
	}
}

func observe(ctx context.Context, t *Task) (phases.State, error) {
	f, err := t.find(ctx)
	if err != nil {
		return phases.Missing, err
	}
	running, err := t.kubeletRuns(ctx)
	if err != nil || running || !f.nothing() {
		return phases.Missing, nil // what an error means is decided in Apply
	}
	pods, err := t.pods(ctx, f)
	if err != nil || len(pods) > 0 {
		return phases.Missing, nil
	}
	return phases.Done, nil
}

// apply has an order that survives an interrupt anywhere: the manifests go
// first, so that nothing comes up again, and the evidence of what this node
// made goes last.
func apply(ctx context.Context, t *Task) error {
	f, err := t.find(ctx)
	if err != nil {
		return err
	}
	for _, do := range []func(context.Context, *found) error{
		t.guard, t.keepEvidence, t.removeManifests, t.stopKubelet, t.removePods, t.unmount,
		t.moveData, t.removeFiles, t.emptyKubeletDir, t.dropEvidence,
	} {
		if err := do(ctx, f); err != nil {
			return err
		}
	}
	t.left = append([]Left{}, f.left...)
	return nil
}

// guard refuses to take data from under a member that etcd still counts.
func (t *Task) guard(ctx context.Context, f *found) error {
	if f.data == "" || f.says.MemberGone || t.Force {
		return nil
	}
	gone, err := false, error(nil)
	if t.MemberGone != nil {
		gone, err = t.MemberGone(ctx)
	}
	if gone && err == nil {
		f.says.MemberGone = true
		return nil
	}
	return &phases.Fault{
		What: "etcd may still count the member of this node, whose data is in " + f.data,
		Why:  err,
		Fixes: []string{
			"take the member out first: hactl reset phase remove-etcd-member",
			"to go on all the same, which leaves a dead member that costs the cluster failure tolerance: --force (the data is moved aside, not removed)",
		},
		Exit: phases.CodeUnsafe,
	}
}

// unlessForced tells a risk that --force accepts, or returns it.
func (t *Task) unlessForced(ctx context.Context, risk *phases.Fault) error {
	if !t.Force {
		return risk
	}
	phases.Warn(ctx, "--force: "+risk.Error())
	return nil
}
