package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hactl/hactl/certs"
	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/kubeconfig"
	"github.com/hactl/hactl/phases/publish"
	"github.com/hactl/hactl/phases/token"
)

// UserInput is what UserKubeconfig needs from its caller.
type UserInput struct {
	Access
	// Config has no defaults set yet. Nil means that of the cluster.
	Config *config.Init
	// Name is the user, Organizations are the groups.
	Name          string
	Organizations []string
	// Token, if it is not empty, takes the place of a client certificate.
	Token config.Secret
	// Validity is how long the certificate is valid.
	Validity time.Duration
}

// UserKubeconfig makes a kubeconfig for a further user. It changes nothing.
func UserKubeconfig(ctx context.Context, in UserInput, notify func(phases.Event)) (config.Secret, error) {
	p, closePorts := realPorts()
	defer closePorts()
	return userKubeconfigOver(ctx, p, in, notify)
}

func userKubeconfigOver(ctx context.Context, p ports, in UserInput, notify func(phases.Event)) (config.Secret, error) {
	if in.Validity <= 0 {
		return "", &phases.Fault{
			What: fmt.Sprintf("--validity-period: %s is not longer than zero", in.Validity), Exit: phases.CodeUsage,
			Fixes: []string{"write it as 8760h, which is a year"},
		}
	}
	m := newMachine(p, false)
	defer m.close()
	cluster, endpoint, err := m.clusterOf(ctx, in)
	if err != nil {
		return "", err
	}
	algorithm, err := certs.ParseAlgorithm(cluster.EncryptionAlgorithm)
	if err != nil {
		return "", err
	}
	t := &kubeconfig.Task{
		Host: m.host, Dir: config.KubernetesDir, CertDir: cluster.CertificatesDir, ClusterName: cluster.Name,
		Endpoint: "https://" + endpoint.String(), Algorithm: algorithm, Validity: in.Validity, Now: m.now,
	}
	data, until, err := kubeconfig.ForPerson(ctx, t, kubeconfig.Person{Name: in.Name, Organizations: in.Organizations, Token: in.Token})
	if err != nil {
		return "", err
	}
	for _, w := range in.warnings(m.now(), until) {
		notify(phases.Event{Phase: "kubeconfig", Kind: phases.Warning, At: m.now(), Reason: w})
	}
	return config.Secret(data), nil
}

// warnings are what a person should know of a certificate that ends at until.
func (in *UserInput) warnings(now, until time.Time) []string {
	if in.Token != "" {
		if len(in.Organizations) > 0 {
			return []string{"--org has no effect beside --token: the API server knows the groups of a token"}
		}
		return nil
	}
	var list []string
	if until.Before(now.Add(in.Validity - time.Second)) {
		list = append(list, "the certificate ends with the CA, at "+until.UTC().Format(time.RFC3339))
	} else if in.Validity > certs.DefaultValidity {
		list = append(list, "nobody can revoke a client certificate, and this one is valid for more than a year")
	}
	for _, o := range in.Organizations {
		if o == "system:masters" {
			list = append(list, "no RBAC rule can take the rights of system:masters away; kubeadm:cluster-admins has the same rights, by a binding")
		}
	}
	return list
}

// clusterOf returns the cluster's configuration and the endpoint of users.
func (m *machine) clusterOf(ctx context.Context, in UserInput) (*config.Cluster, config.HostPort, error) {
	if in.Config != nil {
		if err := m.settleFiles(in.Config); err != nil {
			return nil, config.HostPort{}, err
		}
		return &in.Config.Cluster, in.Config.Endpoint(), nil
	}
	if err := m.enter(ctx, in.Access); err != nil {
		return nil, config.HostPort{}, orConfig(err)
	}
	cluster, err := publish.FetchCluster(ctx, m.api)
	if err != nil {
		return nil, config.HostPort{}, orConfig(in.explain(err))
	}
	if endpoint := cluster.ControlPlaneEndpoint; endpoint.Port != 0 {
		return cluster, endpoint, nil
	}
	// An endpoint without a port has that of the first node, which
	// cluster-info tells.
	info, err := token.Discover(ctx, m.api)
	if err != nil {
		return nil, config.HostPort{}, orConfig(in.explain(err))
	}
	return cluster, info.Endpoint, nil
}

// orConfig adds the way that needs no cluster.
func orConfig(err error) error {
	var fault *phases.Fault
	if !errors.As(err, &fault) {
		return err
	}
	fixes := append(slices.Clone(fault.Fixes), "or give the configuration, which needs no cluster: --config FILE")
	return &phases.Fault{What: fault.What, Why: fault.Why, Fixes: fixes, Exit: fault.Exit}
}
