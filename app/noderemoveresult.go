package app

import (
	"fmt"
	"io"
	"strconv"

	"github.com/hactl/hactl/etcd"
)

// NodeRemoveResult is what NodeRemove did or, in a dry run, would do.
type NodeRemoveResult struct {
	Node string `json:"node"`
	// Worker says that the node was no control plane.
	Worker bool `json:"worker"`
	// Members are the etcd members that are gone.
	Members []RemovedMember `json:"etcdMembers"`
	// Etcd is what the removal means for etcd; nil if etcd is external.
	Etcd *Tolerance `json:"etcd,omitempty"`
	// Objects are those that were deleted: "Node cp-2",
	// "Lease kube-node-lease/cp-2".
	Objects []string      `json:"deleted"`
	DryRun  *DryRunReport `json:"dryRun,omitempty"`
}

// RemovedMember is an etcd member as it was.
type RemovedMember struct {
	// ID is hexadecimal.
	ID string `json:"id"`
	// Name is empty for a member that never started.
	Name     string   `json:"name,omitempty"`
	PeerURLs []string `json:"peerURLs"`
	Learner  bool     `json:"learner"`
	// Answered says that it was alive.
	Answered bool `json:"answered"`
}

func removedMember(m etcd.MemberHealth) RemovedMember {
	return RemovedMember{
		ID: strconv.FormatUint(m.ID, 16), Name: m.Name, PeerURLs: append([]string{}, m.PeerURLs...),
		Learner: m.Learner, Answered: m.Err == nil,
	}
}

// Tolerance says how many voting members there are and how many of them may
// fail, before and after a change.
type Tolerance struct {
	VotersBefore int `json:"votersBefore"`
	VotersAfter  int `json:"votersAfter"`
	Before       int `json:"toleranceBefore"`
	After        int `json:"toleranceAfter"`
}

// String is one line for people.
func (t Tolerance) String() string {
	if t.VotersBefore == t.VotersAfter {
		return fmt.Sprintf("etcd: %s as before, failure tolerance %d", voting(t.VotersAfter), t.After)
	}
	return fmt.Sprintf("etcd: %d → %s, failure tolerance %d → %d", t.VotersBefore, voting(t.VotersAfter), t.Before, t.After)
}

// Text writes the result for people.
func (r *NodeRemoveResult) Text(w io.Writer) error {
	p := &printer{w: w}
	if r.DryRun != nil {
		r.DryRun.text(p)
		r.tolerance(p)
		return p.err
	}
	p.line("")
	p.line("Node %s is out of the cluster.", r.Node)
	for _, m := range r.Members {
		what := m.Name
		if what == "" {
			what = "that never started"
		}
		p.line("  etcd member %s (%s) removed", what, m.ID)
	}
	for _, o := range r.Objects {
		p.line("  %s deleted", o)
	}
	r.tolerance(p)
	p.line("Before its machine joins again, clean it up: hactl reset")
	return p.err
}

func (r *NodeRemoveResult) tolerance(p *printer) {
	if r.Etcd == nil || r.Worker {
		return
	}
	p.line("")
	p.line("%s", r.Etcd)
	switch after := r.Etcd.VotersAfter; {
	case after == 2:
		p.line("With two, the failure of either stops etcd: join a third control plane soon; its command:")
		p.line("  hactl token create --control-plane")
	case after > 2 && after%2 == 0:
		p.line("%d tolerate no more failures than %d: one more control plane would raise it.", after, after-1)
	}
}
