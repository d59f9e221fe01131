// Package membership brings this machine's member into an etcd cluster, in the
// order learner, started, in sync, vote, and takes a member out again. It owns
// what is the same on a control plane and on a host that has etcd only, so it
// is no phase family, and families may import it. How etcd runs on the machine,
// and what people are told to type, they say. It touches no other machine's
// member.
package membership

import (
	"context"
	"net/netip"
	"time"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/etcd"
	"github.com/hactl/hactl/phases/host"
)

// The configuration fields of the limits.
const (
	limitEtcd  = "timeouts.etcdAPICall"
	limitStart = "timeouts.controlPlaneComponentHealthCheck"
)

// Dial connects to an etcd cluster through any of the endpoints. The caller
// calls the function that is returned to close the connection.
type Dial func(ctx context.Context, endpoints []string) (etcd.Cluster, func() error, error)

// Member is this machine's member.
type Member struct {
	Name    string
	Address netip.Addr // where clients and peers reach it
	Files   host.Files
	// DataDir is etcd's data directory, LogDir that of its write-ahead log.
	DataDir, LogDir string
	// MadeDataDir says that this run made the data directory: what is taken
	// back goes with it.
	MadeDataDir bool
	// Timeouts.Etcd is how long etcd may take for each change, and
	// Timeouts.ControlPlane how long a member may take to start.
	Timeouts config.Timeouts
	// ByTurns says that the machines wait for their turn elsewhere. Else the
	// learners are the queue, and one that is ahead may take as long to start.
	ByTurns bool
	Now     func() time.Time // nil means time.Now
	Machine Machine
	Words   Words
}

// Machine is how etcd runs on this machine. A run that was killed is continued
// by calling the same functions again.
type Machine struct {
	// OnDisk reads what etcd is told of its cluster, nil if there is no etcd.
	// It refuses that of another member.
	OnDisk func(context.Context) (*etcd.Initial, error)
	// Put makes the data directory and starts the member, told that. What is
	// so already it leaves.
	Put func(context.Context, etcd.Initial) error
	// Halt ends the member such that it does not come back.
	Halt func(context.Context) error
	// Crashed returns why the member will not come up, nil while it may. A nil
	// function means that nothing tells.
	Crashed func(context.Context) error
	// Restart ends the member, which then starts anew by itself. A nil
	// function means that it is never done.
	Restart func(context.Context) error
}

// PeerURL is where the other members reach this machine's.
func (m *Member) PeerURL() string { return etcd.PeerURL(m.Address.String()) }

// ClientURL is where clients reach this machine's member.
func (m *Member) ClientURL() string { return etcd.ClientURL(m.Address.String()) }

// Is says whether an entry of the member list is this machine's.
func (m *Member) Is(other etcd.Member) bool { return other.HasPeer(m.PeerURL()) }

func (m *Member) now() time.Time {
	if m.Now == nil {
		return time.Now()
	}
	return m.Now()
}

// crashed returns why the member will not come up, nil while it may.
func (m *Member) crashed(ctx context.Context) error {
	if m.Machine.Crashed == nil {
		return nil
	}
	return m.Machine.Crashed(ctx)
}

// Join is the way of a member into a cluster: Look, Course, Start, Promote, and
// TakeBack if one of them fails. Each may run again in a later process. All
// errors that a person can do something about are faults.
type Join struct {
	own       *Member
	cluster   etcd.Cluster
	endpoints []string
	stuck     nudge
}

// Join is a join to the cluster that the endpoints belong to. The caller
// closes the cluster.
func (m *Member) Join(cluster etcd.Cluster, endpoints []string) *Join {
	return &Join{own: m, cluster: cluster, endpoints: endpoints, stuck: nudge{restart: m.Machine.Restart}}
}
