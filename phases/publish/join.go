package publish

import (
	"context"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/config/kubeadm"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/kube"
	"github.com/hactl/hactl/templates"
)

// FetchJoin returns what a node that joins works from: the configuration of
// the cluster and of its kubelets, as upload-config put it there, with
// defaults. A bootstrap token gives enough rights. It tries for as long as
// limit (zero means for ever); errors are *phases.Fault or those of the API.
func FetchJoin(ctx context.Context, api kube.API, limit time.Duration) (*config.Cluster, error) {
	var cluster *config.Cluster
	err := kube.Insist(ctx, api, limit, "ConfigMap kube-system/"+clusterConfigMap, func(ctx context.Context) (err error) {
		cluster, err = FetchCluster(ctx, api)
		return err
	})
	if err == nil {
		err = kube.Insist(ctx, api, limit, "ConfigMap kube-system/"+kubeletConfigMap, func(ctx context.Context) error {
			return fetchKubelet(ctx, api, cluster)
		})
	}
	if err != nil {
		return nil, explainReader(err)
	}
	return cluster, nil
}

// fetchKubelet fills in the configuration that all kubelets share.
func fetchKubelet(ctx context.Context, api kube.API, cluster *config.Cluster) error {
	cm := configMap(kubeletConfigMap, kubeletKey, nil)
	err := api.Get(ctx, cm)
	if apierrors.IsNotFound(err) {
		return badKubelet("is missing", nil)
	}
	if err != nil {
		return err
	}
	// The decoder reads component configurations beside a configuration of
	// the cluster only. Behind, it leaves the lines in errors as they are.
	const beside = "\n---\napiVersion: kubeadm.k8s.io/" + kubeadm.Version + "\nkind: " + kubeadm.KindCluster + "\n"
	docs, err := kubeadm.Decode(kubeletConfigMap, []byte(cm.Data[kubeletKey]+beside))
	if err != nil {
		return badKubelet("cannot be read", err)
	}
	if docs.Init == nil || !docs.Init.Cluster.KubeletGiven {
		return badKubelet("holds no KubeletConfiguration", nil)
	}
	cluster.Kubelet, cluster.KubeletGiven = docs.Init.Cluster.Kubelet, !templates.Signed(cm)
	cluster.Default()
	return nil
}

func badKubelet(what string, why error) error {
	return &phases.Fault{
		What: "ConfigMap kube-system/" + kubeletConfigMap + " " + what,
		Why:  why,
		Fixes: []string{
			"write it again, with the configuration of the cluster: hactl init phase upload-config kubelet --config FILE",
		},
	}
}

// explainReader adds the way out where the API server does not let the joining
// node read.
func explainReader(err error) error {
	switch {
	case err == nil:
		return nil
	case apierrors.IsUnauthorized(err):
		return &phases.Fault{
			What: "the API server does not accept the token of this node",
			Why:  err,
			Fixes: []string{
				"make a new one, for authentication too, and take the whole command it prints: hactl token create --print-join-command (on a control-plane node)",
			},
		}
	case apierrors.IsForbidden(err):
		return &phases.Fault{
			What: "the token of this node may not read the cluster's configuration",
			Why:  err,
			Fixes: []string{
				"on a control-plane node: hactl init phase upload-config all",
				"or take a token of group " + config.NodeGroup + ": hactl token create --print-join-command (on a control-plane node)",
			},
		}
	}
	return err
}
