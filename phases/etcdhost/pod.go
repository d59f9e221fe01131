package etcdhost

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"

	corev1 "k8s.io/api/core/v1"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/etcd"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/host"
	"github.com/hactl/hactl/templates/staticpod"
)

// The files of a kubelet without a cluster.
const (
	dropIn      = "/etc/systemd/system/kubelet.service.d/20-hactl-etcd.conf"
	kubeletFile = "/etc/hactl/etcd-kubelet.yaml"
)

// pod is the static pod of etcd, as control planes have it.
func (t *Task) pod(in etcd.Initial) staticpod.Pod {
	certs := path.Join(t.CertDir, "etcd")
	return staticpod.Pod{
		Name: Name, Image: t.Image, Command: staticpod.Command(Name, t.flags(in), nil),
		Mounts: []staticpod.Mount{
			staticpod.Same("etcd-data", t.DataDir, false, corev1.HostPathDirectoryOrCreate),
			staticpod.Same("etcd-certs", certs, false, corev1.HostPathDirectoryOrCreate),
		},
		Annotations: map[string]string{"kubeadm.kubernetes.io/etcd.advertise-client-urls": t.ClientURL()},
		CPU:         "100m", Memory: "100Mi",
		ProbeHost: etcd.Loopback(t.Address), ProbePort: etcd.MetricsPort, ProbeScheme: corev1.URISchemeHTTP,
		LivePath: "/livez", ReadyPath: "/readyz", StartupPath: "/readyz",
		StartupLimit: t.Timeouts.ControlPlane,
	}
}

// KubeletPhase is phase kubelet: a kubelet that runs static pods and belongs
// to no cluster.
func KubeletPhase() phases.Phase[Task] {
	return phases.Phase[Task]{
		Name:   "kubelet",
		Title:  "kubelet without a cluster, which runs etcd",
		Writes: []string{dropIn, kubeletFile, config.KubeletUnit},
		Skip: func(t *Task) string {
			if t.Runtime == Systemd {
				return "etcd runs as a service"
			}
			return ""
		},
		Observe: observeKubelet,
		Apply:   applyKubelet,
	}
}

type file struct {
	path string
	data []byte
}

// kubeletFiles are the kubelet's configuration, by which nobody may ask it
// anything, and the drop-in that starts it so. What people set for kubelets of
// this machine counts here, too.
func (t *Task) kubeletFiles() []file {
	settings := fmt.Sprintf(`# Written by hactl etcd: a kubelet that only runs static pods.
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: 127.0.0.1
authentication:
  anonymous:
    enabled: false
  webhook:
    enabled: false
authorization:
  mode: AlwaysAllow
cgroupDriver: systemd
containerRuntimeEndpoint: %q
staticPodPath: %q
`, t.CRISocket, t.Manifests)
	unit := fmt.Sprintf(`# Written by hactl etcd: this kubelet belongs to no cluster.
[Service]
EnvironmentFile=-/etc/default/kubelet
EnvironmentFile=-/etc/sysconfig/kubelet
ExecStart=
ExecStart=%s --config=%s $KUBELET_EXTRA_ARGS
Restart=always
`, t.Kubelet, kubeletFile)
	return []file{{kubeletFile, []byte(settings)}, {dropIn, []byte(unit)}}
}

func observeKubelet(ctx context.Context, t *Task) (phases.State, error) {
	for _, f := range t.kubeletFiles() {
		have, err := t.Host.ReadFile(ctx, f.path)
		if errors.Is(err, fs.ErrNotExist) {
			return phases.Missing, nil
		}
		if err != nil || !bytes.Equal(have, f.data) {
			return phases.Missing, err
		}
	}
	status, err := t.Host.Services().Status(ctx, config.KubeletUnit)
	if err != nil || !status.Active || !status.Enabled {
		return phases.Missing, err
	}
	return phases.Done, nil
}

func applyKubelet(ctx context.Context, t *Task) error {
	if err := t.possible(ctx); err != nil {
		return err
	}
	s := t.Host.Services()
	status, err := s.Status(ctx, config.KubeletUnit)
	if err != nil {
		return err
	}
	if !status.Exists {
		return missing(config.KubeletUnit, "install the kubelet with its systemd unit, for example: apt-get install kubelet",
			"or run an installed etcd: --runtime systemd")
	}
	for _, f := range t.kubeletFiles() {
		if err := t.Host.WriteFile(ctx, f.path, f.data, 0o644); err != nil {
			return fmt.Errorf("write the kubelet's configuration: %w", err)
		}
	}
	if err := t.Host.Mkdir(ctx, t.Manifests, 0o700); err != nil {
		return fmt.Errorf("make the directory of static pods: %w", err)
	}
	return restartKubelet(ctx, s)
}

func restartKubelet(ctx context.Context, s host.Services) error {
	for _, act := range []func() error{
		func() error { return s.Reload(ctx) },
		func() error { return s.Enable(ctx, config.KubeletUnit) },
		func() error { return s.Restart(ctx, config.KubeletUnit) },
	} {
		if err := act(); err != nil {
			return &phases.Fault{
				What: config.KubeletUnit + " does not start", Why: err,
				Fixes: []string{"look at: journalctl -xeu kubelet", sameAgain},
			}
		}
	}
	return nil
}
