// Package etcdhost makes a host the member of an etcd cluster that has hosts
// of its own, beside the Kubernetes clusters that use it: the first member, or
// one more. It owns how etcd runs on such a host, as a static pod of a kubelet
// without a cluster or as a service, and the host's data directory. It never
// touches a kubelet that belongs to a cluster, nor another host's member.
package etcdhost

import (
	"context"
	"net/netip"
	"path"
	"time"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/etcd"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/host"
	"github.com/hactl/hactl/phases/membership"
	"github.com/hactl/hactl/templates/staticpod"
)

// Name is that of the pod and of its manifest.
const Name = "etcd"

// Task is what the phases work from. It remembers what this run made, so a use
// case hands the same one to every call.
type Task struct {
	Host host.Host
	// Name is the member's, Address where clients and peers reach it.
	Name    string
	Address netip.Addr
	// Runtime is how etcd runs; Settle finds it, and Program and Kubelet,
	// which are the paths of the two programs.
	Runtime          Runtime
	Program, Kubelet string
	// CertDir, DataDir and Manifests are directories without white space.
	CertDir, DataDir, Manifests string
	// Image and CRISocket are those of a static pod.
	Image, CRISocket string
	Timeouts         config.Timeouts
	// Endpoints are client URLs of members that a join was told, none at init.
	Endpoints []string
	Etcd      membership.Dial // with this host's own client certificate
	// Reach tries whether a TCP address answers; nil asks the network.
	Reach func(ctx context.Context, address string) error
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Imagined says that no etcd is really started: a dry run.
	Imagined bool

	// Before is how many members voted before this run gave this host's its
	// vote; zero if it did not.
	Before int

	made made
}

// made is what this run may have to take back.
type made struct {
	begun bool // a change of the cluster
	dir   bool // the data directory itself
}

// PeerURL is where the other members reach this host's.
func (t *Task) PeerURL() string { return etcd.PeerURL(t.Address.String()) }

// ClientURL is where clients reach this host's member.
func (t *Task) ClientURL() string { return etcd.ClientURL(t.Address.String()) }

// own is this host's member, as what it has in common with those of control
// planes sees it.
func (t *Task) own() *membership.Member {
	return &membership.Member{
		Name: t.Name, Address: t.Address,
		Files: t.Host, DataDir: t.DataDir, LogDir: path.Join(t.DataDir, "member", "wal"), MadeDataDir: t.made.dir,
		Timeouts: t.Timeouts, Now: t.Now,
		Machine: membership.Machine{OnDisk: t.onDisk, Put: t.put, Halt: t.halt, Crashed: t.crashed},
		Words:   t.words(),
	}
}

// founder is the start of a new cluster.
func (t *Task) founder() etcd.Initial { return etcd.Founding(t.Name, t.PeerURL()) }

// flags are the same in both runtimes and the same as those of a member on a
// control plane. There is no max-learners: with etcd's own limit of one the
// members themselves are the queue of hosts that join.
func (t *Task) flags(in etcd.Initial) map[string]string {
	return etcd.Setup{Name: t.Name, Address: t.Address, CertDir: path.Join(t.CertDir, "etcd"), DataDir: t.DataDir}.Flags(in)
}

// MemberPhase is phase member of etcd init: the first member of a new cluster.
func MemberPhase() phases.Phase[Task] {
	return phases.Phase[Task]{
		Name:    "member",
		Title:   "first member of etcd: pod or service, and data directory",
		Writes:  []string{staticpod.Path(config.ManifestsDir, Name) + " or " + UnitFile, config.DefaultEtcdDir},
		Observe: observeFounder,
		Apply:   applyFounder,
	}
}

func observeFounder(ctx context.Context, t *Task) (phases.State, error) {
	if err := t.mayFound(ctx); err != nil {
		return phases.Missing, err
	}
	right, err := t.isRight(ctx, t.founder())
	if err != nil || !right {
		return phases.Missing, err
	}
	return t.running(ctx)
}

// mayFound refuses to begin a new cluster on a host that has a member, or the
// data of one.
func (t *Task) mayFound(ctx context.Context) error {
	have, err := t.onDisk(ctx)
	if err != nil {
		return err
	}
	if have != nil && have.State == etcd.StateExisting {
		return t.joinedAlready()
	}
	data, err := t.own().Owner(ctx)
	if err != nil {
		return err
	}
	if have == nil && data != nil {
		return t.strayData(data)
	}
	return nil
}

func applyFounder(ctx context.Context, t *Task) error {
	if err := t.mayFound(ctx); err != nil {
		return err
	}
	return t.put(ctx, t.founder())
}
