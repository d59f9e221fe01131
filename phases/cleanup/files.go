package cleanup

import (
	"context"
	"errors"
	"slices"

	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/host"
)

func (t *Task) removeManifests(ctx context.Context, f *found) error {
	return t.removeEach(ctx, f.manifests)
}

func (t *Task) removeEach(ctx context.Context, paths []string) error {
	for _, p := range paths {
		if err := t.Host.RemoveAll(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

// removeFiles removes certificates, kubeconfig files and what is temporary.
func (t *Task) removeFiles(ctx context.Context, f *found) error {
	if err := t.removeEach(ctx, slices.Concat(f.confs, f.certs, f.tmp)); err != nil {
		return err
	}
	for _, dir := range f.certDirs {
		var mounted *host.MountedError
		if err := t.Host.Remove(ctx, dir); err != nil && !errors.As(err, &mounted) {
			return err
		}
	}
	return nil
}

// unmount undoes the mounts in the kubelet's directory, the last first. What
// a link in it leads to is not the kubelet's.
func (t *Task) unmount(ctx context.Context, f *found) error {
	for _, p := range f.kubelet {
		info, err := t.Host.Stat(ctx, p)
		if err != nil || info.Link || !info.Mode.IsDir() {
			continue // it goes as it is
		}
		points, err := t.Host.MountPoints(ctx, p)
		if err != nil {
			return err
		}
		for _, point := range slices.Backward(points) {
			if err := t.Host.Unmount(ctx, point, t.UnmountFlags...); err != nil {
				return inUse(point, err)
			}
		}
	}
	return nil
}

func inUse(point string, err error) *phases.Fault {
	return &phases.Fault{
		What: point + " cannot be unmounted", Why: err,
		Fixes: []string{
			"see which processes use it: fuser -vm " + point,
			"end them and run the same command again",
			"or let it go as soon as nobody uses it any more: a ResetConfiguration with unmountFlags: [MNT_DETACH], given with --config",
		},
	}
}

func (t *Task) emptyKubeletDir(ctx context.Context, f *found) error {
	return t.removeEach(ctx, f.kubelet)
}
