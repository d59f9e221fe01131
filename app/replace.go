package app

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases/controlplane"
	"github.com/hactl/hactl/phases/cri"
	"github.com/hactl/hactl/phases/kube"
	"github.com/hactl/hactl/phases/member"
	"github.com/hactl/hactl/templates/staticpod"
)

// servesLimit is how long this node's API server may take to say that it is
// ready. One that has no etcd does not answer at all.
const servesLimit = 2 * time.Second

// replacer writes a manifest over an earlier one. A kubelet that has heard
// from its API server ends the earlier pod by itself. One that has not ends
// none and starts none beside it (kubernetes v1.37, pkg/kubelet, deletePod
// and allowStaticPodStart), and one that is started anew starts the new pod
// while the earlier one has the port. So while this node's API server does
// not serve, the kubelet is stopped and the earlier pod removed first. A run
// of all phases starts the kubelet in its phase; after a phase alone it is
// started here. A dry run needs nothing of this.
func (m *machine) replacer(own kube.API, node string, alone bool) staticpod.Replacer {
	if m.files != nil {
		return nil
	}
	return func(ctx context.Context, component string, write func() error) error {
		if serves(ctx, own) {
			return write()
		}
		services := m.host.Services()
		kubelet, err := services.Status(ctx, config.KubeletUnit)
		if err != nil {
			return err
		}
		if kubelet.Active {
			if err := services.Stop(ctx, config.KubeletUnit); err != nil {
				return err
			}
		}
		// Without a kubelet, a runtime that does not answer runs nothing.
		if err := m.forget(ctx, node, component); err != nil && kubelet.Active {
			return err
		}
		if err := write(); err != nil || !alone || !kubelet.Active {
			return err
		}
		return services.Start(ctx, config.KubeletUnit)
	}
}

func serves(ctx context.Context, own kube.API) bool {
	ctx, cancel := context.WithTimeout(ctx, servesLimit)
	defer cancel()
	_, err := own.Raw(ctx, "/readyz")
	return err == nil
}

// forgetPods ends this node's pods of the control plane, if one of them is
// etcd's, and starts the kubelet without a memory of them: the others cannot
// work without that etcd. If the kubelet may have seen a manifest of etcd, it
// is about to make the pod that the runtime does not know yet.
func (j *joiner) forgetPods(ctx context.Context, seen bool) error {
	node := j.settled.Node.Name
	pods, err := j.pods(ctx, node, member.Name)
	if err != nil || len(pods) == 0 && !seen {
		return err
	}
	if err := j.host.Services().Stop(ctx, config.KubeletUnit); err != nil {
		return err
	}
	if err := j.forget(ctx, node, member.Name, controlplane.APIServer, controlplane.ControllerManager, controlplane.Scheduler); err != nil {
		return err
	}
	return j.host.Services().Start(ctx, config.KubeletUnit)
}

// forget removes the static pods of the components from the runtime. The
// kubelet must not run.
func (m *machine) forget(ctx context.Context, node string, components ...string) error {
	pods, err := m.pods(ctx, node, components...)
	if err != nil {
		return err
	}
	for _, p := range pods {
		// One that does not stop may be removable all the same.
		stopped := m.runtime.StopSandbox(ctx, p.ID)
		if err := m.runtime.RemoveSandbox(ctx, p.ID); err != nil {
			return errors.Join(stopped, err)
		}
	}
	return nil
}

// pods are the static pods of the components that the runtime knows.
func (m *machine) pods(ctx context.Context, node string, components ...string) ([]cri.Sandbox, error) {
	pods, err := m.runtime.Sandboxes(ctx)
	return slices.DeleteFunc(pods, func(s cri.Sandbox) bool {
		component, here := strings.CutSuffix(s.Pod, "-"+node)
		return !here || s.Namespace != metav1.NamespaceSystem || !slices.Contains(components, component)
	}), err
}
