package addons

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/hactl/hactl/config/kubeadm"
	"github.com/hactl/hactl/phases/kube"
	"github.com/hactl/hactl/templates"
	"github.com/hactl/hactl/templates/staticpod"
)

func (t *Task) kubeProxy(ctx context.Context) ([]kube.Object, error) {
	conf, err := kubeadm.EncodeKubeProxy(t.Cluster)
	if err != nil {
		return nil, fmt.Errorf("encode kube-proxy's configuration: %w", err)
	}
	o, err := templates.KubeProxy{
		Image:     t.Cluster.Image(KubeProxy),
		Config:    string(conf),
		Generated: !t.Cluster.KubeProxyGiven,
		Server:    "https://" + t.Endpoint.String(),
		Env:       staticpod.Env(t.Environ, nil),
	}.Render()
	if err != nil {
		return nil, err
	}
	if o.DaemonSet, err = patched(ctx, t, TargetKubeProxy, o.DaemonSet); err != nil {
		return nil, err
	}
	return []kube.Object{o.ServiceAccount, o.ClusterRoleBinding, o.Role, o.RoleBinding, o.ConfigMap, o.DaemonSet}, nil
}

// patched returns the object with the user's patches for the target.
func patched[T any](ctx context.Context, t *Task, target string, obj *T) (*T, error) {
	if t.Patch == nil {
		return obj, nil
	}
	data, err := json.Marshal(obj)
	if err != nil {
		return nil, err
	}
	if data, err = t.Patch(ctx, target, data); err != nil {
		return nil, fmt.Errorf("patch %s: %w", target, err)
	}
	out := new(T)
	if err := json.Unmarshal(data, out); err != nil {
		return nil, fmt.Errorf("patch %s: %w", target, err)
	}
	return out, nil
}
