package publish

import (
	"context"
	"errors"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/hactl/hactl/certs"
	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/config/kubeadm"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/kube"
	"github.com/hactl/hactl/templates"
)

// ErrNotUploaded says that no certificates are in the cluster.
var ErrNotUploaded = errors.New("no certificates are uploaded")

// FetchCluster returns the configuration that upload-config put into the
// cluster, with defaults. Its version may be one that this hactl cannot
// install.
func FetchCluster(ctx context.Context, api kube.API) (*config.Cluster, error) {
	cm := configMap(clusterConfigMap, clusterKey, nil)
	err := api.Get(ctx, cm)
	if apierrors.IsNotFound(err) {
		return nil, badConfig("is missing", nil)
	}
	if err != nil {
		return nil, err
	}
	docs, err := kubeadm.Decode(clusterConfigMap, []byte(cm.Data[clusterKey]))
	if err != nil {
		return nil, badConfig("cannot be read", err)
	}
	if docs.Init == nil {
		return nil, badConfig("holds no ClusterConfiguration", nil)
	}
	docs.Init.Cluster.Default()
	return &docs.Init.Cluster, nil
}

func badConfig(what string, why error) error {
	return &phases.Fault{
		What: "ConfigMap kube-system/" + clusterConfigMap + " " + what,
		Why:  why,
		Fixes: []string{
			"write it again, with the configuration of the cluster: hactl init phase upload-config kubeadm --config FILE",
		},
	}
}

// CheckKey says whether the key opens the certificates that are uploaded. It
// returns ErrNotUploaded, certs.ErrWrongKey, a *certs.CertificateKeyError or
// an error of the API.
func CheckKey(ctx context.Context, api kube.API, text config.Secret) error {
	key, err := certs.ParseCertificateKey(text.Reveal())
	if err != nil {
		return err
	}
	live := secret(templates.CertsSecret)
	if err := api.Get(ctx, live); apierrors.IsNotFound(err) {
		return ErrNotUploaded
	} else if err != nil {
		return err
	}
	return opensAny(live, key)
}

func opensAny(s *corev1.Secret, key [certs.CertificateKeySize]byte) error {
	for _, value := range s.Data {
		if len(value) == 0 {
			continue
		}
		_, err := certs.Open(key, value)
		return err
	}
	return ErrNotUploaded
}
