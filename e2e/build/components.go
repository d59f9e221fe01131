//go:build linux

package build

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
)

// component is a set of programs built from one Go module.
type component struct {
	name     string
	dir      string            // where the module's go.mod is, below hactl's own
	pin      string            // the module whose version this is; "" for our own tools
	programs map[string]string // package → file name
	links    map[string][]string
	tags     string
	ldflags  func(version string) string
	packages int // compiled by a cold build, roughly: for the progress lines
}

// kubernetesNames are what the binary built from components/kubernetes/kube
// can be called by.
var kubernetesNames = []string{
	"kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "kubelet", "kubectl",
}

func (b *builder) components() []component {
	dir := func(name string) string { return filepath.Join(b.module, "e2e", "components", name) }
	const plugins = "github.com/containernetworking/plugins/plugins/"
	const containerd = "github.com/containerd/containerd/v2/"
	return []component{{
		name: "containerd", dir: dir("containerd"), pin: "github.com/containerd/containerd/v2", packages: 850,
		tags: "no_btrfs,no_devmapper,no_zfs",
		programs: map[string]string{
			containerd + "cmd/containerd":              "containerd",
			containerd + "cmd/containerd-shim-runc-v2": "containerd-shim-runc-v2",
			containerd + "cmd/ctr":                     "ctr",
		},
		ldflags: func(version string) string {
			return "-X " + containerd + "version.Version=" + version
		},
	}, {
		name: "cni", dir: dir("cni"), pin: "github.com/containernetworking/plugins", packages: 100,
		programs: map[string]string{
			plugins + "ipam/host-local": "host-local",
			plugins + "main/bridge":     "bridge",
			plugins + "main/loopback":   "loopback",
			plugins + "meta/portmap":    "portmap",
		},
		ldflags: func(version string) string {
			return "-X " + plugins[:len(plugins)-len("plugins/")] + "pkg/utils/buildversion.BuildVersion=" + version
		},
	}, {
		name: "etcd", dir: dir("etcd"), pin: "go.etcd.io/etcd/server/v3", packages: 350,
		programs: map[string]string{
			"go.etcd.io/etcd/server/v3":  "etcd",
			"go.etcd.io/etcd/etcdctl/v3": "etcdctl",
			"go.etcd.io/etcd/etcdutl/v3": "etcdutl",
		},
	}, {
		name: "coredns", dir: dir("coredns"), pin: "github.com/coredns/coredns", packages: 1200,
		programs: map[string]string{"github.com/coredns/coredns": "coredns"},
	}, {
		name: "kubernetes", dir: dir("kubernetes"), pin: "k8s.io/kubernetes", packages: 1900,
		programs: map[string]string{"./kube": "kube", "k8s.io/kubernetes/cmd/kubeadm": "kubeadm"},
		links:    map[string][]string{"kube": kubernetesNames},
		ldflags:  kubernetesFlags,
	}, {
		name: "tools", dir: b.module, packages: 10,
		programs: map[string]string{
			"./e2e/tools/echo": "echo", "./e2e/tools/pause": "pause", "./e2e/tools/shield": "shield",
		},
	}, {
		// Apart from the others, which are in images: those are larger to renew.
		name: "keeper", dir: b.module, packages: 10,
		programs: map[string]string{"./e2e/tools/keeper": "keeper"},
	}}
}

// kubernetesFlags makes the components report their real version: without it
// they call themselves v0.0.0 and the version checks between them fail.
func kubernetesFlags(version string) string {
	parts := strings.Split(strings.TrimPrefix(version, "v"), ".")
	var flags []string
	for _, pkg := range []string{"k8s.io/component-base/version", "k8s.io/client-go/pkg/version"} {
		flags = append(flags,
			"-X "+pkg+".gitVersion="+version, "-X "+pkg+".gitMajor="+parts[0], "-X "+pkg+".gitMinor="+parts[1])
	}
	return strings.Join(flags, " ")
}

// names lists the files that the component's directory ends up with, without
// those that only links point to.
func (c component) names() []string {
	var names []string
	for _, name := range c.programs {
		if links := c.links[name]; links != nil {
			names = append(names, links...)
		} else {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// version is the release that the component's go.mod pins.
func (c component) version() (string, error) {
	file := filepath.Join(c.dir, "go.mod")
	data, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(data)) {
		fields := strings.Fields(strings.TrimPrefix(strings.TrimSpace(line), "require "))
		if len(fields) >= 2 && fields[0] == c.pin && strings.HasPrefix(fields[1], "v") {
			return fields[1], nil
		}
	}
	return "", fmt.Errorf("%s does not require %s", file, c.pin)
}

func pinnedVersions(components []component) (Versions, error) {
	// The tag that kubeadm v1.37 wants, see cmd/kubeadm/app/constants.
	v := Versions{Pause: "3.10.2"}
	for _, c := range components {
		if c.pin == "" {
			continue
		}
		version, err := c.version()
		if err != nil {
			return v, err
		}
		switch c.name {
		case "kubernetes":
			v.Kubernetes = version
		case "coredns":
			v.CoreDNS = version
		case "etcd":
			v.Etcd = strings.TrimPrefix(version, "v") + "-0"
		}
	}
	return v, nil
}

// key names everything that the component's binaries depend on.
func (c component) key(b *builder) (string, error) {
	roots := []string{"."}
	if c.pin == "" {
		roots = sortedKeys(c.programs)
		for i := range roots {
			roots[i] = filepath.Clean(roots[i])
		}
	}
	sources, err := digestTree(os.DirFS(c.dir), roots...)
	if err != nil {
		return "", err
	}
	argv, err := c.command("")
	if err != nil {
		return "", err
	}
	return digest(append(argv, b.goVer, b.arch, sources)...), nil
}

// command is the go command that builds the component into dir.
func (c component) command(dir string) ([]string, error) {
	flags := "-s -w"
	if c.ldflags != nil {
		version, err := c.version()
		if err != nil {
			return nil, err
		}
		flags += " " + c.ldflags(version)
	}
	argv := []string{"go", "build", "-v", "-trimpath", "-buildvcs=false", "-ldflags", flags}
	if c.tags != "" {
		argv = append(argv, "-tags", c.tags)
	}
	argv = append(argv, "-o", dir+string(filepath.Separator))
	return append(argv, sortedKeys(c.programs)...), nil
}

// compile fills dir with the component's programs and links.
func (c component) compile(ctx context.Context, log *reporter, dir string) error {
	argv, err := c.command(dir)
	if err != nil {
		return err
	}
	command := exec.CommandContext(ctx, argv[0], argv[1:]...)
	command.Dir = c.dir
	command.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	stderr, err := command.StderrPipe()
	if err != nil {
		return err
	}
	var compiled atomic.Int64
	done := log.during("build "+c.name, func() string {
		if n := compiled.Load(); n > 0 {
			return fmt.Sprintf("%d of about %d packages compiled", n, c.packages)
		}
		return "compiled before, linking"
	})
	defer done()
	if err := command.Start(); err != nil {
		return err
	}
	var said strings.Builder
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		compiled.Add(1)
		fmt.Fprintln(&said, lines.Text())
	}
	if err := command.Wait(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, lastLines(said.String(), 20))
	}
	return c.arrange(dir)
}

// arrange gives the programs their names: go build names a file by its
// package, whatever the program is called.
func (c component) arrange(dir string) error {
	for pkg, name := range c.programs {
		built := filepath.Base(pkg)
		if built == "v3" {
			built = filepath.Base(filepath.Dir(pkg))
		}
		if built == name {
			continue
		}
		if err := os.Rename(filepath.Join(dir, built), filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	for target, names := range c.links {
		for _, name := range names {
			if err := os.Link(filepath.Join(dir, target), filepath.Join(dir, name)); err != nil {
				return err
			}
		}
		if err := os.Remove(filepath.Join(dir, target)); err != nil {
			return err
		}
	}
	return nil
}

// binaries is where each program was found or built.
type binaries map[string]binary

type binary struct {
	path string
	key  string // changes when the program does
}

func (b binaries) path(name string) string { return b[name].path }

// key changes when any of the named programs does.
func (b binaries) key(names ...string) string {
	var parts []string
	for _, name := range names {
		parts = append(parts, name, b[name].key)
	}
	return digest(parts...)
}

// binaries builds what is neither ready nor in the cache.
func (b *builder) binaries(ctx context.Context) (binaries, error) {
	all := make(binaries)
	for _, c := range b.components() {
		dir, key, err := b.programs(ctx, c)
		if err != nil {
			return nil, err
		}
		for _, name := range c.names() {
			all[name] = binary{path: filepath.Join(dir, name), key: key}
		}
	}
	return all, nil
}

// programs returns the directory of one component's programs.
func (b *builder) programs(ctx context.Context, c component) (dir, key string, err error) {
	if key, ok := b.readyKey(c.names()); ok {
		return b.ready, key, nil
	}
	if key, err = c.key(b); err != nil {
		return "", "", err
	}
	dir, err = b.cache.ensure(ctx, c.name, key, func(ctx context.Context, dir string) error {
		return c.compile(ctx, b.log, dir)
	})
	return dir, key, err
}

// readyKey reports whether the directory of ready binaries holds all of
// names, and names the state they are in.
func (b *builder) readyKey(names []string) (key string, ok bool) {
	if b.ready == "" {
		return "", false
	}
	parts := []string{b.ready}
	for _, name := range names {
		info, err := os.Stat(filepath.Join(b.ready, name))
		if err != nil {
			return "", false
		}
		parts = append(parts, name, fmt.Sprint(info.Size(), info.ModTime().UnixNano()))
	}
	return digest(parts...), true
}
