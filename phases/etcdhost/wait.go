package etcdhost

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/hactl/hactl/etcd"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/wait"
)

// WaitPhase is phase wait-etcd: it returns when this host's member answers and
// the cluster has a quorum. It changes nothing.
func WaitPhase() phases.Phase[Task] {
	return phases.Phase[Task]{
		Name:  "wait-etcd",
		Title: "wait until this host's member is healthy",
		Reads: []string{"health of etcd"},
		Skip: func(t *Task) string {
			if t.Imagined {
				return "nothing was started: a dry run"
			}
			return ""
		},
		Apply: waitHealthy,
	}
}

func waitHealthy(ctx context.Context, t *Task) (err error) {
	cluster, hangUp, err := t.Etcd(ctx, []string{t.ClientURL()})
	if errors.Is(err, fs.ErrNotExist) {
		return noCertificates(err)
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, hangUp()) }()
	err = wait.For(ctx, t.Timeouts.ControlPlane, wait.Condition{
		What: "etcd is healthy at " + t.ClientURL(), LimitName: "timeouts.controlPlaneComponentHealthCheck",
		Check: func(ctx context.Context) (bool, string, error) {
			report, err := cluster.Health(ctx)
			if err != nil {
				return false, err.Error(), t.crashed(ctx)
			}
			status := t.unhealthy(report)
			return status == "", status, nil
		},
	})
	var late *wait.TimeoutError
	if errors.As(err, &late) {
		return t.notStarted(late)
	}
	return err
}

// unhealthy says what is still missing, "" if nothing is.
func (t *Task) unhealthy(r etcd.Report) string {
	for _, m := range r.Members {
		if !m.HasPeer(t.PeerURL()) {
			continue
		}
		all, healthy := r.Voters()
		switch {
		case m.Err != nil:
			return m.Err.Error()
		case !r.HasQuorum():
			return fmt.Sprintf("%d of %d voting members answer", healthy, all)
		case len(m.Alarms) > 0:
			return fmt.Sprintf("alarms: %v", m.Alarms)
		}
		return ""
	}
	return "what answers there is no member with this host's address"
}
