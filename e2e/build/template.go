//go:build linux

package build

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// template returns a /var/lib/containerd in which every image is unpacked.
func (b *builder) template(ctx context.Context, root string, bins binaries) (string, error) {
	key := digest(filepath.Base(root), bins.key(inImages...), fmt.Sprint(b.images()), "3")
	entry, err := b.cache.ensure(ctx, "images", key, func(ctx context.Context, dir string) error {
		layers, err := b.layers(ctx, filepath.Join(root, "root"), bins)
		if err != nil {
			return err
		}
		archive := filepath.Join(dir, "images.tar")
		done := b.log.during("put the container images together", nil)
		err = writeArchive(archive, dir, b.arch, layers, b.images())
		done()
		if err != nil {
			return err
		}
		done = b.log.during("import the images once, for all nodes", nil)
		defer done()
		if err := importImages(ctx, dir, archive, bins); err != nil {
			return err
		}
		return os.Remove(archive)
	})
	return filepath.Join(entry, "containerd"), err
}

// importConfig starts containerd with nothing but what an import needs.
const importConfig = `version = 3
root = %q
state = %q
disabled_plugins = ['io.containerd.cri.v1.images', 'io.containerd.cri.v1.runtime', 'io.containerd.grpc.v1.cri', 'io.containerd.nri.v1.nri', 'io.containerd.podsandbox.controller.v1.podsandbox']
[grpc]
  address = %q
[ttrpc]
  address = %q
`

// importImages runs containerd on dir/containerd for as long as the import
// takes. It has a mount namespace of its own: its mounts end with it.
func importImages(ctx context.Context, dir, archive string, bins binaries) (err error) {
	state, err := os.MkdirTemp("", "hactl-lab-import-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(state)) }()
	socket := filepath.Join(state, "sock")
	config := filepath.Join(state, "config.toml")
	text := fmt.Sprintf(importConfig, filepath.Join(dir, "containerd"), filepath.Join(state, "run"), socket, socket+".ttrpc")
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return err
	}
	var said strings.Builder
	daemon := exec.CommandContext(ctx, bins.path("containerd"), "--config", config)
	daemon.Stdout, daemon.Stderr = &said, &said
	daemon.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	daemon.Cancel = func() error { return daemon.Process.Signal(syscall.SIGTERM) }
	if err := daemon.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- daemon.Wait() }()
	err = importWhen(ctx, socket, ended, bins.path("ctr"), archive)
	if signalErr := daemon.Process.Signal(syscall.SIGTERM); signalErr == nil {
		<-ended
	}
	if err != nil {
		err = fmt.Errorf("%w\ncontainerd said:\n%s", err, lastLines(said.String(), 10))
	}
	return err
}

// importWhen imports the archive when containerd answers on socket.
func importWhen(ctx context.Context, socket string, ended <-chan error, ctr, archive string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return fmt.Errorf("containerd does not answer: %w", ctx.Err())
		case err := <-ended:
			return fmt.Errorf("containerd ended: %w", err)
		case <-tick.C:
		}
		if exec.CommandContext(ctx, ctr, "--address", socket, "version").Run() == nil {
			break
		}
	}
	return output(ctx, nil, ctr, "--address", socket, "-n", "k8s.io", "images", "import", "--local", archive)
}
