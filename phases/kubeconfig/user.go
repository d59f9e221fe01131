package kubeconfig

import (
	"cmp"
	"context"
	"crypto/x509"
	"fmt"

	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"

	"github.com/hactl/hactl/certs"
	"github.com/hactl/hactl/phases"
)

// perm keeps the private keys in the files from others.
const perm = 0o600

// user is who a file is for. Subjects are those of kubeadm v1.37
// (phases/kubeconfig).
type user struct {
	name, title  string
	cn           string
	organization string
	perNode      bool // the node's name is part of the common name
	remote       bool // talks to the control plane, not to this node
	join         bool // on every control-plane node
	// key is set where TLS bootstrap would make the key: always of this kind
	// (v1.37: client-go, util/keyutil, MakeEllipticPrivateKeyPEM).
	key certs.Algorithm
}

func users() []user {
	return []user{
		{name: "admin", cn: "kubernetes-admin", organization: "kubeadm:cluster-admins", remote: true, join: true,
			title: "make the administrators' kubeconfig"},
		{name: "super-admin", cn: "kubernetes-super-admin", organization: "system:masters", remote: true,
			title: "make the kubeconfig that no authorizer can refuse"},
		// kubeadm writes the kubelet's with the local endpoint, too
		// (cmd/phases/init/kubeconfig.go, v1.37).
		{name: "kubelet", cn: "system:node:", organization: "system:nodes", perNode: true,
			title: "make the kubelet's first kubeconfig"},
		{name: "controller-manager", cn: "system:kube-controller-manager", join: true,
			title: "make the kubeconfig of kube-controller-manager"},
		{name: "scheduler", cn: "system:kube-scheduler", join: true,
			title: "make the kubeconfig of kube-scheduler"},
	}
}

func (u user) file() string { return u.name + ".conf" }

func (u user) commonName(t *Task) string {
	if u.perNode {
		return u.cn + t.NodeName
	}
	return u.cn
}

func (u user) server(t *Task) string {
	if u.remote {
		return t.Endpoint
	}
	return t.LocalEndpoint
}

// leaf is what the client certificate must say.
func (u user) leaf(t *Task) certs.Leaf {
	l := certs.Leaf{
		CommonName: u.commonName(t), Validity: t.Validity,
		Usages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	if u.organization != "" {
		l.Organizations = []string{u.organization}
	}
	return l
}

// apply writes a file that is not there.
func (t *Task) apply(ctx context.Context, u user, caCommand string) error {
	if state, err := t.observe(ctx, u, caCommand); err != nil || state == phases.Done {
		return err
	}
	ca, err := t.loadCA(ctx)
	if err != nil {
		return err
	}
	key, err := t.Keys.Take(ctx, cmp.Or(u.key, t.Algorithm))
	if err != nil {
		return fmt.Errorf("make a private key: %w", err)
	}
	authority := certs.Authority{Cert: ca.Cert, Key: ca.Key}
	pair, err := authority.Issue(u.leaf(t), key, t.now())
	if err != nil {
		return fmt.Errorf("%s: %w", t.file(u), err)
	}
	data, err := t.render(u, ca, pair)
	if err != nil {
		return fmt.Errorf("%s: %w", t.file(u), err)
	}
	if err := t.Host.WriteFile(ctx, t.file(u), data, perm); err != nil {
		return fmt.Errorf("write %s: %w", t.file(u), err)
	}
	return nil
}

func (t *Task) render(u user, ca certs.Pair, pair *certs.Pair) ([]byte, error) {
	key, err := certs.EncodeKey(pair.Key)
	if err != nil {
		return nil, err
	}
	return document(t.ClusterName, u.commonName(t),
		&api.Cluster{Server: u.server(t), CertificateAuthorityData: certs.EncodeCert(ca.Cert)},
		&api.AuthInfo{ClientCertificateData: certs.EncodeCert(pair.Cert), ClientKeyData: key})
}

// document names cluster, user and context as kubeadm does.
func document(clusterName, userName string, cluster *api.Cluster, auth *api.AuthInfo) ([]byte, error) {
	config := api.NewConfig()
	config.Clusters[clusterName] = cluster
	config.AuthInfos[userName] = auth
	config.CurrentContext = userName + "@" + clusterName
	config.Contexts[config.CurrentContext] = &api.Context{Cluster: clusterName, AuthInfo: userName}
	return clientcmd.Write(*config)
}
