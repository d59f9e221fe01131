package token

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/host"
	"github.com/hactl/hactl/phases/kube"
	"github.com/hactl/hactl/templates"
)

// Names that kubelets and kubeadm rely on (kubeadm v1.37,
// constants/constants.go; k8s.io/cluster-bootstrap/token/api).
const (
	infoConfigMap = "cluster-info"
	infoKey       = "kubeconfig"
	infoRole      = "kubeadm:bootstrap-signer-clusterinfo"

	getNodes        = "kubeadm:get-nodes"
	postCSRs        = "kubeadm:kubelet-bootstrap"
	approveCSRs     = "kubeadm:node-autoapprove-bootstrap"
	approveRenewals = "kubeadm:node-autoapprove-certificate-rotation"
	kubeletClient   = "kubeadm:apiserver-kubelet-client"
)

// rights are what a token's holder, a node that has joined, the API server
// as a client of kubelets, and everybody may do.
func rights() []kube.Object {
	bootstrappers := templates.Group(config.NodeGroup)
	readNodes := &rbacv1.ClusterRole{
		TypeMeta:   metav1.TypeMeta{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: "ClusterRole"},
		ObjectMeta: metav1.ObjectMeta{Name: getNodes},
		Rules:      []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"nodes"}, Verbs: []string{"get"}}},
	}
	readInfo, everybody := templates.Reader{
		Name: infoRole, Namespace: metav1.NamespacePublic, Resource: "configmaps", Object: infoConfigMap,
	}.Grant(templates.User("system:anonymous"))
	const csrs = "system:certificates.k8s.io:certificatesigningrequests:"
	return []kube.Object{
		readNodes,
		templates.Bind(getNodes, getNodes, bootstrappers),
		templates.Bind(postCSRs, "system:node-bootstrapper", bootstrappers),
		templates.Bind(approveCSRs, csrs+"nodeclient", bootstrappers),
		templates.Bind(approveRenewals, csrs+"selfnodeclient", templates.Group(templates.NodesGroup)),
		templates.Bind(kubeletClient, "system:kubelet-api-admin", templates.User("kube-apiserver-kubelet-client")),
		readInfo, everybody,
	}
}

// clusterInfo returns ConfigMap cluster-info, without signatures.
func clusterInfo(ctx context.Context, files host.Files, file string) (*corev1.ConfigMap, error) {
	cluster, err := readCluster(ctx, files, file)
	if err != nil {
		return nil, err
	}
	data, err := clientcmd.Write(clientcmdapi.Config{Clusters: map[string]*clientcmdapi.Cluster{"": cluster}})
	if err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	return &corev1.ConfigMap{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"},
		ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespacePublic, Name: infoConfigMap},
		Data:       map[string]string{infoKey: string(data)},
	}, nil
}

// readCluster returns the cluster of the kubeconfig's current context, with
// the CA inside.
func readCluster(ctx context.Context, files host.Files, file string) (*clientcmdapi.Cluster, error) {
	data, err := files.ReadFile(ctx, file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, unusable(file, "is not there")
	}
	if err != nil {
		return nil, err
	}
	kubeconfig, err := clientcmd.Load(data)
	if err != nil {
		// The decoder's words may quote the file, and there is a key in it.
		return nil, unusable(file, "is no kubeconfig")
	}
	current := kubeconfig.Contexts[kubeconfig.CurrentContext]
	if current == nil || kubeconfig.Clusters[current.Cluster] == nil {
		return nil, unusable(file, "has no current context with a cluster")
	}
	cluster := kubeconfig.Clusters[current.Cluster]
	if ca := cluster.CertificateAuthority; ca != "" && len(cluster.CertificateAuthorityData) == 0 {
		if !path.IsAbs(ca) {
			ca = path.Join(path.Dir(file), ca)
		}
		if cluster.CertificateAuthorityData, err = files.ReadFile(ctx, ca); err != nil {
			return nil, err
		}
	}
	cluster.CertificateAuthority = ""
	return cluster, nil
}

func unusable(file, why string) error {
	return &phases.Fault{
		What: file + " " + why,
		Fixes: []string{
			"make it with: hactl init phase kubeconfig admin",
			"or name another one with --kubeconfig",
		},
	}
}
