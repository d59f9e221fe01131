package etcd

import (
	"cmp"
	"errors"
	"slices"
	"strconv"
	"strings"
)

// StateExisting is Initial.State of a member that joins others.
const StateExisting = "existing"

// Initial is what a member is told of its cluster, and reads only at its
// first start: etcd's flags initial-cluster and initial-cluster-state.
type Initial struct {
	Cluster string // "cp-1=https://10.0.0.11:2380,cp-2=…"
	State   string // StateExisting, or "" for a new cluster
}

// Founding is what the first member of a new cluster is told.
func Founding(name, peerURL string) Initial {
	return Initial{Cluster: name + "=" + peerURL}
}

// Joining is what a member is told that joins these, which have it in their
// list already, at its peer URL. It is given its name there. The members are
// in the order of their IDs, others that have no name yet with their IDs
// (kubeadm v1.37, util/etcd/etcd.go, addMember).
func Joining(members []Member, peerURL, name string) Initial {
	sorted := slices.SortedFunc(slices.Values(members), func(a, b Member) int { return cmp.Compare(a.ID, b.ID) })
	var list []string
	for _, m := range sorted {
		called := m.Name
		if m.HasPeer(peerURL) {
			called = name
		} else if called == "" {
			called = strconv.FormatUint(m.ID, 16)
		}
		for _, u := range m.PeerURLs {
			list = append(list, called+"="+u)
		}
	}
	return Initial{Cluster: strings.Join(list, ","), State: StateExisting}
}

// Same says whether both tell a first start the same. Names do not count.
func (i Initial) Same(other Initial) bool {
	return i.State == other.State && slices.Equal(InitialPeers(i.Cluster), InitialPeers(other.Cluster))
}

// InitialPeers are the peer URLs of an initial cluster, sorted: etcd compares
// these, and no names, at a member's first start (etcd v3.7,
// membership.ValidateClusterAndAssignIDs). Of "" it is one empty URL.
func InitialPeers(initialCluster string) []string {
	var urls []string
	for entry := range strings.SplitSeq(initialCluster, ",") {
		_, u, _ := strings.Cut(entry, "=")
		urls = append(urls, u)
	}
	slices.Sort(urls)
	return urls
}

// Transient says whether a later try may succeed: etcd has no leader, nobody
// answers, or it wants its members to be connected for longer.
func Transient(err error) bool {
	return errors.Is(err, ErrNotConnected) || errors.Is(err, ErrNoQuorum) || errors.Is(err, ErrUnreachable)
}

// Voters counts the members that have a vote, whether they answer or not.
func Voters(members []Member) int {
	n := 0
	for _, m := range members {
		if !m.Learner {
			n++
		}
	}
	return n
}

// Find returns the member with that ID, or ErrNotFound.
func Find(members []Member, id uint64) (Member, error) {
	m, ok := withID(members, id)
	if !ok {
		return Member{}, ErrNotFound
	}
	return m, nil
}
