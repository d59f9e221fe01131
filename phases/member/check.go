package member

import (
	"context"
	"errors"
	"fmt"

	"github.com/hactl/hactl/etcd"
	"github.com/hactl/hactl/phases"
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

func check(ctx context.Context, t *JoinTask) (err error) {
	j, hangUp, err := t.connect(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, hangUp()) }()
	found, err := j.look(ctx)
	if err != nil {
		return err
	}
	if _, err := j.decide(ctx, found); err != nil {
		return err
	}
	for _, m := range j.dead(found) {
		phases.Warn(ctx, fmt.Sprintf("etcd member %s does not answer; etcd goes on without it; if it is gone for good, on a healthy control-plane node: %s",
			etcd.Describe(m.Member), removal(m.Member)))
	}
	return nil
}
