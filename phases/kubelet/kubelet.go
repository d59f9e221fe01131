// Package kubelet configures this node's kubelet, starts it, waits until it
// has got into the cluster, and lets it renew its own certificate.
package kubelet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	kubeletconfig "k8s.io/kubelet/config/v1beta1"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/config/kubeadm"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/host"
	"github.com/hactl/hactl/templates/patch"
	"github.com/hactl/hactl/templates/staticpod"
)

// Task is what the phases work from.
type Task struct {
	Host    host.Host
	Cluster *config.Cluster
	Node    *config.Node
	Dir     string // config.KubeletDir
	ConfDir string // config.KubernetesDir
	Patches *patch.Set
	// Join is for a node that joins; nil is for init.
	Join *Join

	started time.Time // by this run; zero if it was not
}

// StartPhase is phase kubelet-start: the kubelet's files, then the kubelet.
func StartPhase() phases.Phase[Task] {
	return phases.Phase[Task]{
		Name:  "kubelet-start",
		Title: "configure and start the kubelet",
		Reads: []string{path.Join(config.KubernetesDir, "kubelet.conf")},
		Writes: []string{
			path.Join(config.KubeletDir, "config.yaml"), path.Join(config.KubeletDir, "instance-config.yaml"),
			path.Join(config.KubeletDir, "kubeadm-flags.env"), config.KubeletUnit,
		},
		Observe: observeStart,
		Apply:   applyStart,
	}
}

func observeStart(ctx context.Context, t *Task) (phases.State, error) {
	stale, err := t.stale(ctx)
	if err != nil || len(stale) > 0 {
		return phases.Missing, err
	}
	status, err := t.Host.Services().Status(ctx, config.KubeletUnit)
	if err != nil || !status.Active {
		return phases.Missing, err
	}
	return phases.Done, nil
}

func applyStart(ctx context.Context, t *Task) error {
	services := t.Host.Services()
	status, err := services.Status(ctx, config.KubeletUnit)
	if err != nil {
		return err
	}
	if !status.Exists {
		return &phases.Fault{
			What:  "there is no service " + config.KubeletUnit + " on this machine",
			Fixes: []string{"install the kubelet with its systemd unit, for example: apt-get install kubelet"},
		}
	}
	stale, err := t.stale(ctx)
	if err != nil {
		return err
	}
	if err := t.credentials(ctx, stale); err != nil {
		return err
	}
	for _, f := range stale {
		if err := t.Host.WriteFile(ctx, f.path, f.data, f.perm); err != nil {
			return fmt.Errorf("write the kubelet's configuration: %w", err)
		}
	}
	if !status.Enabled {
		if err := services.Enable(ctx, config.KubeletUnit); err != nil {
			return fmt.Errorf("let %s start with the machine: %w", config.KubeletUnit, err)
		}
	}
	if err := services.Restart(ctx, config.KubeletUnit); err != nil {
		return &phases.Fault{
			What:  config.KubeletUnit + " does not start",
			Why:   err,
			Fixes: []string{"look at: journalctl -xeu kubelet"},
		}
	}
	t.started = time.Now()
	return nil
}

// credentials wants a file that lets the kubelet into the cluster, there or
// among those to be written: without one it starts and ends again and again.
func (t *Task) credentials(ctx context.Context, coming []file) error {
	for _, name := range []string{t.conf(), t.bootstrapConf()} {
		if slices.ContainsFunc(coming, func(f file) bool { return f.path == name }) {
			return nil
		}
		if _, err := t.Host.Stat(ctx, name); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	command := "hactl init phase kubeconfig kubelet"
	if t.Join != nil {
		command = "hactl join phase control-plane-prepare kubeconfig"
	}
	return &phases.Fault{
		What:  t.conf() + " is missing, without which the kubelet does not start",
		Fixes: []string{"make it with: " + command},
	}
}

const hostnameOverride = "hostname-override"

type file struct {
	path string
	data []byte
	perm fs.FileMode
}

// stale returns the files that are missing or differ from what they should
// hold.
func (t *Task) stale(ctx context.Context) ([]file, error) {
	want, err := t.files(ctx)
	if err != nil {
		return nil, err
	}
	var stale []file
	for _, f := range want {
		live, err := t.Host.ReadFile(ctx, f.path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		if err != nil || !bytes.Equal(live, f.data) {
			stale = append(stale, f)
		}
	}
	return stale, nil
}

func (t *Task) files(ctx context.Context) ([]file, error) {
	k, err := t.settled(ctx)
	if err != nil {
		return nil, err
	}
	c := *t.Cluster
	c.Kubelet = *k
	data, err := kubeadm.EncodeKubelet(&c)
	if err != nil {
		return nil, err
	}
	var list []file
	if t.Join != nil {
		if list, err = t.entrance(ctx); err != nil {
			return nil, err
		}
	}
	return append(list,
		file{path.Join(t.Dir, "instance-config.yaml"), fmt.Appendf(nil, "containerRuntimeEndpoint: %q\n", t.Node.CRISocket), 0o644},
		file{path.Join(t.Dir, "config.yaml"), data, 0o644},
		file{path.Join(t.Dir, "kubeadm-flags.env"), fmt.Appendf(nil, "KUBELET_KUBEADM_ARGS=%q\n", strings.Join(t.flags(), " ")), 0o644},
	), nil
}

// settled is the configuration of this node's kubelet, with its patches.
func (t *Task) settled(ctx context.Context) (*kubeletconfig.KubeletConfiguration, error) {
	k := t.Cluster.Kubelet.DeepCopy()
	k.ContainerRuntimeEndpoint = t.Node.CRISocket
	if k.ResolverConfig == nil {
		// Pods must not be given the stub resolver that systemd-resolved
		// runs at the node's loopback.
		resolved, err := t.Host.Services().Status(ctx, "systemd-resolved.service")
		if err != nil {
			return nil, err
		}
		if resolved.Active {
			k.ResolverConfig = new("/run/systemd/resolve/resolv.conf")
		}
	}
	if err := patch.ApplyTo(t.Patches, patch.KubeletConfiguration, k); err != nil {
		return nil, err
	}
	return k, nil
}

// flags are the kubelet's command line beyond its configuration file.
func (t *Task) flags() []string {
	defaults := map[string]string{}
	if name := t.name(); name != t.Node.Hostname {
		defaults[hostnameOverride] = name
	}
	if t.Join != nil && t.Join.Worker && len(t.Node.Taints) > 0 {
		var taints []string
		for _, taint := range t.Node.Taints {
			taints = append(taints, taint.ToString())
		}
		defaults["register-with-taints"] = strings.Join(taints, ",")
	}
	return staticpod.Command("kubelet", defaults, t.Node.KubeletArgs)[1:]
}

// name is what the kubelet calls its node.
func (t *Task) name() string {
	if given, ok := staticpod.Extra(t.Node.KubeletArgs, hostnameOverride); ok {
		return given
	}
	return t.Node.Name
}
