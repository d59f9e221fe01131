package etcdhost

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/hactl/hactl/etcd"
	"github.com/hactl/hactl/phases/wait"
)

// view is what a join finds in etcd and on this host.
type view struct {
	members []etcd.Member
	report  etcd.Report
	own     *etcd.Member // the one with this host's peer URL, nil if none
	data    *etcd.Owner  // whose data this host holds, nil if none
}

// joiner is a join with its connection to etcd.
type joiner struct {
	*Task
	cluster etcd.Cluster
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
	return &joiner{Task: t, cluster: cluster}, hangUp, nil
}

// look reads the member list and the health of etcd, and this host's data. It
// asks for health first, because that names dead members within seconds where
// the member list only says that there is no quorum.
func (j *joiner) look(ctx context.Context) (view, error) {
	v := view{}
	err := wait.For(ctx, j.Timeouts.Etcd, wait.Condition{
		What: "etcd tells its members", LimitName: limitEtcd,
		Check: func(ctx context.Context) (_ bool, _ string, err error) {
			if v.report, err = j.cluster.Health(ctx); err != nil {
				return false, "", err
			}
			v.members, err = j.cluster.Members(ctx)
			if errors.Is(err, etcd.ErrNoQuorum) && !v.report.HasQuorum() {
				return false, "", noQuorum(v.report)
			}
			if etcd.Transient(err) { // an election
				return false, err.Error(), nil
			}
			return err == nil, "", err
		},
	})
	if errors.Is(err, etcd.ErrUnreachable) {
		err = unreachable(j.Endpoints, err)
	}
	if err != nil {
		return view{}, err
	}
	if i := slices.IndexFunc(v.members, j.isOwn); i >= 0 {
		v.own = &v.members[i]
	}
	v.data, err = j.owner(ctx)
	return v, err
}

func (t *Task) isOwn(m etcd.Member) bool { return m.HasPeer(t.PeerURL()) }

// decide returns how to go on, or why it would be unsafe or in vain.
func (j *joiner) decide(ctx context.Context, v view) (etcd.Course, error) {
	have, err := j.onDisk(ctx)
	if err != nil {
		return 0, err
	}
	if have != nil && have.State != etcd.StateExisting {
		// What init began here is a cluster of its own, unless it is this one.
		if v.own == nil || !slices.Contains(etcd.InitialPeers(have.Cluster), j.PeerURL()) {
			return 0, j.foundedHere()
		}
	}
	for _, m := range v.members {
		if m.Name == j.Name && !j.isOwn(m) {
			return 0, j.nameTaken(m)
		}
	}
	c, err := j.fromData(v)
	if err != nil || c == etcd.CourseResume || c == etcd.CourseReplace {
		return c, err // to replace a dead member needs no more than the quorum there is
	}
	return c, j.blocked(v)
}

// fromData compares the member list with the data on this host.
func (j *joiner) fromData(v view) (etcd.Course, error) {
	c := v.report.Course(v.own, v.data)
	switch c {
	case etcd.CourseForeign:
		return c, j.foreignData(v)
	case etcd.CourseTaken:
		return c, j.addressTaken(*v.own)
	}
	return c, nil
}

// dead returns the voting members that do not answer, without this host's own:
// if that is dead, it is replaced.
func (j *joiner) dead(v view) []etcd.MemberHealth { return v.report.DeadVoters(j.PeerURL()) }

// blocked refuses a join that etcd would refuse.
func (j *joiner) blocked(v view) error {
	dead := j.dead(v)
	if len(dead) == 0 || v.report.MayAdd() {
		return nil
	}
	return deadMembers(dead)
}

func (t *Task) walDir() string { return path.Join(t.DataDir, "member", "wal") }

// owner reads whose data this host's data directory holds, nil if none. Only
// a write-ahead log counts: etcd itself takes a directory without one as empty
// (etcd v3.7, etcdserver/bootstrap.go).
func (t *Task) owner(ctx context.Context) (*etcd.Owner, error) {
	info, err := t.Host.Stat(ctx, t.walDir())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look for data of etcd: %w", err)
	}
	i := slices.IndexFunc(info.Names, func(name string) bool { return strings.HasSuffix(name, ".wal") })
	if i < 0 {
		return nil, nil
	}
	file := path.Join(t.walDir(), info.Names[i])
	data, err := t.Host.ReadHead(ctx, file, etcd.OwnerHead)
	if err != nil {
		return nil, fmt.Errorf("look for data of etcd: %w", err)
	}
	o, err := etcd.ReadOwner(data)
	if err != nil {
		return nil, t.unreadableData(file, err)
	}
	return &o, nil
}
