package app

import (
	"cmp"
	"context"
	"errors"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/etcd"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/health"
	"github.com/hactl/hactl/phases/publish"
	"github.com/hactl/hactl/phases/removal"
)

// How long etcd may take for a change of membership, and the API server for
// an answer. Both work when this is asked for, so they need less than init
// gives them.
const (
	removalEtcdLimit = 20 * time.Second
	removalAPILimit  = 20 * time.Second
)

// NodeRemoveInput is what NodeRemove needs from its caller.
type NodeRemoveInput struct {
	// Kubeconfig is an administrator's file; "" means this node's.
	Kubeconfig string
	// Name is the node's, or the peer address of an etcd member that has
	// never started.
	Name string
	// Force removes a node that is alive.
	Force  bool
	DryRun bool
}

// NodeRemovePhases is node remove, from top to bottom.
func NodeRemovePhases() []phases.Phase[removal.Task] { return removal.Phases() }

// NodeRemove takes another node out of the cluster. Title is told what
// begins, notify gets the events.
func NodeRemove(ctx context.Context, in NodeRemoveInput, title func(string), notify func(phases.Event)) (*NodeRemoveResult, error) {
	p, closePorts := realPorts()
	defer closePorts()
	return nodeRemoveOver(ctx, p, in, title, notify)
}

func nodeRemoveOver(ctx context.Context, p ports, in NodeRemoveInput, title func(string), notify func(phases.Event)) (*NodeRemoveResult, error) {
	m := newMachine(p, in.DryRun)
	defer m.close()
	here, err := m.here(ctx)
	if err != nil {
		return nil, err
	}
	if in.Kubeconfig == "" {
		if err := m.quorumHere(ctx); err != nil {
			return nil, err
		}
	}
	a := Access{Kubeconfigs: administrators(in.Kubeconfig), DryRun: in.DryRun}
	if err := m.enterNear(ctx, in.Kubeconfig, a); err != nil {
		return nil, err
	}
	t := &removal.Task{
		API: m.api, Name: in.Name, Here: here, Force: in.Force,
		EtcdLimit: removalEtcdLimit, APILimit: removalAPILimit,
	}
	overlay, err := m.removalEtcd(ctx, t)
	if err != nil {
		return nil, a.explain(err)
	}
	title("removal of node " + in.Name)
	if err := phases.Run(ctx, removal.Phases(), t, phases.Options{Notify: notify, Now: m.now}); err != nil {
		var inPhase *phases.PhaseError
		if errors.As(err, &inPhase) {
			inPhase.Err = a.explain(inPhase.Err)
		}
		return nil, err
	}
	return m.nodeRemoved(in, t, overlay), nil
}

// quorumHere tells of a lost quorum at once and by its name: the API server
// could only say that it does not answer. Where this node has no member to
// ask, it says nothing.
func (m *machine) quorumHere(ctx context.Context) error {
	a := health.LocalEtcd(ctx, m.host)
	if a.External != nil || len(a.Endpoints) == 0 {
		return nil
	}
	cluster, done, err := m.dialEtcd(ctx, m.host, a.CertDir, a.Endpoints)
	if err != nil {
		return nil // another member may do
	}
	defer func() { _ = done() }()
	report, err := cluster.Health(ctx)
	if err != nil {
		return nil
	}
	return removal.CheckQuorum(report)
}

// here are the names and addresses of this node.
func (m *machine) here(ctx context.Context) ([]string, error) {
	here, err := m.names(ctx)
	if err != nil {
		return nil, err
	}
	if address, err := m.address(); err == nil {
		here = append(here, address.Unmap().String())
	}
	return here, nil
}

// enterNear is enter through this node's API server if that answers: the
// node to remove may be what the load balancer still forwards to.
func (m *machine) enterNear(ctx context.Context, given string, a Access) error {
	local := health.LocalServer(ctx, m.host)
	if given != "" || local == "" {
		return m.enter(ctx, a)
	}
	if err := m.enterAt(ctx, local, a); err == nil {
		return nil
	}
	return m.enter(ctx, a)
}

// removalEtcd opens the cluster's etcd, unless that is external. The overlay
// is that of a dry run.
func (m *machine) removalEtcd(ctx context.Context, t *removal.Task) (*etcd.Overlay, error) {
	c, err := publish.FetchCluster(ctx, m.api)
	if err != nil {
		return nil, err
	}
	if c.Etcd.External != nil {
		return nil, nil
	}
	endpoints, err := m.etcdEndpoints(ctx, t.Name)
	if err != nil {
		return nil, err
	}
	cluster, done, err := m.dialEtcd(ctx, m.host, cmp.Or(c.CertificatesDir, config.DefaultCertsDir), endpoints)
	if err != nil {
		return nil, &phases.Fault{
			What: "this node cannot ask etcd", Why: err,
			Fixes: []string{"run this on a control-plane node that works"},
		}
	}
	m.closers = append(m.closers, func() { _ = done() })
	t.Etcd = cluster
	if m.files == nil {
		return nil, nil
	}
	overlay := etcd.NewOverlay(cluster, etcd.OverlayConfig{Now: m.now})
	t.Etcd = overlay
	return overlay, nil
}

// etcdEndpoints are the client URLs of the members, without that of the node
// to remove if there are others.
func (m *machine) etcdEndpoints(ctx context.Context, without string) ([]string, error) {
	pods := &corev1.PodList{}
	if err := m.api.List(ctx, pods, metav1.NamespaceSystem, "component=etcd"); err != nil {
		return nil, err
	}
	var others []corev1.Pod
	for _, p := range pods.Items {
		if p.Spec.NodeName != without {
			others = append(others, p)
		}
	}
	for _, list := range [][]corev1.Pod{others, pods.Items} {
		if urls := health.EtcdEndpoints(list); len(urls) > 0 {
			return urls, nil
		}
	}
	return []string{"https://127.0.0.1:2379"}, nil
}

// nodeRemoved is the result of a run that went well.
func (m *machine) nodeRemoved(in NodeRemoveInput, t *removal.Task, overlay *etcd.Overlay) *NodeRemoveResult {
	r := &NodeRemoveResult{
		Node: in.Name, Members: []RemovedMember{}, Objects: append([]string{}, t.Result.Objects...),
		Worker: t.Result.Worker, DryRun: m.report(),
	}
	for _, member := range t.Result.Members {
		r.Members = append(r.Members, removedMember(member))
	}
	if t.Etcd != nil {
		before, after := t.Result.VotersBefore, t.Result.VotersAfter
		r.Etcd = &Tolerance{
			VotersBefore: before, VotersAfter: after,
			Before: etcd.Tolerance(before), After: etcd.Tolerance(after),
		}
	}
	if overlay != nil {
		r.DryRun.Objects = append(r.DryRun.Objects, memberChanges(overlay)...)
	}
	return r
}
