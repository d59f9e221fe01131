package etcdhost

import (
	"context"
	"net"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/hactl/hactl/etcd"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/membership"
)

// reachLimit is how long a peer may take to accept a connection: a second for
// the way, and one for a lost packet.
const reachLimit = 2 * time.Second

// CheckPhase is phase check-etcd of etcd join: it ends the join before
// anything is started if etcd would refuse this host's member, or its peers
// cannot be reached. It changes nothing.
func CheckPhase() phases.Phase[Task] {
	return phases.Phase[Task]{
		Name:  "check-etcd",
		Title: "etcd can take a member, and its peers can be reached",
		Reads: []string{"member list and health of etcd", "port 2380 of all members"},
		Apply: check,
	}
}

func check(ctx context.Context, t *Task) error {
	return t.judged(ctx, func(j *joiner, v membership.View, _ etcd.Course) error {
		j.WarnOfDead(ctx, v)
		var peers []string
		for _, m := range v.Report.Members {
			if m.Err == nil && !m.HasPeer(j.PeerURL()) {
				peers = append(peers, m.PeerURLs...)
			}
		}
		return t.reach(ctx, peers)
	})
}

// reach dials all peers at the same time.
func (t *Task) reach(ctx context.Context, urls []string) error {
	dial := t.Reach
	if dial == nil {
		dial = t.dialFromHere
	}
	errs := make([]error, len(urls))
	var running sync.WaitGroup
	for i, raw := range urls {
		u, err := url.Parse(raw)
		if err != nil {
			continue
		}
		running.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, reachLimit)
			defer cancel()
			errs[i] = dial(ctx, u.Host)
		})
	}
	running.Wait()
	i := slices.IndexFunc(errs, func(err error) bool { return err != nil })
	if i < 0 {
		return nil
	}
	return closedWay(urls[i], errs[i])
}

// dialFromHere connects from the address that this host advertises.
func (t *Task) dialFromHere(ctx context.Context, address string) error {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: t.Address.AsSlice()}}
	conn, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	return conn.Close()
}
