// Package member makes this node's etcd member, its manifest and its data
// directory: the first one of a new cluster, or one more in a cluster there
// is. It takes it out again at a reset. It touches no other node's member.
package member

import (
	"context"
	"fmt"
	"net/url"
	"path"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/etcd"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/host"
	"github.com/hactl/hactl/templates/patch"
	"github.com/hactl/hactl/templates/staticpod"
)

// Name is the pod's name.
const Name = "etcd"

// clientURLs is the annotation by which kubeadm and hactl find the members.
const clientURLs = "kubeadm.kubernetes.io/etcd.advertise-client-urls"

// Task is what the phases work from.
type Task struct {
	Files    host.Files
	Cluster  *config.Cluster
	Local    config.Endpoint
	NodeName string
	Timeouts config.Timeouts
	Environ  []string
	Dir      string // of the manifests
	Patches  *patch.Set
	// Accounts give etcd a user of its own; nil means root.
	Accounts staticpod.Accounts
	// Replace writes over an earlier manifest; nil means as over any file.
	Replace staticpod.Replacer
}

// Phase is phase etcd of init: the first member of a new cluster.
func Phase() phases.Phase[Task] {
	return phases.Phase[Task]{
		Name:  "etcd",
		Title: "static pod of etcd",
		Skip:  (*Task).external,
		Phases: []phases.Phase[Task]{{
			Name:    "local",
			Title:   "manifest and data directory of etcd",
			Writes:  []string{staticpod.Path(config.ManifestsDir, Name), config.DefaultEtcdDir},
			Observe: observe,
			Apply:   apply,
		}},
	}
}

func observe(ctx context.Context, t *Task) (phases.State, error) {
	same, err := t.pod(t.founder()).OnDisk(ctx, t.Files, t.Dir)
	if err != nil || !same {
		return phases.Missing, err
	}
	if _, err := t.Files.Stat(ctx, t.Cluster.Etcd.Local.DataDir); err != nil {
		return phases.Missing, nil
	}
	return phases.Done, nil
}

func apply(ctx context.Context, t *Task) error {
	return t.write(ctx, t.founder())
}

// write makes the data directory and then the manifest.
func (t *Task) write(ctx context.Context, in etcd.Initial) error {
	if err := t.Files.Mkdir(ctx, t.Cluster.Etcd.Local.DataDir, 0o700); err != nil {
		return fmt.Errorf("make etcd's data directory: %w", err)
	}
	if err := t.pod(in).Write(ctx, t.Files, t.Dir); err != nil {
		return fmt.Errorf("write the manifest of etcd: %w", err)
	}
	return nil
}

// external is why there is nothing to do where etcd runs elsewhere.
func (t *Task) external() string {
	if t.Cluster.Etcd.External != nil {
		return "etcd is external"
	}
	return ""
}

// founder is the start of a new cluster.
func (t *Task) founder() etcd.Initial { return etcd.Founding(t.NodeName, t.peerURL()) }

func (t *Task) pod(in etcd.Initial) staticpod.Pod {
	l := t.Cluster.Etcd.Local
	certs := path.Join(t.Cluster.CertificatesDir, "etcd")
	host, port, scheme := t.metrics()
	return staticpod.Pod{
		Name: Name, Image: t.Cluster.EtcdImage(), Patches: t.Patches, Accounts: t.Accounts, Replace: t.Replace,
		Command: staticpod.Command(Name, t.flags(certs, in), l.ExtraArgs),
		Mounts: []staticpod.Mount{
			staticpod.Same("etcd-data", l.DataDir, false, corev1.HostPathDirectoryOrCreate),
			staticpod.Same("etcd-certs", certs, false, corev1.HostPathDirectoryOrCreate),
		},
		Env:         staticpod.Env(nil, l.ExtraEnvs),
		Annotations: map[string]string{clientURLs: t.clientURL()},
		CPU:         "100m", Memory: "100Mi",
		ProbeHost: host, ProbePort: port, ProbeScheme: scheme,
		LivePath: "/livez", ReadyPath: "/readyz", StartupPath: "/readyz",
		StartupLimit: t.Timeouts.ControlPlane,
	}
}

func (t *Task) flags(certs string, in etcd.Initial) map[string]string {
	return etcd.Setup{Name: t.NodeName, Address: t.Local.Address, CertDir: certs, DataDir: t.Cluster.Etcd.Local.DataDir}.Flags(in)
}

// metrics is where etcd serves its health: the first of the metrics URLs
// (kubeadm v1.37, util/staticpod/utils.go, GetEtcdProbeEndpoint).
func (t *Task) metrics() (string, int32, corev1.URIScheme) {
	given, ok := staticpod.Extra(t.Cluster.Etcd.Local.ExtraArgs, "listen-metrics-urls")
	if !ok {
		return t.loopback(), etcd.MetricsPort, corev1.URISchemeHTTP
	}
	first, _, _ := strings.Cut(given, ",")
	u, err := url.Parse(first)
	if err != nil {
		return t.loopback(), etcd.MetricsPort, corev1.URISchemeHTTP
	}
	host, port, scheme := u.Hostname(), int32(etcd.MetricsPort), corev1.URISchemeHTTP
	if host == "" {
		host = t.loopback()
	}
	if n, err := strconv.ParseUint(u.Port(), 10, 16); err == nil && n > 0 {
		port = int32(n)
	}
	if u.Scheme == "https" {
		scheme = corev1.URISchemeHTTPS
	}
	return host, port, scheme
}

func (t *Task) loopback() string { return etcd.Loopback(t.Local.Address) }

// peerURL is where the other members reach this node's.
func (t *Task) peerURL() string { return etcd.PeerURL(t.Local.Address.String()) }

// clientURL is where clients reach this node's member.
func (t *Task) clientURL() string { return etcd.ClientURL(t.Local.Address.String()) }
