package health

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/hactl/hactl/etcd"
	"github.com/hactl/hactl/phases/kube"
)

// clientAnnotation is where an etcd member's pod says its client URLs
// (kubeadm v1.37, constants/constants.go).
const clientAnnotation = "kubeadm.kubernetes.io/etcd.advertise-client-urls"

// loopbackEndpoint is where a stacked member listens beside its address.
const loopbackEndpoint = "https://127.0.0.1:2379"

// EtcdEndpoints are the client URLs that the pods of a stacked etcd tell.
// The pods may be those of the whole control plane.
func EtcdEndpoints(pods []corev1.Pod) []string {
	var list []string
	for _, p := range pods {
		if urls := p.Annotations[clientAnnotation]; p.Labels["component"] == etcdPod && urls != "" {
			list = append(list, strings.Split(urls, ",")...)
		}
	}
	return list
}

// access is the way to etcd: what this node's files tell, and what the
// cluster tells in time.
func (t *Task) access(ctx context.Context, n thisNode, api *later[kube.API], pods *later[[]corev1.Pod]) EtcdAccess {
	a := n.etcd
	if a.External != nil {
		return a
	}
	ctx, cancel := context.WithTimeout(ctx, leadLimit)
	defer cancel()
	list, _ := pods.wait(ctx)
	for _, e := range EtcdEndpoints(list) {
		if !slices.Contains(a.Endpoints, e) {
			a.Endpoints = append(a.Endpoints, e)
		}
	}
	if len(a.Endpoints) == 0 {
		return t.configured(ctx, a, api)
	}
	return a
}

// configured asks the cluster's configuration for an external etcd.
func (t *Task) configured(ctx context.Context, a EtcdAccess, api *later[kube.API]) EtcdAccess {
	a.Endpoints = []string{loopbackEndpoint}
	chosen, err := api.wait(ctx)
	if err != nil {
		return a
	}
	if c, err := t.Cluster(ctx, chosen); err == nil && c.Etcd.External != nil {
		a.External = c.Etcd.External
		a.Endpoints = c.Etcd.External.Endpoints
	}
	return a
}

func (t *Task) etcd(ctx context.Context, a EtcdAccess) Etcd {
	e := Etcd{External: a.External != nil, Members: []Member{}}
	cluster, done, err := t.Dial(ctx, a)
	if errors.Is(err, fs.ErrNotExist) {
		e.Error = "this node has no certificates for it, as control planes have (" + err.Error() + ")"
		return e
	}
	if err != nil {
		e.Error = words(err)
		return e
	}
	defer func() { _ = done() }()
	report, err := cluster.Health(ctx)
	e.Error = words(err)
	e.Voters, e.Answering = report.Voters()
	if e.Voters > 0 {
		e.Quorum, e.Tolerance = etcd.Quorum(e.Voters), etcd.Tolerance(e.Voters)
		e.MayFail = e.Answering - e.Quorum
	}
	for _, m := range report.Members {
		e.Members = append(e.Members, shownMember(m))
	}
	slices.SortFunc(e.Members, func(a, b Member) int {
		return cmp.Or(cmp.Compare(a.Title(), b.Title()), cmp.Compare(a.ID, b.ID))
	})
	return e
}

func shownMember(m etcd.MemberHealth) Member {
	s := Member{
		ID: strconv.FormatUint(m.ID, 16), Name: m.Name, Version: m.Version, Role: Follower,
		Lag: m.Lag, Size: m.Size, InUse: m.InUse, Alarms: m.Alarms,
	}
	if len(m.PeerURLs) > 0 {
		s.Address = etcd.HostOf(m.PeerURLs[0])
	}
	switch {
	case m.Learner:
		s.Role = Learner
	case m.Err != nil:
		s.Role = ""
	case m.Leader:
		s.Role = Leader
	}
	if m.Err != nil {
		s.Error = words(m.Err)
		if !m.Started() {
			s.Error = "it has never started"
		}
	}
	return s
}
