package member

import (
	"context"
	"errors"
	"io/fs"
	"sync"
	"time"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/etcd"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/kube"
	"github.com/hactl/hactl/phases/membership"
	"github.com/hactl/hactl/templates/staticpod"
)

// JoinTask is what the phases of join work from. It remembers what this run
// made, so a use case hands the same one to every call.
type JoinTask struct {
	Task
	API  kube.API         // of the cluster that is joined, as administrator
	Etcd membership.Dial  // with this node's own client certificate
	Now  func() time.Time // nil means time.Now
	// Restart ends this node's etcd, which the kubelet then starts anew. Nil
	// means that it is never done.
	Restart func(ctx context.Context) error
	// Crashed returns why this node's etcd will not come up, nil while it may.
	// Nil means that nothing tells.
	Crashed func(ctx context.Context) error
	// Forget ends this node's pod of etcd, whose manifest is gone, and has the
	// kubelet know nothing of it any more. Seen says that there was a manifest
	// until now: the kubelet may be about to make a pod of it. Without one and
	// without a pod, Forget does nothing. Nil means that there never is a pod:
	// a dry run.
	Forget func(ctx context.Context, seen bool) error

	made made
}

// made is what this run may have to take back.
type made struct {
	endpoints []string // of the other members; empty until a change began
	dir       bool     // the data directory itself
	way       bool     // for the next node, as well as it could
}

// JoinPhase is phase etcd-join of join: it adds this node's member to etcd
// as a learner, starts it, and gives it its vote when it is in sync.
//
// A run that ended at any moment is continued by the next one. Undo takes
// the member back as long as it has no vote.
func JoinPhase() phases.Phase[JoinTask] {
	return phases.Phase[JoinTask]{
		Name:  "etcd-join",
		Title: "member of etcd: added, in sync, voting",
		Reads: []string{"Pods of etcd in kube-system", "member list and health of etcd"},
		Writes: []string{
			"Lease " + leaseNamespace + "/" + leaseName, "member of etcd",
			staticpod.Path(config.ManifestsDir, Name), config.DefaultEtcdDir,
		},
		Skip:    (*JoinTask).external,
		Observe: observeJoin,
		Apply:   applyJoin,
		Undo:    undoJoin,
	}
}

// joiner is a join with its connection to etcd.
type joiner struct {
	*JoinTask
	*membership.Join
	endpoints []string
	pods      pods
	cluster   etcd.Cluster
}

// connect finds the cluster's etcd and dials it. The caller closes.
func (t *JoinTask) connect(ctx context.Context) (*joiner, func() error, error) {
	j := &joiner{JoinTask: t}
	var err error
	if j.pods, err = t.etcdPods(ctx); err != nil {
		return nil, nil, err
	}
	if j.endpoints, err = t.others(ctx, j.pods); err != nil {
		return nil, nil, err
	}
	cluster, hangUp, err := t.Etcd(ctx, j.endpoints)
	if err != nil {
		return nil, nil, err
	}
	j.cluster, j.Join = cluster, t.own().Join(cluster, j.endpoints)
	return j, hangUp, nil
}

// observeJoin asks etcd only if the manifest is there: without it there is
// work to do whatever etcd says.
func observeJoin(ctx context.Context, t *JoinTask) (_ phases.State, err error) {
	same, err := t.manifestIsRight(ctx)
	if err != nil || !same {
		return phases.Missing, err
	}
	j, hangUp, err := t.connect(ctx)
	if err != nil {
		return phases.Missing, err
	}
	defer func() { err = errors.Join(err, hangUp()) }()
	v, err := j.Look(ctx)
	if err != nil || !v.Settled() {
		return phases.Missing, err // if it votes, its data is not here
	}
	if v.Data != nil && !t.made.way && t.holds(ctx) {
		return phases.Missing, nil // the others wait for a run that was killed
	}
	return phases.Done, nil
}

// manifestIsRight compares the manifest on disk with the wanted one. What
// etcd was told of its cluster for its first start is history and does not
// count.
func (t *JoinTask) manifestIsRight(ctx context.Context) (bool, error) {
	in, err := t.onDisk(ctx)
	if err != nil || in == nil {
		return false, err
	}
	return t.pod(*in).OnDisk(ctx, t.Files, t.Dir)
}

// onDisk reads what the manifest tells etcd of its cluster, nil if there is
// no manifest. It refuses a manifest of another member.
func (t *JoinTask) onDisk(ctx context.Context) (*etcd.Initial, error) {
	pod, err := staticpod.Read(ctx, t.Files, t.Dir, Name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	name, _ := staticpod.Flag(pod, "name")
	peer, _ := staticpod.Flag(pod, "initial-advertise-peer-urls")
	want := t.pod(etcd.Initial{}).Object()
	wantName, _ := staticpod.Flag(want, "name")
	wantPeer, _ := staticpod.Flag(want, "initial-advertise-peer-urls")
	if name != wantName || peer != wantPeer {
		return nil, t.otherManifest(name, peer)
	}
	in := &etcd.Initial{}
	in.Cluster, _ = staticpod.Flag(pod, "initial-cluster")
	in.State, _ = staticpod.Flag(pod, "initial-cluster-state")
	return in, nil
}

// judged runs f with a connection to etcd, what was found there, and how to go
// on. Where that would be unsafe or in vain, f does not run.
func (t *JoinTask) judged(ctx context.Context, f func(*joiner, membership.View, etcd.Course) error) (err error) {
	j, hangUp, err := t.connect(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, hangUp()) }()
	v, err := j.Look(ctx)
	if err != nil {
		return err
	}
	course, err := j.decide(ctx, v)
	if err != nil {
		return err
	}
	return f(j, v, course)
}

// applyJoin goes on from wherever an earlier run ended.
func applyJoin(ctx context.Context, t *JoinTask) error {
	return t.judged(ctx, func(j *joiner, v membership.View, course etcd.Course) error {
		t.made.endpoints = j.endpoints
		if course != etcd.CourseResume {
			return j.inTurn(ctx)
		}
		defer t.release(ctx) // that of a run which was killed
		id, err := j.Start(ctx, v, course)
		if err != nil {
			return err
		}
		_, err = j.Promote(ctx, id)
		return err
	})
}

// inTurn adds and starts the member while this node holds the turn. Where
// etcd takes one learner at a time, the turn lasts until the member votes.
func (j *joiner) inTurn(ctx context.Context) error {
	turn, err := j.takeTurn(ctx)
	if err != nil {
		return err
	}
	defer turn.end(ctx)
	id, err := j.start(ctx)
	if err != nil {
		return err
	}
	if j.learnersAtOnce() > 1 {
		turn.end(ctx)
		var rousing sync.WaitGroup
		rousing.Go(func() { j.Rouse(ctx) })
		err := j.letOthersAdd(ctx)
		rousing.Wait()
		if err != nil {
			return err
		}
	}
	_, err = j.Promote(ctx, id)
	return err
}

// start adds the member, if it is not there yet, and returns when it runs.
// What was seen while waiting for the turn may no longer be so.
func (j *joiner) start(ctx context.Context) (uint64, error) {
	v, err := j.Glance(ctx)
	if err != nil {
		return 0, err
	}
	course, err := j.decide(ctx, v)
	if err != nil {
		return 0, err
	}
	return j.Start(ctx, v, course)
}

func (t *JoinTask) now() time.Time {
	if t.Now == nil {
		return time.Now()
	}
	return t.Now()
}

// undoJoin takes back this node's member as long as it has no vote.
func undoJoin(ctx context.Context, t *JoinTask) (err error) {
	if len(t.made.endpoints) == 0 {
		return nil
	}
	cluster, hangUp, err := t.Etcd(ctx, t.made.endpoints)
	if err != nil {
		return t.own().Left(err)
	}
	defer func() { err = errors.Join(err, hangUp()) }()
	return t.own().Join(cluster, t.made.endpoints).TakeBack(ctx)
}
