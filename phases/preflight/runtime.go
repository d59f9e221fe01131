package preflight

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/cri"
)

// runtimeReady wants a container runtime that answers and is ready. Its
// network is not: there is none before a network add-on is installed.
func runtimeReady(f *facts) error {
	status, err := f.runtime()
	if err != nil {
		var socket *cri.SocketError
		if errors.As(err, &socket) {
			return fault("the container runtime does not answer", err, socket.Fix()...)
		}
		return fault("the container runtime does not answer", err, "see what it is doing: systemctl status containerd")
	}
	if !status.Runtime.Met {
		return fault("the container runtime is not ready", errors.New(strings.TrimSpace(status.Runtime.Reason+" "+status.Runtime.Message)),
			"see why: journalctl -u containerd -n 50, or that of your runtime")
	}
	return nil
}

// runtimeVersion warns of a runtime that does not tell its cgroup driver,
// which a kubelet from 1.38 on wants to know (KEP-4033).
func runtimeVersion(f *facts) []string {
	status, err := f.runtime()
	if err != nil || status.CgroupDriver != "" {
		return nil
	}
	return []string{"the container runtime does not tell its cgroup driver (CRI method RuntimeConfig); Kubernetes 1.38 will need a newer one"}
}

// pullTries is how often an image is tried: registries drop connections.
const pullTries = 2

// pullImages brings the images to the machine that are not there.
func (t *Task) pullImages(ctx context.Context) ([]string, error) {
	var missing []string
	for _, image := range t.Images {
		found, err := t.Runtime.ImageExists(ctx, image)
		if err != nil && t.PullPolicy == "Never" {
			return nil, nil // then the images are nobody's business here
		}
		if err != nil {
			return nil, fault("it cannot be seen which images are there", err, "try it: crictl images")
		}
		if !found || t.PullPolicy == "Always" {
			missing = append(missing, image)
		}
	}
	switch {
	case len(missing) == 0:
		return nil, nil
	case t.PullPolicy == "Never":
		return []string{"these images are not there and are not to be pulled: " + strings.Join(missing, ", ")}, nil
	case t.DryRun:
		phases.Report(ctx, "would pull "+strings.Join(missing, ", "))
		return nil, nil
	}
	return nil, t.pullAll(ctx, missing)
}

func (t *Task) pullAll(ctx context.Context, images []string) error {
	phases.Report(ctx, fmt.Sprintf("pulling %s: %s", count(len(images), "image"), strings.Join(images, ", ")))
	var done atomic.Int32
	errs := make([]error, len(images))
	var pulling sync.WaitGroup
	for i, image := range images {
		pull := func() {
			if errs[i] = t.pull(ctx, image); errs[i] == nil {
				phases.Report(ctx, fmt.Sprintf("pulled %s (%d of %d)", image, done.Add(1), len(images)))
			}
		}
		if t.PullSerial {
			pull()
			continue
		}
		pulling.Go(pull)
	}
	pulling.Wait()
	return errors.Join(errs...)
}

func (t *Task) pull(ctx context.Context, image string) error {
	var err error
	for range pullTries {
		if err = t.Runtime.PullImage(ctx, image); err == nil || ctx.Err() != nil {
			return err
		}
	}
	registry, _, _ := strings.Cut(image, "/")
	return fault("the image "+image+" cannot be pulled", err,
		fmt.Sprintf("see whether this machine reaches the registry: curl -sSI https://%s/v2/", registry),
		"use another registry that has the images: --image-repository",
		"or load the image from a file: ctr -n k8s.io images import FILE")
}

func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
