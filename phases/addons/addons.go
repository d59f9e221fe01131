// Package addons puts CoreDNS and kube-proxy into the cluster, and leaves
// alone what users may change of them: the number of CoreDNS replicas and
// the Corefile.
package addons

import (
	"context"
	"fmt"
	"slices"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/kube"
)

// The addons, by the names of their phases.
const (
	CoreDNS   = "coredns"
	KubeProxy = "kube-proxy"
)

// Names of what users can patch (kubeadm v1.37, util/patches/patches.go).
const (
	TargetCoreDNS   = "corednsdeployment"
	TargetKubeProxy = "kubeproxydaemonset"
)

// Task is what the phases work from.
type Task struct {
	API     kube.API
	Cluster *config.Cluster
	// Endpoint is where kube-proxy finds the API (config.Init.Endpoint).
	Endpoint config.HostPort
	// Environ is hactl's environment; its proxy settings go to kube-proxy.
	Environ []string
	// Patch applies the user's patches for a target to a manifest in JSON
	// and returns JSON. Nil means that there are none.
	Patch func(ctx context.Context, target string, manifest []byte) ([]byte, error)
	// Limit is how long the API server may take to accept an object
	// (timeouts.kubernetesAPICall); zero means for ever.
	Limit time.Duration

	corefileTold bool // once is enough
}

// Phase is phase addon with a sub-phase for each addon.
func Phase() phases.Phase[Task] {
	return phases.Phase[Task]{
		Name:  "addon",
		Title: "addons that every cluster needs",
		Phases: []phases.Phase[Task]{
			addon(phases.Phase[Task]{
				Name:  CoreDNS,
				Title: "CoreDNS, the cluster's name service",
				Writes: []string{
					"Deployment, ConfigMap and ServiceAccount kube-system/coredns",
					"Service kube-system/kube-dns",
					"ClusterRole and ClusterRoleBinding system:coredns",
				},
				Skip: func(t *Task) string {
					return unless(!t.Cluster.DNS.Disabled, "dns.disabled is set")
				},
			}, (*Task).coreDNS),
			addon(phases.Phase[Task]{
				Name:  KubeProxy,
				Title: "kube-proxy, which makes Services reachable on every node",
				Writes: []string{
					"DaemonSet, ConfigMap, ServiceAccount, Role and RoleBinding kube-system/kube-proxy",
					"ClusterRoleBinding kubeadm:node-proxier",
				},
				Skip: func(t *Task) string {
					return unless(!t.Cluster.ProxyDisabled, "proxy.disabled is set")
				},
			}, (*Task).kubeProxy),
		},
	}
}

func unless(wanted bool, reason string) string {
	if wanted {
		return ""
	}
	return reason
}

// addon is a phase that puts objects and compares them. What build returns
// depends on what is in the cluster.
func addon(p phases.Phase[Task], build func(*Task, context.Context) ([]kube.Object, error)) phases.Phase[Task] {
	p.Observe = func(ctx context.Context, t *Task) (phases.State, error) {
		objs, err := build(t, ctx)
		if err != nil {
			return phases.Missing, err
		}
		same, err := kube.MatchAll(ctx, t.API, t.Limit, objs...)
		if err != nil || !same {
			return phases.Missing, err
		}
		return phases.Done, nil
	}
	p.Apply = func(ctx context.Context, t *Task) error {
		objs, err := build(t, ctx)
		if err != nil {
			return err
		}
		return t.put(ctx, objs)
	}
	return p
}

// Manifests returns the objects of the named addons as YAML documents, as
// the phases would make them in a cluster that has none of them. Without
// names it returns those of all addons. It needs no API.
func Manifests(ctx context.Context, t *Task, names ...string) ([]byte, error) {
	offline := *t
	offline.API = nil
	var out []byte
	for _, p := range []struct {
		name  string
		build func(*Task, context.Context) ([]kube.Object, error)
	}{{CoreDNS, (*Task).coreDNS}, {KubeProxy, (*Task).kubeProxy}} {
		if len(names) > 0 && !slices.Contains(names, p.name) {
			continue
		}
		objs, err := p.build(&offline, ctx)
		if err != nil {
			return nil, err
		}
		for _, obj := range objs {
			data, err := document(obj)
			if err != nil {
				return nil, fmt.Errorf("encode %s: %w", obj.GetName(), err)
			}
			out = append(append(out, "---\n"...), data...)
		}
	}
	return out, nil
}

// document writes an object without its status, which is not hactl's to set.
func document(obj kube.Object) ([]byte, error) {
	data, err := yaml.Marshal(obj)
	if err != nil {
		return nil, err
	}
	var fields map[string]any
	if err := yaml.Unmarshal(data, &fields); err != nil {
		return nil, err
	}
	delete(fields, "status")
	return yaml.Marshal(fields)
}
