package member

import (
	"context"

	"github.com/hactl/hactl/etcd"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/membership"
)

// CheckPhase is phase check-etcd of join: it ends the join before anything
// is started if etcd would refuse this node's member. It changes nothing.
func CheckPhase() phases.Phase[JoinTask] {
	return phases.Phase[JoinTask]{
		Name:   "check-etcd",
		Title:  "etcd can take a member",
		Reads:  []string{"Pods of etcd in kube-system", "member list and health of etcd"},
		Hidden: true,
		Skip:   (*JoinTask).external,
		Apply:  check,
	}
}

func check(ctx context.Context, t *JoinTask) error {
	return t.judged(ctx, func(j *joiner, v membership.View, _ etcd.Course) error {
		j.WarnOfDead(ctx, v)
		return nil
	})
}
