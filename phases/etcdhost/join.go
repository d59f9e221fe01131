package etcdhost

import (
	"context"
	"errors"
	"io/fs"
	"slices"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/etcd"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/membership"
	"github.com/hactl/hactl/templates/staticpod"
)

// JoinPhase is phase etcd-join of etcd join: it adds this host's member to
// etcd as a learner, starts it, and gives it its vote when it is in sync.
//
// A run that ended at any moment is continued by the next one. Undo takes the
// member back as long as it has no vote.
func JoinPhase() phases.Phase[Task] {
	return phases.Phase[Task]{
		Name:  "etcd-join",
		Title: "member of etcd: added, in sync, voting",
		Reads: []string{"member list and health of etcd"},
		Writes: []string{
			"member of etcd", staticpod.Path(config.ManifestsDir, Name) + " or " + UnitFile, config.DefaultEtcdDir,
		},
		Observe: observeJoin,
		Apply:   applyJoin,
		Undo:    undoJoin,
	}
}

// observeJoin asks etcd only if this host has a member: without one there is
// work to do whatever etcd says.
func observeJoin(ctx context.Context, t *Task) (_ phases.State, err error) {
	in, err := t.onDisk(ctx)
	if err != nil || in == nil {
		return phases.Missing, err
	}
	if right, err := t.isRight(ctx, *in); err != nil || !right {
		return phases.Missing, err
	}
	if state, err := t.running(ctx); err != nil || state != phases.Done {
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
	return phases.Done, nil
}

// judged runs f with a connection to etcd, what was found there, and how to go
// on. Where that would be unsafe or in vain, f does not run.
func (t *Task) judged(ctx context.Context, f func(*joiner, membership.View, etcd.Course) error) (err error) {
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
func applyJoin(ctx context.Context, t *Task) error {
	return t.judged(ctx, func(j *joiner, v membership.View, course etcd.Course) error {
		t.made.begun = true
		id, err := j.Start(ctx, v, course)
		if err != nil {
			return err
		}
		before, err := j.Promote(ctx, id)
		t.Before = max(t.Before, before)
		return err
	})
}

// joiner is a join with its connection to etcd.
type joiner struct {
	*Task
	*membership.Join
}

// connect dials the members that were named; the caller closes.
func (t *Task) connect(ctx context.Context) (*joiner, func() error, error) {
	if len(t.Endpoints) == 0 {
		return nil, nil, noEndpoint()
	}
	cluster, hangUp, err := t.Etcd(ctx, t.Endpoints)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, noCertificates(err)
	}
	if err != nil {
		return nil, nil, err
	}
	return &joiner{Task: t, Join: t.own().Join(cluster, t.Endpoints)}, hangUp, nil
}

// decide returns how to go on, or why it would be unsafe or in vain.
func (j *joiner) decide(ctx context.Context, v membership.View) (etcd.Course, error) {
	have, err := j.onDisk(ctx)
	if err != nil {
		return 0, err
	}
	if have != nil && have.State != etcd.StateExisting {
		// What init began here is a cluster of its own, unless it is this one.
		if v.Own == nil || !slices.Contains(etcd.InitialPeers(have.Cluster), j.PeerURL()) {
			return 0, j.foundedHere()
		}
	}
	c, err := j.Course(ctx, v)
	if err != nil || c == etcd.CourseResume || c == etcd.CourseReplace {
		return c, err
	}
	return c, j.Blocked(v)
}

// undoJoin takes back this host's member as long as it has no vote.
func undoJoin(ctx context.Context, t *Task) (err error) {
	if !t.made.begun {
		return nil
	}
	j, hangUp, err := t.connect(ctx)
	if err != nil {
		return t.own().Left(err)
	}
	defer func() { err = errors.Join(err, hangUp()) }()
	return j.TakeBack(ctx)
}
