package token

import (
	"context"
	"crypto/x509"
	"errors"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/hactl/hactl/certs"
	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/kube"
)

// Info is what a node learns of the cluster with a token.
type Info struct {
	Endpoint config.HostPort
	// CAs are the authorities that the node trusts; there is at least one.
	CAs []*x509.Certificate
}

// Discover reads ConfigMap kube-public/cluster-info, which nodes that join
// with a token read too.
func Discover(ctx context.Context, api kube.API) (Info, error) {
	cm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespacePublic, Name: infoConfigMap}}
	err := api.Get(ctx, cm)
	if apierrors.IsNotFound(err) {
		return Info{}, badInfo("is missing", nil)
	}
	if err != nil {
		return Info{}, err
	}
	conf, err := clientcmd.Load([]byte(cm.Data[infoKey]))
	if err != nil {
		return Info{}, badInfo("holds no kubeconfig", err)
	}
	for _, cluster := range conf.Clusters {
		var info Info
		if info.CAs, err = certs.ParseCerts(cluster.CertificateAuthorityData); err != nil {
			return Info{}, badInfo("names no CA", err)
		}
		if info.Endpoint, err = config.ParseHostPort(strings.TrimPrefix(cluster.Server, "https://")); err != nil {
			return Info{}, badInfo("names no endpoint", err)
		}
		return info, nil
	}
	return Info{}, badInfo("names no cluster", errors.New("its kubeconfig has none"))
}

func badInfo(what string, why error) error {
	return &phases.Fault{
		What:  "ConfigMap kube-public/" + infoConfigMap + " " + what + ", so no node can join with a token",
		Why:   why,
		Fixes: []string{"make it on a control-plane node: hactl init phase bootstrap-token"},
	}
}
