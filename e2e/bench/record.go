package main

import (
	"time"

	"github.com/hactl/hactl/e2e/machine"
)

// A tool is one of the two that are compared.
type tool string

const (
	hactl   tool = "hactl"
	kubeadm tool = "kubeadm"
)

// A mode is the order in which nodes join.
type mode string

const (
	serial mode = "one after the other"
	atOnce mode = "at once"
)

// record is everything that was measured, as it is kept in JSON. It holds no
// output of the tools, because that has keys and tokens in it.
type record struct {
	Machine  machine.Machine
	Versions []machine.Version
	Commands []string // as they were run, without what is secret in them
	Pairs    []pair
}

// pair is what was measured next to each other in time.
type pair struct {
	Clusters []cluster
	Floor    float64 // seconds from the kubelet's start to /readyz, every file in place
	// Seconds of processor time for an RSA key of 2048 bits: one made at a
	// time, and as many as there are processors.
	Key, KeyAtOnce float64
	Failed         []tool // a cluster of it failed, and was made again
}

// cluster is one cluster of three control planes and a worker, on fresh nodes.
// Commands are in the order of their start; all times are seconds since the
// start of the first.
type cluster struct {
	Tool     tool
	Mode     mode
	Commands []command
	Nodes    map[string]float64 // since when each node was Ready
	Ready    float64            // when all nodes were Ready, and all commands had ended
	Others   float64            // share of the processors that programs outside of the lab used meanwhile, 0 to 1
}

// command is one run of a tool on one node.
type command struct {
	Node       string
	Start, End float64
	CPU        float64 // seconds, user and system, of the tool's own process
	Peak       int64   // bytes of memory, the most that the process had at once
	Mapped     int64   // bytes of Peak that are pages of files, almost all of the program's own
	Spans      []span
	Notes      []note
}

// note is what hactl said meanwhile: what it waited for.
type note struct {
	At          float64 // seconds since the start of the first command
	Phase, Text string
}

// wall is how long the command took, in seconds.
func (c command) wall() float64 { return c.End - c.Start }

// span is one phase of a command.
type span struct {
	Phase      string
	Start, End float64 // seconds since the start of the first command
}

// metered is what the meter on a node has seen of a command.
type metered struct {
	Began, Ended time.Time
	Code         int
	CPU          float64 // seconds
	Peak, Mapped int64   // bytes
	Stdout       []line
	Stderr       string
}

// line is a line of output and when it came.
type line struct {
	At   time.Time
	Text string
}
