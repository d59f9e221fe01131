package app

import (
	"context"
	"strconv"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/etcd"
	"github.com/hactl/hactl/templates/staticpod"
)

// imaginedMember is the member that a dry run imagines on this machine.
type imaginedMember struct {
	name, address string
	// starts are the files of which one, when it is written, starts it.
	starts []string
	// learners is how many etcd takes at a time, zero for its own default.
	learners int
}

// imagineEtcd is etcd as a dry run changes it.
func (m *machine) imagineEtcd(base etcd.Cluster, own imaginedMember) *etcd.Overlay {
	return etcd.NewOverlay(base, etcd.OverlayConfig{
		Name: own.name, PeerURL: etcd.PeerURL(own.address), ClientURL: etcd.ClientURL(own.address),
		Started:  func(ctx context.Context) bool { return m.any(ctx, own.starts) },
		Learners: own.learners, Now: m.now,
	})
}

// learnersAtOnce is how many learners the cluster's members take at a time,
// zero where the configuration does not say. Patches do not count: with
// another number than the others have, a member is refused before it is added.
func learnersAtOnce(c *config.Cluster) int {
	if c.Etcd.Local == nil {
		return 0
	}
	value, _ := staticpod.Extra(c.Etcd.Local.ExtraArgs, learnersFlag)
	n, _ := strconv.Atoi(value) // etcd itself refuses what is no number
	return n
}
