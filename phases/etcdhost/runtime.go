package etcdhost

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"path"
	"slices"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/etcd"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/host"
	"github.com/hactl/hactl/templates/staticpod"
)

// Runtime is how etcd runs on the host.
type Runtime string

// The runtimes.
const (
	StaticPod Runtime = "static-pod" // of a kubelet without a cluster
	Systemd   Runtime = "systemd"    // a service, of an installed etcd
)

// Runtimes lists all.
func Runtimes() []Runtime { return []Runtime{StaticPod, Systemd} }

// kubeletConf is there on the nodes of clusters.
var kubeletConf = path.Join(config.KubernetesDir, "kubelet.conf")

// Settle finds out how etcd runs on this host, or is to run: as it does
// already; else as forced, unless that is ""; else as a service if etcd is
// installed, as a static pod if a kubelet is. dirs are those of programs. The
// error is a *phases.Fault of what the host lacks.
func (t *Task) Settle(ctx context.Context, forced Runtime, dirs []string) error {
	var err error
	if t.Program, err = program(ctx, t.Host, Name, dirs); err != nil {
		return err
	}
	if t.Kubelet, err = program(ctx, t.Host, "kubelet", dirs); err != nil {
		return err
	}
	have, err := t.Installed(ctx)
	if err != nil {
		return err
	}
	switch {
	case have != "" && forced != "" && have != forced:
		return otherRuntime(have, forced)
	case have != "":
		t.Runtime = have
	case forced != "":
		t.Runtime = forced
	case t.Program != "":
		t.Runtime = Systemd
	case t.Kubelet != "":
		t.Runtime = StaticPod
	default:
		return noRuntime()
	}
	return t.possible(ctx)
}

// Installed says how etcd runs here by an earlier run, "" if it does not.
func (t *Task) Installed(ctx context.Context) (Runtime, error) {
	for _, f := range []struct {
		file    string
		runtime Runtime
	}{{UnitFile, Systemd}, {dropIn, StaticPod}} {
		_, err := t.Host.Stat(ctx, f.file)
		if err == nil {
			return f.runtime, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
	}
	return "", nil
}

// possible wants what the runtime needs.
func (t *Task) possible(ctx context.Context) error {
	if t.Runtime == Systemd {
		if t.Program == "" {
			return missing("etcd", "install etcd 3.6 or later, such that root finds it in PATH", "or let it run in a container: --runtime static-pod")
		}
		return nil
	}
	if t.Kubelet == "" {
		return missing("kubelet", "install the kubelet, with its systemd unit, and a container runtime", "or run an installed etcd: --runtime systemd")
	}
	_, err := t.Host.Stat(ctx, kubeletConf)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return nodeOfCluster()
}

// program returns the path of a program, "" if it is in none of dirs.
func program(ctx context.Context, files host.Files, name string, dirs []string) (string, error) {
	for _, dir := range dirs {
		if !path.IsAbs(dir) {
			continue
		}
		file := path.Join(dir, name)
		info, err := files.Stat(ctx, file)
		if err == nil && info.Mode.IsRegular() && info.Mode&0o111 != 0 {
			return file, nil
		}
	}
	return "", nil
}

// onDisk reads what this host's etcd is told of its cluster, nil if it has
// none. It refuses one of another member.
func (t *Task) onDisk(ctx context.Context) (*etcd.Initial, error) {
	flag, err := t.liveFlags(ctx)
	if err != nil || flag == nil {
		return nil, err
	}
	name, peer := flag("name"), flag("initial-advertise-peer-urls")
	if name != t.Name || peer != t.PeerURL() {
		return nil, t.otherMember(name, peer)
	}
	if dir := flag("data-dir"); dir != t.DataDir {
		return nil, t.otherDirectory(dir)
	}
	return &etcd.Initial{Cluster: flag("initial-cluster"), State: flag("initial-cluster-state")}, nil
}

// file is where the runtime keeps etcd's command line.
func (t *Task) file() string {
	if t.Runtime == Systemd {
		return UnitFile
	}
	return staticpod.Path(t.Manifests, Name)
}

// liveFlags returns a function that reads the flags of etcd's command line on
// this host, nil if there is none.
func (t *Task) liveFlags(ctx context.Context) (func(string) string, error) {
	if t.Runtime == Systemd {
		return liveUnitFlags(ctx, t.Host)
	}
	pod, err := staticpod.Read(ctx, t.Host, t.Manifests, Name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return func(name string) string {
		value, _ := staticpod.Flag(pod, name)
		return value
	}, nil
}

// isRight compares what is on disk with what is wanted.
func (t *Task) isRight(ctx context.Context, in etcd.Initial) (bool, error) {
	if _, err := t.Host.Stat(ctx, t.DataDir); err != nil {
		return false, ignoreMissing(err)
	}
	if t.Runtime == Systemd {
		return t.unitIsRight(ctx, in)
	}
	return t.pod(in).OnDisk(ctx, t.Host, t.Manifests)
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// running is Done if nothing keeps the member from running.
func (t *Task) running(ctx context.Context) (phases.State, error) {
	if t.Runtime == StaticPod {
		return phases.Done, nil // the kubelet has a phase of its own
	}
	status, err := t.Host.Services().Status(ctx, Unit)
	if err != nil || !status.Enabled || !status.Active && !status.Failed {
		return phases.Missing, err
	}
	return phases.Done, nil // one that fails is another phase's word
}

// put makes the data directory and etcd's command line where they are missing
// or different, and starts it.
func (t *Task) put(ctx context.Context, in etcd.Initial) error {
	right, err := t.isRight(ctx, in)
	if err != nil {
		return err
	}
	if right {
		state, err := t.running(ctx)
		if err != nil || state == phases.Done {
			return err
		}
	}
	if err := t.hasCertificates(ctx); err != nil {
		return err
	}
	if _, err := t.Host.Stat(ctx, t.DataDir); errors.Is(err, fs.ErrNotExist) {
		t.made.dir = true
	}
	if err := t.Host.Mkdir(ctx, t.DataDir, 0o700); err != nil {
		return fmt.Errorf("make etcd's data directory: %w", err)
	}
	if t.Runtime == Systemd {
		return t.startUnit(ctx, in)
	}
	if err := t.pod(in).Write(ctx, t.Host, t.Manifests); err != nil {
		return fmt.Errorf("write the manifest of etcd: %w", err)
	}
	return nil
}

// hasCertificates wants what etcd does not start without.
func (t *Task) hasCertificates(ctx context.Context) error {
	for _, name := range []string{"ca.crt", "server.crt", "server.key", "peer.crt", "peer.key"} {
		file := path.Join(t.CertDir, "etcd", name)
		if _, err := t.Host.Stat(ctx, file); errors.Is(err, fs.ErrNotExist) {
			return noCertificates(fmt.Errorf("%s: %w", file, err))
		} else if err != nil {
			return err
		}
	}
	return nil
}

// halt ends the member and removes its command line, so that it does not come
// back.
func (t *Task) halt(ctx context.Context) error {
	if t.Runtime == StaticPod {
		return t.Host.Remove(ctx, t.file())
	}
	return t.stopUnit(ctx)
}

// Known are client URLs at which members of this host's cluster may answer, as
// far as this host was told: its own first, then those that there were when it
// first started.
func (t *Task) Known(ctx context.Context) ([]string, error) {
	urls := []string{t.ClientURL()}
	flag, err := t.liveFlags(ctx)
	if err != nil || flag == nil {
		return urls, err
	}
	for _, peer := range etcd.InitialPeers(flag("initial-cluster")) {
		if u, err := url.Parse(peer); err == nil && u.Hostname() != "" {
			urls = append(urls, etcd.ClientURL(u.Hostname()))
		}
	}
	slices.Sort(urls[1:])
	return slices.Compact(urls), nil
}
