//go:build linux

package build

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// registry is what kubeadm prefixes image names with. The lab's images are
// only labelled so: they are built here and nothing is ever pulled.
const registry = "registry.k8s.io/"

// inImages are the programs that the images hold, and the one that unpacks
// them.
var inImages = []string{
	"kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "etcd", "etcdctl", "etcdutl",
	"coredns", "pause", "echo", "shield", "containerd",
}

// images lists the images of the lab.
func (b *builder) images() []image {
	kube := func(name string, layers ...string) image {
		return image{name: registry + name + ":" + b.versions.Kubernetes, layers: append([]string{"kubernetes"}, layers...)}
	}
	return []image{
		kube("kube-apiserver"), kube("kube-controller-manager"), kube("kube-scheduler"),
		kube("kube-proxy", "proxy"),
		{name: registry + "etcd:" + b.versions.Etcd, layers: []string{"etcd"}},
		{name: registry + "coredns/coredns:" + b.versions.CoreDNS, layers: []string{"coredns"}, entrypoint: []string{"/coredns"}},
		{name: registry + "pause:" + b.versions.Pause, layers: []string{"pause"}, entrypoint: []string{"/pause"}},
		{name: EchoImage, layers: []string{"echo"}, entrypoint: []string{"/echo"}},
	}
}

// layers lists the images' layers. One layer serves all Kubernetes components.
func (b *builder) layers(ctx context.Context, root string, bins binaries) (map[string]layer, error) {
	tmp := map[string]os.FileMode{"tmp": 0o777 | 0o1000}
	kubernetes := layer{files: make(map[string]string), dirs: tmp}
	for _, name := range []string{"kube-apiserver", "kube-controller-manager", "kube-scheduler"} {
		kubernetes.files["usr/local/bin/"+name] = bins.path(name)
	}
	kubernetes.files["usr/local/lib/hactl-lab/kube-proxy"] = bins.path("kube-proxy")
	proxy, err := proxyLayer(ctx, root)
	if err != nil {
		return nil, err
	}
	proxy.files["usr/local/bin/kube-proxy"] = bins.path("shield")
	etcd := layer{files: make(map[string]string)}
	for _, name := range []string{"etcd", "etcdctl", "etcdutl"} {
		etcd.files["usr/local/bin/"+name] = bins.path(name)
	}
	return map[string]layer{
		"kubernetes": kubernetes,
		"proxy":      proxy,
		"etcd":       etcd,
		"coredns":    {files: map[string]string{"coredns": bins.path("coredns")}},
		"pause":      {files: map[string]string{"pause": bins.path("pause")}},
		"echo":       {files: map[string]string{"echo": bins.path("echo")}},
	}, nil
}

// proxyLayer holds the programs that kube-proxy calls, taken from the nodes'
// root file system with the libraries they need.
func proxyLayer(ctx context.Context, root string) (layer, error) {
	l := layer{files: make(map[string]string), links: make(map[string]string)}
	plugins, err := filepath.Glob(filepath.Join(root, "usr/lib/*/xtables/*.so"))
	if err != nil {
		return l, err
	}
	names := []string{"usr/sbin/xtables-nft-multi", "usr/sbin/nft", "usr/sbin/conntrack"}
	for _, file := range plugins {
		names = append(names, strings.TrimPrefix(file, root+"/"))
	}
	for _, name := range names {
		if err := l.addFrom(root, name); err != nil {
			return l, err
		}
	}
	libraries, err := sharedLibraries(ctx, root, names)
	if err != nil {
		return l, err
	}
	for _, library := range libraries {
		if err := l.addFrom(root, library); err != nil {
			return l, err
		}
	}
	for _, name := range []string{"iptables", "iptables-save", "iptables-restore", "ip6tables", "ip6tables-save", "ip6tables-restore"} {
		l.links["usr/sbin/"+name] = "xtables-nft-multi"
	}
	// Debian merged these into /usr; the loader's path is in every program.
	for _, name := range []string{"lib", "lib64", "sbin", "bin"} {
		if target, err := os.Readlink(filepath.Join(root, name)); err == nil {
			l.links[name] = target
		}
	}
	return l, nil
}

// addFrom adds a file of root under the name it is looked up by, whatever
// symbolic links lead to it.
func (l layer) addFrom(root, name string) error {
	name = strings.TrimPrefix(name, "/")
	for _, merged := range []string{"lib", "lib64", "sbin", "bin"} {
		if rest, ok := strings.CutPrefix(name, merged+"/"); ok {
			target, err := os.Readlink(filepath.Join(root, merged))
			if err != nil {
				break
			}
			name = path.Join(target, rest)
		}
	}
	file := filepath.Join(root, name)
	if target, err := os.Readlink(file); err == nil {
		if path.IsAbs(target) {
			file = filepath.Join(root, target)
		} else {
			file = filepath.Join(filepath.Dir(file), target)
		}
	}
	if _, err := os.Stat(file); err != nil {
		return err
	}
	l.files[name] = file
	return nil
}

// sharedLibraries asks the loader of root what these files of root need.
func sharedLibraries(ctx context.Context, root string, files []string) ([]string, error) {
	argv := []string{"ldd"}
	for _, file := range files {
		argv = append(argv, "/"+file)
	}
	command := exec.CommandContext(ctx, "/usr/bin/ldd")
	command.Args, command.Dir = argv, "/"
	command.SysProcAttr = &syscall.SysProcAttr{Chroot: root}
	out, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("ldd: %w", err)
	}
	return parseLdd(string(out)), nil
}

// parseLdd returns the absolute paths in what ldd prints: one line for each
// library, either "name => path (address)" or "path (address)". With several
// files it prints "path:" before the libraries of each.
func parseLdd(text string) []string {
	var paths []string
	for line := range strings.Lines(text) {
		for _, field := range strings.Fields(line) {
			if path.IsAbs(field) && !strings.HasSuffix(field, ":") {
				paths = append(paths, field)
				break
			}
		}
	}
	slices.Sort(paths)
	return slices.Compact(paths)
}
