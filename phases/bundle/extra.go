package bundle

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/host"
)

// ExtraFiles lists the files of this node that the settings of the cluster's
// components name beside the certificates, such as an EncryptionConfiguration
// or an audit policy: each control-plane node needs them
// (https://github.com/kubernetes/kubeadm/issues/1562). Paths that do not
// exist, directories and logs are left out.
func ExtraFiles(ctx context.Context, h host.Files, c *config.Cluster) ([]string, error) {
	l := NewLayout(c)
	components := []config.Component{c.APIServer, c.ControllerManager, c.Scheduler}
	if c.Etcd.Local != nil {
		components = append(components, config.Component{ExtraArgs: c.Etcd.Local.ExtraArgs})
	}
	var list []string
	for _, component := range components {
		for _, file := range settings(component) {
			info, err := h.Stat(ctx, file)
			switch {
			case errors.Is(err, fs.ErrNotExist):
				continue
			case err != nil:
				return nil, fmt.Errorf("look at %s: %w", file, err)
			case !info.Mode.IsRegular() || ownOf(l, file) || slices.Contains(list, file):
				continue
			}
			list = append(list, file)
		}
	}
	slices.Sort(list)
	return list, nil
}

// settings are the paths of the node that a component's settings name.
func settings(c config.Component) []string {
	var list []string
	for _, a := range c.ExtraArgs {
		if path.IsAbs(a.Value) && !strings.Contains(a.Name, "log") && !strings.HasSuffix(a.Name, "-dir") {
			list = append(list, onNode(c.ExtraVolumes, path.Clean(a.Value)))
		}
	}
	for _, v := range c.ExtraVolumes {
		if v.ReadOnly {
			list = append(list, path.Clean(v.HostPath))
		}
	}
	return list
}

// onNode turns a path that a component sees into that of the node; the
// deepest mount counts.
func onNode(mounts []config.HostPathMount, file string) string {
	best, depth := file, -1
	for _, m := range mounts {
		at := path.Clean(m.MountPath)
		if rest, ok := strings.CutPrefix(file, at); ok && (rest == "" || rest[0] == '/') && len(at) > depth {
			best, depth = path.Join(m.HostPath, rest), len(at)
		}
	}
	return best
}

// ownOf says whether a file is the node's own, or travels as a certificate
// anyway: everything in the certificates directory that is a certificate or
// key, and the kubeconfig files.
func ownOf(l Layout, file string) bool {
	name := l.Name(file)
	ext := path.Ext(file)
	return l.knows(name) ||
		!strings.HasPrefix(name, outside+"/") && (ext == ".crt" || ext == ".key" || ext == ".pub") ||
		path.Dir(file) == config.KubernetesDir && ext == ".conf"
}

// mayPlace says whether an archive may put a file there: below one of dirs,
// and nowhere where the file would be run or let somebody in.
func mayPlace(l Layout, file string, dirs []string) error {
	in := func(dir string) bool { return strings.HasPrefix(file, path.Clean(dir)+"/") }
	switch {
	case in(config.ManifestsDir):
		return errors.New("the kubelet would run it")
	case !l.knows(outside+file) && ownOf(l, file):
		return errors.New("each node has its own")
	case !slices.ContainsFunc(dirs, in):
		return fmt.Errorf("it is not below %s", strings.Join(dirs, " or "))
	}
	return nil
}

// placing refuses a bundle that holds files for where it may not write.
func placing(l Layout, files Files, dirs []string) error {
	var refused []string
	var missing []string
	for _, name := range files.names() {
		if !strings.HasPrefix(name, outside+"/") {
			continue
		}
		file := l.Path(name)
		if err := mayPlace(l, file, dirs); err != nil {
			refused = append(refused, file+": "+err.Error())
			missing = append(missing, path.Dir(file))
		}
	}
	if len(refused) == 0 {
		return nil
	}
	slices.Sort(missing)
	return &phases.Fault{
		What: "files would be written where they may not be",
		Why:  errors.New(strings.Join(refused, "\n")),
		Fixes: []string{
			"where you know and want the file: --allow-dir " + strings.Join(slices.Compact(missing), " --allow-dir "),
			"or export without them: hactl certs export without --include-extra-files",
		},
		Exit: phases.CodeUnsafe,
	}
}
