package member

import (
	"context"
	"fmt"

	"github.com/hactl/hactl/etcd"
	"github.com/hactl/hactl/phases/membership"
	"github.com/hactl/hactl/templates/staticpod"
)

// own is this node's member, as what it has in common with those of other
// machines sees it.
func (t *JoinTask) own() *membership.Member {
	return &membership.Member{
		Name: t.NodeName, Address: t.Local.Address,
		Files: t.Files, DataDir: t.Cluster.Etcd.Local.DataDir, LogDir: t.walDir(), MadeDataDir: t.made.dir,
		Timeouts: t.Timeouts, ByTurns: true, Now: t.Now,
		Machine: membership.Machine{OnDisk: t.onDisk, Put: t.put, Halt: t.vacate, Crashed: t.Crashed, Restart: t.Restart},
		Words:   t.words(),
	}
}

// decide returns how to go on, or why it would be unsafe or in vain.
func (j *joiner) decide(ctx context.Context, v membership.View) (etcd.Course, error) {
	c, err := j.Course(ctx, v)
	if err != nil || c == etcd.CourseResume {
		return c, err
	}
	if err := j.sameLearners(); err != nil || c == etcd.CourseReplace {
		return c, err
	}
	return c, j.Blocked(v)
}

// put writes the manifest and the data directory where they are missing or
// different, and notes whether the directory is this run's.
func (t *JoinTask) put(ctx context.Context, in etcd.Initial) error {
	same, err := t.pod(in).OnDisk(ctx, t.Files, t.Dir)
	if err != nil {
		return err
	}
	if _, err := t.Files.Stat(ctx, t.Cluster.Etcd.Local.DataDir); err != nil {
		same, t.made.dir = false, true
	}
	if same {
		return nil
	}
	if err := t.vacate(ctx); err != nil {
		return err
	}
	return t.write(ctx, in)
}

// vacate takes the manifest away, and ends the pod that the kubelet made of
// it. A kubelet that has not heard from its API server yet ends no static pod
// whose manifest went or changed, and starts no other of the same name beside
// it (kubernetes v1.37, pkg/kubelet, deletePod and allowStaticPodStart): the
// new etcd would wait for an API server that waits for this etcd.
func (t *JoinTask) vacate(ctx context.Context) error {
	manifest := staticpod.Path(t.Dir, Name)
	_, err := t.Files.Stat(ctx, manifest)
	seen := err == nil
	if err := t.Files.Remove(ctx, manifest); err != nil {
		return err
	}
	if t.Forget == nil {
		return nil
	}
	if err := t.Forget(ctx, seen); err != nil {
		return fmt.Errorf("end the etcd that ran by another manifest: %w", err)
	}
	return nil
}
