package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"path"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/host"
	"github.com/hactl/hactl/phases/kubeconfig"
	"github.com/hactl/hactl/phases/pki"
	"github.com/hactl/hactl/phases/preflight"
)

// preflightTask makes the task of the checks.
func (j *joiner) preflightTask(s *Joining) preflight.Task {
	c := j.settled
	t := preflight.Task{
		Host: j.host, Runtime: j.runtime, Worker: j.in.Config.ControlPlane == nil,
		NodeName: c.Node.Name, AdvertiseAddress: c.Local.Address, BindPort: int(c.Local.Port),
		EndpointHost:      c.Cluster.ControlPlaneEndpoint.Host,
		KubernetesVersion: c.Cluster.Version, Newest: config.Version,
		Subnets:      slices.Concat(c.Cluster.Networking.PodSubnets, c.Cluster.Networking.ServiceSubnets),
		Manifests:    config.ManifestsDir,
		ExternalEtcd: c.Cluster.Etcd.External != nil,
		PullPolicy:   string(c.Node.PullPolicy), PullSerial: c.Node.PullSerial,
		SwapAllowed:     allows(c.Cluster.Kubelet.FailSwapOn),
		CgroupV1Allowed: allows(c.Cluster.Kubelet.FailCgroupV1),
		Ignore:          c.Node.IgnorePreflight,
		DryRun:          c.DryRun,
		Now:             j.now,
		Absent: []string{
			path.Join(config.KubernetesDir, "kubelet.conf"), path.Join(config.KubernetesDir, "bootstrap-kubelet.conf"), j.in.Config.CACertPath,
		},
		AlreadyInitialised: func(context.Context) (bool, error) { return j.resumed, nil },
		Extra: []preflight.Check{
			{Name: "NodeName", Run: func(ctx context.Context) ([]string, error) { return nil, j.nameIsFree(ctx) }},
		},
	}
	if !t.Worker {
		j.controlPlaneChecks(&t, s)
	}
	j.checks(&t)
	return t
}

// controlPlaneChecks adds what only a control plane needs.
func (j *joiner) controlPlaneChecks(t *preflight.Task, s *Joining) {
	c := j.settled
	t.Images = c.Cluster.Images()
	if l := c.Cluster.Etcd.Local; l != nil {
		t.EtcdDataDir = l.DataDir
	}
	once := j.rehearseOnce(s)
	t.Peers = func(ctx context.Context) ([]preflight.Peer, error) {
		r, err := once(ctx)
		if err != nil {
			return nil, nil // another check says why
		}
		return peers(ctx, r.admin, c.Node.Name, c.Cluster.Etcd.Local != nil)
	}
	t.Extra = append(t.Extra, j.usersCheck(&c.Cluster),
		preflight.Check{Name: "Certificates", Run: func(ctx context.Context) ([]string, error) {
			r, err := once(ctx)
			if err != nil {
				return nil, err
			}
			with := s.pki
			with.Host = r.files
			return nil, errors.Join(pki.Problems(ctx, &with)...)
		}},
		preflight.Check{Name: "Kubeconfigs", Run: func(ctx context.Context) ([]string, error) {
			r, err := once(ctx)
			if err != nil {
				return nil, nil // another check says why
			}
			with := s.kubeconfig
			with.Host = r.files
			return nil, errors.Join(kubeconfig.JoinProblems(ctx, &with)...)
		}},
		preflight.Check{Name: "MustMatch", Run: func(context.Context) ([]string, error) { return nil, j.mustMatch() }},
		preflight.Check{Name: "SameLoadBalancer", Run: func(context.Context) ([]string, error) { return nil, j.sameBalancer() }},
		s.balancingCheck(),
		preflight.Check{Name: "FilesOfTheCluster", Run: func(ctx context.Context) ([]string, error) { return nil, j.filesAreHere(ctx) }},
	)
	t.Extra = append(t.Extra, j.externalJoin(func(ctx context.Context) (host.Files, error) {
		r, err := once(ctx)
		if err != nil {
			return nil, err
		}
		return r.files, nil
	})...)
}

// again says whether an earlier try of this node to join this cluster goes
// on: one of its files holds the cluster's CA. A node of another cluster is
// refused.
func (j *joiner) again(ctx context.Context) (bool, error) {
	for _, name := range []string{"kubelet.conf", "bootstrap-kubelet.conf", "admin.conf"} {
		file := path.Join(config.KubernetesDir, name)
		data, err := j.host.ReadFile(ctx, file)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return false, err
		}
		there, err := foundIn(file, data)
		if err != nil {
			return false, err
		}
		if !sameCA(there.CA, j.found.CA) {
			return false, &phases.Fault{
				What:  "this machine is a node of another cluster",
				Why:   fmt.Errorf("%s names another CA than the cluster at %s has", file, j.found.Endpoint),
				Fixes: []string{"if it should leave that cluster: hactl reset, then run the same command again"},
				Exit:  phases.CodeUnsafe,
			}
		}
		return true, nil
	}
	if !j.worker() { // whose CA may have been brought by hand
		return false, nil
	}
	ca, err := j.host.ReadFile(ctx, j.in.Config.CACertPath)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return sameCA(ca, j.found.CA), err
}

// nameIsFree wants no other machine to be a node of this name. A node that
// was wiped and comes back under its address is no other machine.
func (j *joiner) nameIsFree(ctx context.Context) error {
	name := j.settled.Node.Name
	if j.any(ctx, []string{path.Join(config.KubernetesDir, "kubelet.conf")}) {
		return nil // it is this one; another cluster's is refused elsewhere
	}
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if err := j.boot.Get(ctx, n); apierrors.IsNotFound(err) {
		return nil
	} else if err != nil {
		return fmt.Errorf("ask whether the cluster has a node %s: %w", name, err)
	}
	at := ""
	for _, a := range n.Status.Addresses {
		if a.Type == corev1.NodeInternalIP {
			at = a.Address
			if own, err := j.hasAddress(a.Address); err != nil || own {
				return err
			}
		}
	}
	if at == "" && !isReady(n) {
		return nil
	}
	if at == "" {
		at = "an address that it does not tell"
	}
	return &phases.Fault{
		What: fmt.Sprintf("the cluster has a node %s already, at %s", name, at),
		Why:  errors.New("two machines of one name take each other's place again and again"),
		Fixes: []string{
			"give this machine another name: --node-name NAME",
			"or, if the other machine is gone for good, on a healthy control-plane node: hactl node remove " + name,
		},
		Exit: phases.CodePreflight,
	}
}

// hasAddress says whether this machine has the address.
func (j *joiner) hasAddress(text string) (bool, error) {
	a, err := netip.ParseAddr(text)
	if err != nil {
		return false, err
	}
	have, err := j.addresses()
	return slices.ContainsFunc(have, func(p netip.Prefix) bool { return p.Addr() == a }), err
}

func isReady(n *corev1.Node) bool {
	return slices.ContainsFunc(n.Status.Conditions, func(c corev1.NodeCondition) bool {
		return c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue
	})
}

// mustMatch wants the ClusterConfiguration that came with the command to say
// what the cluster says: what a file asks for and the cluster does not give
// would be lost without a word.
func (j *joiner) mustMatch() error {
	if j.in.Given == nil {
		return nil
	}
	differences, err := clusterDifferences(j.in.Given, &j.settled.Cluster)
	if err != nil || len(differences) == 0 {
		return err
	}
	return &phases.Fault{
		What: "the ClusterConfiguration of the file differs from the cluster's", Why: errors.New(strings.Join(differences, "\n")),
		Fixes: []string{
			"take the cluster's values into the file, or leave the ClusterConfiguration out: a join takes everything from the cluster",
			"to see the cluster's: hactl config view",
		},
		Exit: phases.CodePreflight,
	}
}
