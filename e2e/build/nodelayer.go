//go:build linux

package build

import (
	"context"
	"embed"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// nodeFiles is laid over the root file system of every node.
//
//go:embed all:nodefiles
var nodeFiles embed.FS

// installed says where a node has its programs.
var installed = map[string][]string{
	"usr/bin":       {"kubelet", "kubectl", "kubeadm"},
	"usr/local/bin": {"containerd", "containerd-shim-runc-v2", "ctr", "etcd", "etcdctl", "etcdutl"},
	"opt/cni/bin":   {"bridge", "host-local", "loopback", "portmap"},
}

// nodeLayer returns the directory that lies over the root file system.
func (b *builder) nodeLayer(ctx context.Context, bins binaries) (string, error) {
	files, err := digestTree(nodeFiles, "nodefiles")
	if err != nil {
		return "", err
	}
	var names []string
	for _, folder := range sortedKeys(installed) {
		names = append(names, installed[folder]...)
	}
	key := digest(files, bins.key(names...), b.versions.Pause, "1")
	return b.cache.ensure(ctx, "node", key, func(_ context.Context, dir string) error {
		return b.fillNodeLayer(dir, bins)
	})
}

func (b *builder) fillNodeLayer(dir string, bins binaries) error {
	settings, err := fs.Sub(nodeFiles, "nodefiles")
	if err != nil {
		return err
	}
	if err := b.copySettings(settings, dir); err != nil {
		return err
	}
	for folder, names := range installed {
		for _, name := range names {
			if err := linkOrCopy(bins.path(name), filepath.Join(dir, folder, name)); err != nil {
				return err
			}
		}
	}
	// A journal on disk can be read after a node has lost its power.
	if err := os.MkdirAll(filepath.Join(dir, "var/log/journal"), 0o755); err != nil {
		return err
	}
	links := map[string]string{
		"etc/systemd/system/default.target":                        "/usr/lib/systemd/system/multi-user.target",
		"etc/systemd/system/sysinit.target.wants/lab-node.service": "/usr/lib/systemd/system/lab-node.service",
		// kubectl works without a flag once the node has an admin.conf.
		"root/.kube/config": "/etc/kubernetes/admin.conf",
	}
	for name, target := range links {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		if err := os.Symlink(target, file); err != nil {
			return err
		}
	}
	return nil
}

// copySettings writes the embedded files, which have lost their modes.
func (b *builder) copySettings(settings fs.FS, dir string) error {
	return fs.WalkDir(settings, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		file := filepath.Join(dir, name)
		switch name {
		case "root":
			return os.Mkdir(file, 0o700)
		case ".":
			return nil
		}
		if entry.IsDir() {
			return os.Mkdir(file, 0o755)
		}
		data, err := fs.ReadFile(settings, name)
		if err != nil {
			return err
		}
		mode := os.FileMode(0o644)
		if path.Dir(name) == "usr/lib/hactl-lab" {
			mode = 0o755
		}
		return os.WriteFile(file, []byte(strings.ReplaceAll(string(data), "pause:PAUSE", "pause:"+b.versions.Pause)), mode)
	})
}

// linkOrCopy gives an unchanging file a second name, or a copy if the two are
// on different file systems.
func linkOrCopy(from, to string) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	source, err := filepath.EvalSymlinks(from)
	if err != nil {
		return err
	}
	if err := os.Link(source, to); err == nil {
		return nil
	}
	data, err := os.ReadFile(source)
	if err != nil {
		return err
	}
	return os.WriteFile(to, data, 0o755)
}
