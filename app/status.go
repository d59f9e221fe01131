package app

import (
	"context"
	"path"
	"slices"
	"strings"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/health"
	"github.com/hactl/hactl/phases/kube"
	"github.com/hactl/hactl/phases/publish"
	"github.com/hactl/hactl/phases/token"
)

// StatusInput is what Status needs from its caller.
type StatusInput struct {
	// Kubeconfig is an administrator's file; "" means this node's, through
	// this node's API server or through the control-plane endpoint, whichever
	// answers.
	Kubeconfig string
}

// StatusResult is how the cluster is, seen from this node.
type StatusResult struct {
	*health.Report
	// Healthy says that nothing needs attention.
	Healthy bool `json:"healthy"`
	// Findings are what needs attention, the most urgent first.
	Findings []health.Finding `json:"needsAttention"`
	// Advice is what a person should know, though nothing is wrong.
	Advice []string `json:"advice,omitempty"`
}

// Status tells how the cluster is, seen from this node. It changes nothing
// and takes three seconds at most. What cannot be had is told in the result;
// the error is of a node that knows no cluster.
func Status(ctx context.Context, in StatusInput) (*StatusResult, error) {
	p, closePorts := realPorts()
	defer closePorts()
	return statusOver(ctx, p, in)
}

func statusOver(ctx context.Context, p ports, in StatusInput) (*StatusResult, error) {
	m := newMachine(p, false)
	defer m.close()
	files := administrators(in.Kubeconfig)
	local := health.LocalServer(ctx, m.host)
	if local == "" && !m.any(ctx, files) {
		none := &kube.KubeconfigError{Paths: files}
		return nil, &phases.Fault{What: none.Error(), Fixes: none.Fix(), Exit: phases.CodeUsage}
	}
	names, err := m.names(ctx)
	if err != nil {
		return nil, err
	}
	t := &health.Task{
		Files: m.host, APIs: []kube.API{m.dialAPI(m.host, "", files)},
		Kubeconfig: m.existing(ctx, files), Node: names[0], Now: m.now,
		Dial: m.openEtcd, Ask: m.askServer,
		ParseToken: token.Parse, Cluster: publish.FetchCluster,
	}
	if in.Kubeconfig == "" && local != "" {
		t.APIs = slices.Insert(t.APIs, 0, m.dialAPI(m.host, local, files))
	}
	r := &StatusResult{Report: health.Gather(ctx, t)}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	r.Findings = health.Judge(r.Report)
	r.Healthy = len(r.Findings) == 0
	if advice := r.Etcd.Advice(); advice != "" {
		r.Advice = append(r.Advice, advice)
	}
	return r, nil
}

// administrators are the kubeconfig files that control-plane nodes have,
// unless one is given. The first that exists counts; that of the group comes
// first, since only the first node has the other.
func administrators(given string) []string {
	if given != "" {
		return []string{given}
	}
	return []string{path.Join(config.KubernetesDir, "admin.conf"), path.Join(config.KubernetesDir, "super-admin.conf")}
}

// existing is the first of the files that exists, or else the first.
func (m *machine) existing(ctx context.Context, files []string) string {
	for _, f := range files {
		if _, err := m.host.Stat(ctx, f); err == nil {
			return f
		}
	}
	return files[0]
}

// names are those that this node goes by, the cluster's first.
func (m *machine) names(ctx context.Context) ([]string, error) {
	name, err := m.hostname()
	if err != nil {
		return nil, err
	}
	names := append(health.Names(ctx, m.host), strings.ToLower(strings.TrimSpace(name)))
	seen := map[string]bool{}
	return slices.DeleteFunc(names, func(n string) bool {
		again := seen[n]
		seen[n] = true
		return again || n == ""
	}), nil
}
