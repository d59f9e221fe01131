// Package publish puts into the cluster what nodes that join later work
// from: the configuration, and, for a while and sealed, the certificates. It
// never publishes a key in the clear.
package publish

import (
	"context"
	"time"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/host"
	"github.com/hactl/hactl/phases/kube"
)

// Task is what the phases work from.
type Task struct {
	API     kube.API
	Cluster *config.Cluster
	// Limit is how long the API server may take to accept an object
	// (timeouts.kubernetesAPICall); zero means for ever.
	Limit time.Duration

	// What follows is for upload-certs and download-certs only.

	Host host.Files
	Now  func() time.Time
	// Upload says that the user asked for it (--upload-certs).
	Upload bool
	// Key seals the certificates. If it is empty, upload-certs makes one and
	// leaves it here.
	Key config.Secret
	// Expires is when the uploaded certificates go away. The phase sets it.
	Expires time.Time

	// CA is the cluster's bundle of authorities in PEM, as discovery found
	// it; download-certs takes no other. Empty means that it is not compared.
	CA []byte
}

// objectsPhase is a phase that puts objects and compares them.
func objectsPhase(p phases.Phase[Task], build func(*Task) ([]kube.Object, error)) phases.Phase[Task] {
	p.Observe = func(ctx context.Context, t *Task) (phases.State, error) {
		objs, err := build(t)
		if err != nil {
			return phases.Missing, err
		}
		same, err := kube.MatchAll(ctx, t.API, t.Limit, objs...)
		if err != nil || !same {
			return phases.Missing, explain(err)
		}
		return phases.Done, nil
	}
	p.Apply = func(ctx context.Context, t *Task) error {
		objs, err := build(t)
		if err != nil {
			return err
		}
		return explain(kube.PutAll(ctx, t.API, t.Limit, objs...))
	}
	return p
}
