// Package controlplane writes the static pod manifests of kube-apiserver,
// kube-controller-manager and kube-scheduler.
package controlplane

import (
	"context"
	"fmt"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/host"
	"github.com/hactl/hactl/templates/patch"
	"github.com/hactl/hactl/templates/staticpod"
)

// The components, by the names of their pods.
const (
	APIServer         = "kube-apiserver"
	ControllerManager = "kube-controller-manager"
	Scheduler         = "kube-scheduler"
)

// Ports that the components serve their health at.
const (
	ControllerManagerPort = 10257
	SchedulerPort         = 10259
)

// Task is what the phases work from.
type Task struct {
	Files    host.Files
	Cluster  *config.Cluster
	Local    config.Endpoint
	Timeouts config.Timeouts
	// Environ is hactl's environment; its proxy settings go to the
	// components.
	Environ []string
	Dir     string // of the manifests
	Patches *patch.Set
	// Accounts give the components users of their own; nil means root.
	Accounts staticpod.Accounts
	// Replace writes over an earlier manifest; nil means as over any file.
	Replace staticpod.Replacer
}

// Phase is phase control-plane with a sub-phase for each component.
func Phase() phases.Phase[Task] {
	return phases.Phase[Task]{
		Name:  "control-plane",
		Title: "static pods of the control plane",
		Phases: []phases.Phase[Task]{
			component("apiserver", APIServer, (*Task).apiServer),
			component("controller-manager", ControllerManager, (*Task).controllerManager),
			component("scheduler", Scheduler, (*Task).scheduler),
		},
	}
}

func component(name, pod string, build func(*Task, context.Context) (staticpod.Pod, error)) phases.Phase[Task] {
	return phases.Phase[Task]{
		Name:   name,
		Title:  "manifest of " + pod,
		Writes: []string{staticpod.Path(config.ManifestsDir, pod)},
		Observe: func(ctx context.Context, t *Task) (phases.State, error) {
			p, err := build(t, ctx)
			if err != nil {
				return phases.Missing, err
			}
			p.Patches, p.Accounts = t.Patches, t.Accounts
			same, err := p.OnDisk(ctx, t.Files, t.Dir)
			if err != nil || !same {
				return phases.Missing, err
			}
			return phases.Done, nil
		},
		Apply: func(ctx context.Context, t *Task) error {
			p, err := build(t, ctx)
			if err != nil {
				return err
			}
			p.Patches, p.Accounts, p.Replace = t.Patches, t.Accounts, t.Replace
			if err := p.Write(ctx, t.Files, t.Dir); err != nil {
				return fmt.Errorf("write the manifest of %s: %w", pod, err)
			}
			return nil
		},
	}
}
