package main

import "strings"

// group is the name under which the report shows a phase: the phase that
// holds it, as far as that one does one thing.
func group(phase string) string {
	for _, holder := range []string{"control-plane-prepare/", "control-plane-join/"} {
		phase = strings.TrimPrefix(phase, holder)
	}
	name, _, _ := strings.Cut(phase, "/")
	return name
}

// grouped joins phases of one group that follow each other.
func grouped(spans []span) (list []span) {
	for _, s := range spans {
		s.Phase = group(s.Phase)
		if n := len(list); n > 0 && list[n-1].Phase == s.Phase {
			list[n-1].End = max(list[n-1].End, s.End)
			continue
		}
		list = append(list, s)
	}
	return list
}

// kinds say what a group of either tool is about, for the colors of the
// timeline. In kubeadm's output "check-etcd" and "etcd" are both of etcd.
var kinds = map[string]string{
	"init": "look", "preflight": "look", "discovery": "look", "reading-config": "look",
	"certs": "files", "kubeconfig": "files", "control-plane": "files", "download-certs": "files",
	"etcd": "etcd", "check-etcd": "etcd", "etcd-join": "etcd",
	"kubelet-start": "kubelet", "kubelet-check": "kubelet", "kubelet-wait-bootstrap": "kubelet", "kubelet-finalize": "kubelet", "patches": "kubelet",
	"wait-control-plane": "wait", "control-plane-check": "wait", "api-check": "wait",
}

// kind is "cluster" for what is left: objects in the cluster.
func kind(group string) string {
	if k, ok := kinds[group]; ok {
		return k
	}
	return "cluster"
}
