package preflight

import (
	"context"
	"errors"
	"fmt"

	"github.com/hactl/hactl/phases"
)

// etcdMetricsPort is where etcd serves its health (kubeadm v1.37,
// constants.go).
const etcdMetricsPort = 2381

// EtcdHostPhase is the first phase of a host that is to run etcd and no
// Kubernetes. Its failure is a *Report. Of Task it needs Host, NodeName,
// AdvertiseAddress and EtcdDataDir; with Images, which a kubelet is to run,
// also Runtime.
func EtcdHostPhase() phases.Phase[Task] {
	return phases.Phase[Task]{
		Name:  "preflight",
		Title: "check that this machine can become an etcd host",
		Reads: []string{"the machine", "the container runtime, if etcd is to run in it"},
		Apply: func(ctx context.Context, t *Task) error {
			return t.withDefaults().run(ctx, (*Task).etcdHostChecks)
		},
	}
}

func (t *Task) etcdHostChecks(f *facts) []Check {
	list := []Check{
		{isPrivilegedUser, func(context.Context) ([]string, error) { return nil, privileged(f) }},
		{"ClockSane", t.clock},
		{"AdvertiseAddress", t.etcdAddress},
		{"Firewalld", t.etcdFirewall},
		{"DirAvailable-" + dashed(t.EtcdDataDir), func(ctx context.Context) ([]string, error) { return nil, t.etcdRoom(ctx, f) }},
	}
	loopback := "127.0.0.1"
	if t.AdvertiseAddress.Is6() {
		loopback = "::1"
	}
	for _, p := range []port{
		{number: etcdClientPort, component: "etcd", on: []string{t.AdvertiseAddress.String(), loopback}},
		{number: etcdPeerPort, component: "etcd", on: []string{t.AdvertiseAddress.String()}},
		{number: etcdMetricsPort, component: "etcd", on: []string{loopback}},
	} {
		list = append(list, Check{fmt.Sprintf("Port-%d", p.number), func(ctx context.Context) ([]string, error) { return nil, t.free(ctx, f, p) }})
	}
	if len(t.Images) == 0 {
		return list
	}
	return append(list,
		Check{"CRI", func(context.Context) ([]string, error) { return nil, runtimeReady(f) }},
		Check{"Swap", t.swap},
		Check{"SystemVerification", func(ctx context.Context) ([]string, error) { return t.system(ctx, f) }},
		Check{"Service-kubelet", t.kubeletService},
	)
}

// etcdAddress is advertised, in the words of etcd hosts.
func (t *Task) etcdAddress(ctx context.Context) ([]string, error) {
	warnings, err := t.advertised(ctx)
	var f *phases.Fault
	if errors.As(err, &f) && len(f.Fixes) > 0 {
		f.Fixes = []string{"use one that it has: --advertise-address ADDRESS; to see them: ip address"}
	}
	return warnings, err
}

// etcdRoom is empty, in the words of etcd hosts.
func (t *Task) etcdRoom(ctx context.Context, f *facts) error {
	err := t.empty(ctx, f, t.EtcdDataDir)
	var full *phases.Fault
	if errors.As(err, &full) {
		// The first of two is hactl reset, which is not for etcd hosts.
		keep := full.Fixes[len(full.Fixes)-1]
		full.Fixes = []string{keep, "or use another directory: --data-dir DIR"}
	}
	return err
}

func (t *Task) etcdFirewall(ctx context.Context) ([]string, error) {
	if warnings, err := t.firewall(ctx); len(warnings) == 0 || err != nil {
		return nil, err
	}
	return []string{fmt.Sprintf("firewalld is active; the other etcd hosts must reach the ports %d and %d, API servers %d: firewall-cmd --permanent --add-port=%d-%d/tcp && firewall-cmd --reload",
		etcdClientPort, etcdPeerPort, etcdClientPort, etcdClientPort, etcdPeerPort)}, nil
}
