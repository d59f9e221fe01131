package app

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/cri"
	"github.com/hactl/hactl/phases/host"
)

// Images lists the images that a control-plane node needs. A version label
// is looked up; the warnings say so if it could not be.
func Images(ctx context.Context, c *config.Init) (list, warnings []string, err error) {
	c.Default()
	if !strings.HasPrefix(c.Cluster.Version, "v") {
		c.Cluster.Version = lookUpVersion(ctx, c.Cluster.Version, func(e phases.Event) { warnings = append(warnings, e.Reason) })
	}
	if problems := c.Cluster.Validate(); len(problems) > 0 {
		return nil, warnings, &config.InvalidError{Problems: problems}
	}
	return c.Cluster.Images(), warnings, nil
}

// PullImages pulls the images that a control-plane node needs and the
// machine lacks, all at the same time, and returns all that are needed. It
// is a use case of one phase.
func PullImages(ctx context.Context, c *config.Init, notify func(phases.Event)) ([]string, error) {
	list, warnings, err := Images(ctx, c)
	for _, w := range warnings {
		notify(phases.Event{Phase: "config", Kind: phases.Warning, Reason: w})
	}
	if err != nil {
		return nil, err
	}
	files := host.NewLocal("")
	defer files.Close()
	socket := c.Node.CRISocket
	if socket == "" {
		if socket, err = cri.Detect(ctx, files); err != nil {
			return nil, err
		}
	}
	runtime := cri.Dial(socket)
	defer runtime.Close()
	pull := phases.Phase[[]string]{Name: "images", Title: "pull the images", Apply: func(ctx context.Context, list *[]string) error {
		return pullAll(ctx, runtime, *list)
	}}
	return list, phases.Run(ctx, []phases.Phase[[]string]{pull}, &list, phases.Options{Notify: notify})
}

func pullAll(ctx context.Context, runtime cri.Runtime, list []string) error {
	var done atomic.Int32
	results := make(chan error, len(list))
	for _, image := range list {
		go func() {
			err := pullOne(ctx, runtime, image)
			if err == nil {
				phases.Report(ctx, fmt.Sprintf("%d of %d: %s", done.Add(1), len(list), image))
			}
			results <- err
		}()
	}
	var errs []error
	for range list {
		errs = append(errs, <-results)
	}
	return errors.Join(errs...)
}

func pullOne(ctx context.Context, runtime cri.Runtime, image string) error {
	there, err := runtime.ImageExists(ctx, image)
	if err != nil || there {
		return err
	}
	if err := runtime.PullImage(ctx, image); err != nil {
		return &phases.Fault{
			What:  "cannot pull " + image,
			Why:   err,
			Fixes: []string{"see that the machine reaches the registry, or name another: --image-repository"},
		}
	}
	return nil
}

// WriteFile writes a file of the user's, whole or not at all, with mode
// 0600: configuration may hold tokens.
func WriteFile(ctx context.Context, name string, data []byte) error {
	absolute, err := filepath.Abs(name)
	if err != nil {
		return err
	}
	local := host.NewLocal("")
	defer local.Close()
	return local.WriteFile(ctx, absolute, data, 0o600)
}
