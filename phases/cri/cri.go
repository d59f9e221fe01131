// Package cri is the port to the container runtime, spoken to over the
// Container Runtime Interface v1. It looks at images and containers, pulls
// images, and removes Pods from a node that is reset. It starts nothing: a
// container that it stops is the kubelet's to start anew.
package cri

import (
	"context"
	"time"
)

// Runtime is one container runtime. All methods may be called at the same
// time.
//
// An error of a runtime that cannot be spoken to is a *SocketError.
type Runtime interface {
	// Version tells which runtime answers.
	Version(ctx context.Context) (Version, error)
	// Status tells whether the runtime can run containers.
	Status(ctx context.Context) (Status, error)
	// ImageExists says whether the image is on the machine. The image is
	// named as in a Pod ("registry.k8s.io/pause:3.10.2").
	ImageExists(ctx context.Context, image string) (bool, error)
	// PullImage returns when the image is on the machine. It pulls again
	// what is there already, and has no limit but ctx.
	PullImage(ctx context.Context, image string) error
	// Containers lists the containers that the filter matches, those that
	// ended included: by namespace, pod and name, the newest of each first.
	Containers(ctx context.Context, f Filter) ([]Container, error)
	// Logs returns the last lines that the container wrote, standard output
	// and standard error together, oldest first. Lines is the most that is
	// returned. A container without a log gives an error with
	// errors.Is(err, fs.ErrNotExist).
	Logs(ctx context.Context, c Container, lines int) ([]string, error)
	// StopContainer asks the container's program to end, and ends it after a
	// second. One that is not there, or has ended, is no error.
	StopContainer(ctx context.Context, id string) error
	// Events sends after containers were made, started, stopped or removed.
	// A slow receiver misses events, never the last one. The channel is
	// closed when ctx ends, when the runtime goes away, and at once when it
	// has no events.
	Events(ctx context.Context) <-chan struct{}
	Sandboxes
}

// Version is how a runtime introduces itself.
type Version struct {
	Name    string // "containerd"
	Version string // "v2.4.2"
	API     string // "v1"
}

// Condition is one thing that a runtime says of itself.
type Condition struct {
	Met     bool
	Reason  string // "" or one word
	Message string // "" or a sentence for people
}

// Status is what a runtime says of itself.
type Status struct {
	// Runtime says whether basic containers can run, Network whether the
	// pod network is set up (not so before a network add-on is installed).
	Runtime, Network Condition
	// CgroupDriver is "systemd" or "cgroupfs", and "" when the runtime does
	// not tell (CRI method RuntimeConfig, KEP-4033).
	CgroupDriver string
}

// Filter chooses containers. An empty field matches all.
type Filter struct {
	Namespace string
	Pod       string
	Name      string // of the container within its Pod
}

// State is what a container is doing.
type State string

// The states of a container.
const (
	Created State = "created"
	Running State = "running"
	Exited  State = "exited"
	Unknown State = "unknown"
)

// Container is one try at running a container of a Pod.
type Container struct {
	ID        string
	Namespace string
	Pod       string
	Name      string
	Image     string
	State     State
	// Attempt counts the tries before this one: 2 means restarted twice.
	Attempt int
	// ExitCode counts only when State is Exited.
	ExitCode int
	// Reason and Message say why an exited container ended ("OOMKilled").
	Reason, Message string
	// A time is zero when it has not come.
	CreatedAt, StartedAt, FinishedAt time.Time
	// LogPath is the file of the container's log, "" if it has none.
	LogPath string
}

// The labels by which the kubelet marks the containers of Pods
// (k8s.io/kubelet pkg/types/labels.go).
const (
	labelNamespace = "io.kubernetes.pod.namespace"
	labelPod       = "io.kubernetes.pod.name"
	labelName      = "io.kubernetes.container.name"
)

// matches says whether the filter chooses the container.
func (f Filter) matches(c Container) bool {
	return (f.Namespace == "" || f.Namespace == c.Namespace) &&
		(f.Pod == "" || f.Pod == c.Pod) &&
		(f.Name == "" || f.Name == c.Name)
}

// labels is the filter as CRI wants it; nil matches all.
func (f Filter) labels() map[string]string {
	m := map[string]string{}
	for label, value := range map[string]string{labelNamespace: f.Namespace, labelPod: f.Pod, labelName: f.Name} {
		if value != "" {
			m[label] = value
		}
	}
	return m
}
