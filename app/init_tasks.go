package app

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/controlplane"
	"github.com/hactl/hactl/phases/kubeconfig"
	"github.com/hactl/hactl/phases/member"
	"github.com/hactl/hactl/phases/pki"
	"github.com/hactl/hactl/phases/preflight"
	"github.com/hactl/hactl/phases/token"
	"github.com/hactl/hactl/templates/staticpod"
)

// preflight makes the task of the checks. What other families would refuse
// later is a check too, so that everything is found before anything is
// written.
func (m *machine) preflight(c *config.Init, s *Initial) preflight.Task {
	t := preflight.Task{
		Host: m.host, Runtime: m.runtime,
		NodeName: c.Node.Name, AdvertiseAddress: c.Local.Address, BindPort: int(c.Local.Port),
		EndpointHost:      c.Cluster.ControlPlaneEndpoint.Host,
		KubernetesVersion: c.Cluster.Version, Newest: config.Version,
		Subnets:      slices.Concat(c.Cluster.Networking.PodSubnets, c.Cluster.Networking.ServiceSubnets),
		Manifests:    config.ManifestsDir,
		ExternalEtcd: c.Cluster.Etcd.External != nil,
		Images:       c.Cluster.Images(), PullPolicy: string(c.Node.PullPolicy), PullSerial: c.Node.PullSerial,
		SwapAllowed:     allows(c.Cluster.Kubelet.FailSwapOn),
		CgroupV1Allowed: allows(c.Cluster.Kubelet.FailCgroupV1),
		Ignore:          c.Node.IgnorePreflight,
		DryRun:          c.DryRun,
		Now:             m.now,
		Extra: []preflight.Check{
			{Name: "Certificates", Run: func(ctx context.Context) ([]string, error) {
				return nil, errors.Join(pki.Problems(ctx, &s.pki)...)
			}},
			{Name: "Kubeconfigs", Run: func(ctx context.Context) ([]string, error) {
				return nil, errors.Join(kubeconfig.Problems(ctx, &s.kubeconfig)...)
			}},
			m.usersCheck(&c.Cluster),
			m.endpointCheck(c, func(ctx context.Context) (bool, error) { return s.preflight.AlreadyInitialised(ctx) }),
		},
		// A phase alone judges the machine as one that nothing was begun on,
		// unless all that is there is what it would make.
		AlreadyInitialised: func(ctx context.Context) (bool, error) {
			v := m.inventory(ctx, c, s)
			return len(v.other) == 0 && len(v.same) > 0, nil
		},
	}
	if l := c.Cluster.Etcd.Local; l != nil {
		t.EtcdDataDir = l.DataDir
	}
	if x := c.Cluster.Etcd.External; x != nil {
		t.ClientFiles = slices.DeleteFunc([]string{x.CAFile, x.CertFile, x.KeyFile}, func(f string) bool { return f == "" })
	}
	m.checks(&t)
	return t
}

// allows says that a kubelet setting that refuses something is off.
func allows(refuses *bool) bool { return refuses != nil && !*refuses }

// manifest says whether the manifest on disk is the one that this run would
// write. The limit of its startup does not count: a longer one is what a run
// that timed out is given.
func (s *Initial) manifest(ctx context.Context, name string) (bool, error) {
	limit, err := s.startupLimit(ctx, name)
	if err != nil {
		return false, err
	}
	if name == member.Name {
		t := s.member
		t.Timeouts.ControlPlane = limit
		state, err := member.Phase().Phases[0].Observe(ctx, &t)
		return state == phases.Done, err
	}
	t := s.controlPlane
	t.Timeouts.ControlPlane = limit
	for _, p := range controlplane.Phase().Phases {
		if slices.Contains(p.Writes, staticpod.Path(config.ManifestsDir, name)) {
			state, err := p.Observe(ctx, &t)
			return state == phases.Done, err
		}
	}
	return false, nil
}

// startupLimit is the one that the manifest on disk gives.
func (s *Initial) startupLimit(ctx context.Context, name string) (time.Duration, error) {
	limit := s.controlPlane.Timeouts.ControlPlane
	pod, err := staticpod.Read(ctx, s.controlPlane.Files, config.ManifestsDir, name)
	if err != nil {
		return 0, err
	}
	for _, c := range pod.Spec.Containers {
		if p := c.StartupProbe; p != nil && c.Name == name {
			limit = time.Duration(p.FailureThreshold) * time.Duration(p.PeriodSeconds) * time.Second
		}
	}
	return limit, nil
}

// usableToken is the token that this run made, or one that lives in the
// cluster and that nodes may join with.
func (s *Initial) usableToken(ctx context.Context) (config.Secret, error) {
	for _, t := range s.token.Tokens {
		if t.Value != "" {
			return t.Value, nil
		}
	}
	tokens, _, err := token.List(ctx, s.token.API)
	if err != nil {
		return "", err
	}
	for _, t := range tokens {
		joins := slices.Contains(t.Usages, "signing") && slices.Contains(t.Usages, "authentication") && slices.Contains(t.Groups, config.NodeGroup)
		if joins && (t.Expires.IsZero() || t.Expires.After(s.now())) {
			return t.Value, nil
		}
	}
	return "", &phases.Fault{
		What:  "the cluster has no bootstrap token that a node could join with",
		Fixes: []string{"make one with: hactl init phase bootstrap-token"},
	}
}

// certificates lists what expires.
func (s *Initial) certificates(ctx context.Context) ([]Certificate, error) {
	list, err := pki.Expiry(ctx, &s.pki)
	if err != nil {
		return nil, err
	}
	var out []Certificate
	for _, c := range list {
		out = append(out, Certificate{Path: c.Path, Expires: c.NotAfter})
	}
	return out, nil
}
