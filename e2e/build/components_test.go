//go:build linux

package build

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// repository is hactl's own directory, seen from this package's.
const repository = "../.."

func TestPinnedVersions(t *testing.T) {
	b := &builder{module: repository}
	v, err := pinnedVersions(b.components())
	if err != nil {
		t.Fatal(err)
	}
	for what, version := range map[string]string{"Kubernetes": v.Kubernetes, "etcd": v.Etcd, "CoreDNS": v.CoreDNS, "pause": v.Pause} {
		if version == "" {
			t.Errorf("no version of %s", what)
		}
	}
}

func TestComponentKeys(t *testing.T) {
	b := &builder{module: repository, goVer: "go1.26.0", arch: "amd64"}
	newer := &builder{module: repository, goVer: "go1.26.1", arch: "amd64"}
	seen := make(map[string]string)
	for _, c := range b.components() {
		key, err := c.key(b)
		if err != nil {
			t.Fatal(err)
		}
		if other, taken := seen[key]; taken {
			t.Errorf("%s and %s have the same key", c.name, other)
		}
		seen[key] = c.name
		if again, err := c.key(newer); err != nil || again == key {
			t.Errorf("%s: another Go version has the same key (%v)", c.name, err)
		}
	}
}

func TestKubernetesFlags(t *testing.T) {
	want := "-X k8s.io/component-base/version.gitVersion=v1.37.1 -X k8s.io/component-base/version.gitMajor=1 " +
		"-X k8s.io/component-base/version.gitMinor=37 -X k8s.io/client-go/pkg/version.gitVersion=v1.37.1 " +
		"-X k8s.io/client-go/pkg/version.gitMajor=1 -X k8s.io/client-go/pkg/version.gitMinor=37"
	if diff := cmp.Diff(want, kubernetesFlags("v1.37.1")); diff != "" {
		t.Errorf("flags (-want +got):\n%s", diff)
	}
}

func TestArrangeNamesPrograms(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"server", "plain", "multi"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	c := component{
		programs: map[string]string{"example.com/server/v3": "etcd", "example.com/plain": "plain", "./multi": "multi"},
		links:    map[string][]string{"multi": {"kubectl", "kubelet"}},
	}
	if err := c.arrange(dir); err != nil {
		t.Fatal(err)
	}
	got := make(map[string]string)
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		got[e.Name()] = string(data)
	}
	want := map[string]string{"etcd": "server", "plain": "plain", "kubectl": "multi", "kubelet": "multi"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"etcd", "kubectl", "kubelet", "plain"}, c.names()); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
}

func TestReadyKey(t *testing.T) {
	dir := t.TempDir()
	b := &builder{ready: dir}
	if _, ok := b.readyKey([]string{"kubelet"}); ok {
		t.Error("an empty directory is ready")
	}
	file := filepath.Join(dir, "kubelet")
	if err := os.WriteFile(file, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	before, ok := b.readyKey([]string{"kubelet"})
	if !ok {
		t.Error("the binary is there, and not ready")
	}
	if _, ok := b.readyKey([]string{"kubelet", "kubectl"}); ok {
		t.Error("half a component is ready")
	}
	if err := os.Chtimes(file, time.Time{}, time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if after, _ := b.readyKey([]string{"kubelet"}); after == before {
		t.Error("a replaced binary has the same key")
	}
	if _, ok := (&builder{}).readyKey(nil); ok {
		t.Error("ready without a directory of ready binaries")
	}
}

func TestParseLdd(t *testing.T) {
	text := "/usr/sbin/nft:\n\tlinux-vdso.so.1 (0x00007ffc)\n\tlibnftables.so.1 => /lib/x86_64-linux-gnu/libnftables.so.1 (0x00007f)\n" +
		"\t/lib64/ld-linux-x86-64.so.2 (0x00007f)\n/usr/lib/x.so:\n\tlibm.so.6 => /lib/x86_64-linux-gnu/libm.so.6 (0x7f)\n" +
		"\t/lib64/ld-linux-x86-64.so.2 (0x00007f)\n\tstatically linked\n"
	want := []string{"/lib/x86_64-linux-gnu/libm.so.6", "/lib/x86_64-linux-gnu/libnftables.so.1", "/lib64/ld-linux-x86-64.so.2"}
	if diff := cmp.Diff(want, parseLdd(text)); diff != "" {
		t.Errorf("libraries (-want +got):\n%s", diff)
	}
}

func TestParseMirror(t *testing.T) {
	const site = "http://mirror.example/debian"
	tests := map[string]struct{ lines, want, reason string }{
		"Main":     {"Debian bookworm main " + site, site, "what the machine uses"},
		"Others":   {"Other bookworm main http://x\nDebian bookworm-updates main http://y\nDebian bookworm contrib http://z\n", "", "not the release itself"},
		"NoOrigin": {" bookworm main " + site, "", "apt knows the origin after an update only"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if got := parseMirror([]byte(tc.lines), "bookworm"); got != tc.want {
				t.Errorf("got %q, want %q: %s", got, tc.want, tc.reason)
			}
		})
	}
}
