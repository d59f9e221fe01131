// Package ready waits until the kubelet and the control plane of this node
// are healthy.
package ready

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/cri"
	"github.com/hactl/hactl/phases/host"
	"github.com/hactl/hactl/phases/kube"
	"github.com/hactl/hactl/phases/symptom"
	"github.com/hactl/hactl/phases/wait"
	"github.com/hactl/hactl/templates/staticpod"
)

// Task is what the phase works from.
type Task struct {
	Host     host.Host
	API      kube.API // of this node's own API server
	Runtime  cri.Runtime
	Cluster  *config.Cluster
	Timeouts config.Timeouts
	Dir      string // of the manifests
	// Healthy asks a health URL, without checking the server's certificate:
	// the components serve their health with one that they make themselves.
	// It returns nil for status 200.
	Healthy func(ctx context.Context, url string) error
}

// Phase is phase wait-control-plane.
func Phase() phases.Phase[Task] {
	return phases.Phase[Task]{
		Name:  "wait-control-plane",
		Title: "control plane is healthy",
		Reads: []string{"health of the kubelet, etcd, kube-apiserver, kube-controller-manager, kube-scheduler"},
		Apply: apply,
	}
}

// apply waits for all at the same time. The components start one after the
// other by themselves; each says what it is still missing.
func apply(ctx context.Context, t *Task) error {
	whole := ctx
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	conditions, err := t.components(ctx)
	if err != nil {
		return err
	}
	results := make(chan error, 2)
	go func() { results <- wait.For(ctx, t.Timeouts.Kubelet, t.kubelet()) }()
	go func() { results <- wait.All(ctx, t.Timeouts.ControlPlane, conditions...) }()
	var first error
	for range cap(results) {
		// The first failure ends the other wait; what that one says then is
		// no news.
		if err := <-results; err != nil && first == nil {
			first = err
			cancel(err)
		}
	}
	return t.diagnose(whole, first)
}

func (t *Task) kubelet() wait.Condition {
	k := t.Cluster.Kubelet
	url := fmt.Sprintf("http://%s/healthz", net.JoinHostPort(k.HealthzBindAddress, strconv.Itoa(int(*k.HealthzPort))))
	return wait.Condition{
		What:      "the kubelet is healthy",
		LimitName: "timeouts.kubeletHealthCheck",
		Check: func(ctx context.Context) (bool, string, error) {
			err := t.Healthy(ctx, url)
			if err == nil {
				return true, "", nil
			}
			return false, short(err), t.kubeletCrashed(ctx)
		},
	}
}

func (t *Task) names() []string {
	list := []string{"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"}
	if t.Cluster.Etcd.External != nil {
		return list[1:]
	}
	return list
}

// components reads from the manifests where each component serves its
// health; a component without a manifest is not waited for.
func (t *Task) components(ctx context.Context) ([]wait.Condition, error) {
	var list []wait.Condition
	for _, name := range t.names() {
		pod, err := staticpod.Read(ctx, t.Host, t.Dir, name)
		if err != nil {
			return nil, &phases.Fault{
				What:  "there is no manifest of " + name + " to wait for",
				Why:   err,
				Fixes: []string{"write it with: hactl init phase " + manifestPhase(name)},
			}
		}
		if healthURL(pod) == "" {
			return nil, &phases.Fault{
				What:  "the manifest of " + name + " has no startup probe that would tell when it is healthy",
				Fixes: []string{"write it anew with: hactl init phase " + manifestPhase(name)},
			}
		}
		list = append(list, t.component(ctx, name, pod))
	}
	return list, nil
}

func (t *Task) component(ctx context.Context, name string, pod *corev1.Pod) wait.Condition {
	ask := func(ctx context.Context) error { return t.Healthy(ctx, healthURL(pod)) }
	before := symptom.Dead(ctx, t.Runtime, name)
	var look func(context.Context) bool
	if name == "kube-apiserver" {
		// As administrator: until its first roles exist, the API server
		// tells its health to nobody else. It is the last to be healthy, so
		// all wait for it: of the others, none needs to be seen at once.
		ask = func(ctx context.Context) error { _, err := t.API.Raw(ctx, "/readyz"); return err }
		look = func(ctx context.Context) bool { return ask(ctx) == nil }
	}
	return wait.Condition{
		What:      name + " is healthy",
		LimitName: "timeouts.controlPlaneComponentHealthCheck",
		Look:      look,
		Check: func(ctx context.Context) (bool, string, error) {
			err := ask(ctx)
			if err == nil {
				err = t.outlived(ctx, name)
			}
			if err == nil {
				return true, "", nil
			}
			if dead := symptom.Dead(ctx, t.Runtime, name); dead.ID != before.ID {
				if crash := symptom.Crashed(ctx, t.Runtime, dead); crash != nil {
					return false, "", crash
				}
			}
			return false, t.status(ctx, name, err), final(err)
		},
	}
}

// final returns err if waiting cannot mend it: no kubeconfig, say.
func final(err error) error {
	var fix interface{ Fix() []string }
	if errors.As(err, &fix) && !kube.Unreachable(err) {
		return err
	}
	return nil
}

// healthURL is the URL of the startup probe, "" if the pod has none.
func healthURL(pod *corev1.Pod) string {
	if len(pod.Spec.Containers) == 0 || pod.Spec.Containers[0].StartupProbe == nil || pod.Spec.Containers[0].StartupProbe.HTTPGet == nil {
		return ""
	}
	c := pod.Spec.Containers[0]
	get := c.StartupProbe.HTTPGet
	host, port := get.Host, get.Port.IntVal
	if host == "" {
		host = "127.0.0.1"
	}
	for _, p := range c.Ports {
		if get.Port.Type == intstr.String && p.Name == get.Port.StrVal {
			port = p.ContainerPort
		}
	}
	return fmt.Sprintf("%s://%s%s", strings.ToLower(string(get.Scheme)), net.JoinHostPort(host, strconv.Itoa(int(port))), get.Path)
}

func manifestPhase(component string) string {
	if component == "etcd" {
		return "etcd local"
	}
	return "control-plane " + strings.TrimPrefix(component, "kube-")
}

// short is the part of an error that tells a person something while it may
// still pass.
func short(err error) string {
	var status apierrors.APIStatus
	if errors.As(err, &status) {
		return fmt.Sprintf("answers %d, not ready yet", status.Status().Code)
	}
	text := err.Error()
	for _, known := range []string{"connection refused", "no route to host", "EOF", "connection reset", "i/o timeout", "deadline exceeded"} {
		if strings.Contains(text, known) {
			return known
		}
	}
	return text
}
