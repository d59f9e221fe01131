package publish

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/config/kubeadm"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/kube"
	"github.com/hactl/hactl/templates"
)

// Where hactl keeps what kubeadm does not know.
const (
	ownConfigMap = "hactl-config"
	ownKey       = "HighAvailability"
	ownRole      = "hactl:nodes-hactl-config"
)

func ownObjects(t *Task) ([]kube.Object, error) {
	data, err := kubeadm.EncodeOwn(t.Cluster.LoadBalancer)
	if err != nil {
		return nil, fmt.Errorf("encode hactl's own configuration: %w", err)
	}
	role, binding := templates.Reader{
		Name: ownRole, Namespace: metav1.NamespaceSystem, Resource: "configmaps", Object: ownConfigMap,
	}.Grant(templates.Group(config.NodeGroup), templates.Group(templates.NodesGroup))
	return []kube.Object{configMap(ownConfigMap, ownKey, data), role, binding}, nil
}

// FetchLoadBalancer returns what upload-config said of the load balancer, nil
// if it said nothing, as in a cluster that kubeadm made. A bootstrap token
// gives enough rights. It tries for as long as limit (zero means for ever).
func FetchLoadBalancer(ctx context.Context, api kube.API, limit time.Duration) (*config.LoadBalancer, error) {
	cm := configMap(ownConfigMap, ownKey, nil)
	err := kube.Insist(ctx, api, limit, "ConfigMap kube-system/"+ownConfigMap, func(ctx context.Context) error {
		err := api.Get(ctx, cm)
		// The right to read it comes with it: who may not read it finds none.
		if apierrors.IsNotFound(err) || apierrors.IsForbidden(err) {
			cm.Data = nil
			return nil
		}
		return err
	})
	if err != nil || cm.Data[ownKey] == "" {
		return nil, explainReader(err)
	}
	docs, err := kubeadm.Load(ownConfigMap, []byte(cm.Data[ownKey]))
	if err != nil {
		return nil, &phases.Fault{
			What:  "ConfigMap kube-system/" + ownConfigMap + " cannot be read",
			Why:   err,
			Fixes: []string{"write it again, with the configuration of the cluster: hactl init phase upload-config hactl --config FILE"},
		}
	}
	return docs.LoadBalancer, nil
}
