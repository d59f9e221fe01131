// Package removal takes a node out of the cluster from another node: its
// etcd member, its Node object and its leases. It never touches the node
// itself, and refuses what would cost etcd its quorum.
package removal

import (
	"context"
	"errors"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/hactl/hactl/etcd"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/kube"
	"github.com/hactl/hactl/phases/membership"
	"github.com/hactl/hactl/phases/wait"
)

// Task is what the phases work from.
type Task struct {
	API kube.API
	// Etcd is nil if etcd is external: its members are not of nodes.
	Etcd etcd.Cluster
	// Name is the node's, or the peer address of an etcd member that has
	// never started.
	Name string
	// Here are the names and addresses of the node that this runs on.
	Here []string
	// Force removes a node that is alive.
	Force bool
	// EtcdLimit is how long etcd may take for a change of membership, and
	// APILimit how long the API server may take for a call; zero means for
	// ever.
	EtcdLimit, APILimit time.Duration

	// Result is what the phases find and do.
	Result Result
}

// Result tells what belonged to the node and what became of etcd.
type Result struct {
	// Worker says that the node is no control plane and has no member.
	Worker bool
	// Members are the node's, as they were.
	Members []etcd.MemberHealth
	// VotersBefore and VotersAfter are how many members vote.
	VotersBefore, VotersAfter int
	// Objects are those that were deleted: "Node cp-2".
	Objects []string

	addresses []string // of the node, kept once the Node is gone
	others    map[string]bool
	shared    bool // another node has one of the addresses
}

// Phases are those of node remove, in order.
func Phases() []phases.Phase[Task] {
	return []phases.Phase[Task]{
		{
			Name: "preflight", Title: "see what belongs to the node, and that the cluster can do without it",
			Reads: []string{"Node NAME", "the members of etcd"},
			Apply: preflight,
		},
		{
			Name: "remove-etcd-member", Title: "take the node's member out of etcd",
			Writes: []string{"the members of etcd"},
			Skip: func(t *Task) string {
				if t.Etcd == nil {
					return "etcd is external"
				}
				return ""
			},
			Observe: observeMember, Apply: removeMember,
		},
		{
			Name: "remove-node", Title: "delete the Node object",
			Writes:  []string{"Node NAME"},
			Observe: observeNode, Apply: removeNode,
		},
		{
			Name: "remove-leases", Title: "delete the node's leases",
			Writes: []string{
				"Lease kube-node-lease/NAME",
				"Lease kube-system/apiserver-… of the node",
				"Lease kube-system/" + joinLease + " if the node holds it",
			},
			Observe: observeLeases, Apply: removeLeases,
		},
	}
}

// call makes one call to the API, as often as it takes.
func (t *Task) call(ctx context.Context, name string, run func(context.Context) error) error {
	return kube.Insist(ctx, t.API, t.APILimit, name, run)
}

// own are the node's members out of a list.
func (t *Task) own(members []etcd.MemberHealth) []etcd.MemberHealth {
	var own []etcd.MemberHealth
	for _, m := range members {
		if t.owns(m.Member) {
			own = append(own, m)
		}
	}
	return own
}

// owns goes by the name and, where that says nothing, by the address: a
// member that has never started has no name. A member whose name is that of
// another node is that node's, whatever its address.
func (t *Task) owns(m etcd.Member) bool {
	if m.Name == t.Name {
		return true
	}
	if t.Result.others[m.Name] {
		return false
	}
	for _, u := range m.PeerURLs {
		host := etcd.HostOf(u)
		if host != "" && host == canonical(t.Name) {
			return !m.Started()
		}
		for _, a := range t.Result.addresses {
			if host == a && !t.Result.shared {
				return true
			}
		}
	}
	return false
}

func observeMember(ctx context.Context, t *Task) (phases.State, error) {
	members, err := t.members(ctx)
	if err != nil {
		return phases.Missing, err
	}
	voters := 0
	for _, m := range members {
		if t.owns(m) {
			return phases.Missing, nil
		}
		if !m.Learner {
			voters++
		}
	}
	t.Result.VotersAfter = voters
	return phases.Done, nil
}

// members lists them by quorum, so that what is gone is gone everywhere.
func (t *Task) members(ctx context.Context) (list []etcd.Member, err error) {
	err = wait.For(ctx, t.EtcdLimit, wait.Condition{
		What: "etcd tells its members", LimitName: "timeouts.etcdAPICall",
		Check: func(ctx context.Context) (bool, string, error) {
			list, err = t.Etcd.Members(ctx)
			if etcd.Transient(err) {
				return false, err.Error(), nil // an election may be under way
			}
			return err == nil, "", err
		},
	})
	return list, err
}

func removeMember(ctx context.Context, t *Task) error {
	members, err := t.members(ctx)
	if err != nil {
		return err
	}
	for _, m := range members {
		if !t.owns(m) {
			continue
		}
		if err := t.remove(ctx, m); err != nil {
			return err
		}
	}
	if before, after := t.Result.VotersBefore, t.Result.VotersAfter; before != after {
		phases.Report(ctx, etcd.DescribeChange(before, after))
	}
	return nil
}

// remove takes one member out.
func (t *Task) remove(ctx context.Context, m etcd.Member) error {
	err := membership.Remove(ctx, t.Etcd, membership.Removal{
		ID: m.ID, What: "etcd takes out the member " + title(m), Limit: t.EtcdLimit,
	})
	if errors.Is(err, etcd.ErrQuorum) || errors.Is(err, etcd.ErrLastVoter) {
		return t.unsafe(m, err)
	}
	return err
}

// node is the Node object with the name of the task.
func (t *Task) node() *corev1.Node {
	n := &corev1.Node{}
	n.Name = t.Name
	return n
}
