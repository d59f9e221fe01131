package app

import (
	"context"
	"errors"
	"path"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases"
)

// filesAreHere wants every file of the machine that the cluster's
// configuration hands to a component: without it the component does not
// start.
func (j *joiner) filesAreHere(ctx context.Context) error {
	cl := &j.settled.Cluster
	var missing []string
	for _, c := range []config.Component{cl.APIServer, cl.ControllerManager, cl.Scheduler} {
		for _, file := range handed(c) {
			if !slices.Contains(missing, file) && !j.any(ctx, []string{file}) {
				missing = append(missing, file)
			}
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return &phases.Fault{
		What:  "missing on this machine: " + strings.Join(missing, ", "),
		Why:   errors.New("the cluster's configuration gives it to the components of every control plane (extraVolumes)"),
		Fixes: []string{"copy it from another control-plane node, with the same mode and owner"},
		Exit:  phases.CodePreflight,
	}
}

// handed are the paths of the machine that a component is given: its volumes,
// if the kubelet does not make them, and what its arguments read in them.
func handed(c config.Component) []string {
	var list []string
	for _, v := range c.ExtraVolumes {
		if v.PathType != corev1.HostPathDirectoryOrCreate && v.PathType != corev1.HostPathFileOrCreate {
			list = append(list, v.HostPath)
		}
	}
	for _, a := range c.ExtraArgs {
		if !readsFile(a.Name) {
			continue
		}
		for _, v := range c.ExtraVolumes {
			if rest, ok := strings.CutPrefix(a.Value, path.Clean(v.MountPath)+"/"); ok {
				list = append(list, path.Join(v.HostPath, rest))
			}
		}
	}
	return list
}

// readsFile says whether a flag names a file that must be there at the start:
// "audit-policy-file" and "encryption-provider-config", not "audit-log-path".
func readsFile(flag string) bool {
	return strings.HasSuffix(flag, "file") || strings.HasSuffix(flag, "config")
}
