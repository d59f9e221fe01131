package etcd

import (
	"cmp"
	"errors"
	"slices"
	"strconv"
	"strings"
)

// InitialCluster is etcd's flag of that name for the member at the peer URL,
// which is given its name there: all members in the order of their IDs, others
// that have no name yet by their IDs (kubeadm v1.37, util/etcd/etcd.go).
func InitialCluster(members []Member, peerURL, name string) string {
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
	return strings.Join(list, ",")
}

// InitialPeers are the peer URLs of an initial cluster, sorted: etcd compares
// these, and no names, at a member's first start (etcd v3.7,
// membership.ValidateClusterAndAssignIDs).
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
