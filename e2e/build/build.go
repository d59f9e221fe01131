//go:build linux

package build

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
)

// Options says where parts come from and where they are kept. The zero value
// asks for the defaults.
type Options struct {
	Cache    string    // "" is $HACTL_LAB_CACHE, else hactl-lab in the user's cache directory
	Binaries string    // a directory of ready binaries; "" is $LAB_BINARIES, else none
	Progress io.Writer // nil prints nothing
}

// Artifacts is what nodes start from. Every path is a directory or file in
// the cache: read it, hard-link it, put an overlay on it, but never write it.
type Artifacts struct {
	Root       string // Debian root file system
	NodeLayer  string // what lies over Root on every node: binaries, units, settings
	Containerd string // a /var/lib/containerd with every image imported
	Keeper     string // the program that holds one lab
	Versions   Versions
}

// Versions names the releases that the lab's nodes run, as their image tags
// spell them.
type Versions struct {
	Kubernetes string // such as v1.37.1
	Etcd       string // such as 3.7.0-0
	CoreDNS    string // such as v1.14.6
	Pause      string // such as 3.10.2
}

// EchoImage is the workload for tests, see e2e/tools/echo.
const EchoImage = "hactl.lab/echo:1"

// Ensure returns the lab's parts and makes those that are missing. Several
// processes may call it at once: one builds, the others wait for it.
func Ensure(ctx context.Context, o Options) (*Artifacts, error) {
	b, err := newBuilder(ctx, o)
	if err != nil {
		return nil, err
	}
	b.announce()
	var (
		root    string
		rootErr error
		rootWG  sync.WaitGroup
	)
	// debootstrap waits for the network and the disk, compilers for the
	// processor: side by side they cost little more than the longer one.
	rootWG.Go(func() { root, rootErr = b.root(ctx) })
	bins, err := b.binaries(ctx)
	rootWG.Wait()
	if err := errors.Join(err, rootErr); err != nil {
		return nil, err
	}
	layer, err := b.nodeLayer(ctx, bins)
	if err != nil {
		return nil, err
	}
	template, err := b.template(ctx, root, bins)
	if err != nil {
		return nil, err
	}
	return &Artifacts{
		Root:       filepath.Join(root, "root"),
		NodeLayer:  layer,
		Containerd: template,
		Keeper:     bins.path("keeper"),
		Versions:   b.versions,
	}, nil
}

// builder carries what every build action needs.
type builder struct {
	cache    cache
	log      *reporter
	module   string // directory of hactl's go.mod
	ready    string // directory of ready binaries, or ""
	goVer    string
	arch     string
	versions Versions
}

func newBuilder(ctx context.Context, o Options) (*builder, error) {
	if err := prepareHost(ctx); err != nil {
		return nil, err
	}
	dir, err := cacheDir(o.Cache)
	if err != nil {
		return nil, err
	}
	env, err := goEnv(ctx)
	if err != nil {
		return nil, err
	}
	log := newReporter(o.Progress)
	b := &builder{
		cache:  cache{dir: dir, log: log},
		log:    log,
		module: filepath.Dir(env["GOMOD"]),
		ready:  o.Binaries,
		goVer:  env["GOVERSION"],
		arch:   env["GOARCH"],
	}
	if b.ready == "" {
		b.ready = os.Getenv("LAB_BINARIES")
	}
	if b.versions, err = pinnedVersions(b.components()); err != nil {
		return nil, err
	}
	return b, nil
}

// goEnv asks the go command about the module that the lab is part of.
func goEnv(ctx context.Context) (map[string]string, error) {
	names := []string{"GOMOD", "GOVERSION", "GOARCH"}
	out, err := exec.CommandContext(ctx, "go", append([]string{"env"}, names...)...).Output()
	if err != nil {
		return nil, fmt.Errorf("go env: %w", err)
	}
	lines := strings.Split(strings.TrimRight(string(out), "\n"), "\n")
	if len(lines) != len(names) {
		return nil, fmt.Errorf("go env: %d lines, want %d", len(lines), len(names))
	}
	env := make(map[string]string)
	for i, name := range names {
		env[name] = lines[i]
	}
	sources := filepath.Join(filepath.Dir(env["GOMOD"]), "e2e", "components")
	if info, err := os.Stat(sources); err != nil || !info.IsDir() {
		return nil, errors.New("the lab builds from hactl's sources: run this inside the hactl repository")
	}
	return env, nil
}

func cacheDir(dir string) (string, error) {
	if dir == "" {
		dir = os.Getenv("HACTL_LAB_CACHE")
	}
	if dir == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("no cache directory: %w; set HACTL_LAB_CACHE", err)
		}
		dir = filepath.Join(user, "hactl-lab")
	}
	return filepath.Abs(dir)
}
