//go:build e2e

package kubeadm

import (
	"bytes"
	"context"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hactl/hactl/config"
)

// TestInterop compares hactl with the kubeadm v1.37 binary that
// HACTL_KUBEADM names: what kubeadm accepts is accepted, and what the two
// work with, defaults and all, is byte for byte the same. "kubeadm config
// migrate" writes it out.
func TestInterop(t *testing.T) {
	kubeadm := os.Getenv("HACTL_KUBEADM")
	if kubeadm == "" {
		t.Fatal("HACTL_KUBEADM does not name a kubeadm v1.37")
	}
	files, err := filepath.Glob("testdata/interop/*.yaml")
	if err != nil || len(files) < 40 {
		t.Fatalf("found %d files, want at least 40 (%v)", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			c := exec.CommandContext(ctx, kubeadm, "config", "migrate", "--allow-experimental-api", "--old-config", file)
			var stderr bytes.Buffer
			c.Stderr = &stderr
			theirs, err := c.Output()
			if err != nil {
				t.Fatalf("kubeadm: %v\n%s", err, stderr.String())
			}
			if diff := cmp.Diff(string(theirs), string(resolved(t, file))); diff != "" {
				t.Errorf("kubeadm's text and hactl's (-want +got):\n%s", diff)
			}
		})
	}
}

// TestInteropComponents compares the component configurations of a cluster
// that is all defaults.
func TestInteropComponents(t *testing.T) {
	kubeadm := os.Getenv("HACTL_KUBEADM")
	if kubeadm == "" {
		t.Fatal("HACTL_KUBEADM does not name a kubeadm v1.37")
	}
	theirs, err := exec.CommandContext(t.Context(), kubeadm, "config", "print", "init-defaults",
		"--component-configs", KindKubelet+","+KindKubeProxy).Output()
	if err != nil {
		t.Fatal(err)
	}
	c := config.NewInit()
	c.Default()
	c.Resolve(config.Facts{Address: netip.MustParseAddr("1.2.3.4")})
	encoders := map[string]func(*config.Cluster) ([]byte, error){KindKubelet: EncodeKubelet, KindKubeProxy: EncodeKubeProxy}
	for kind, encode := range encoders {
		ours, err := encode(&c.Cluster)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(theirs, ours) {
			t.Errorf("%s is not, byte for byte, in what kubeadm prints (-want +got):\n%s", kind,
				cmp.Diff(objects(t, theirs)[kind], objects(t, ours)[kind]))
		}
	}
}

// TestInteropMigrate feeds kubeadm with what Migrate makes of old files, and
// with every file that hactl writes.
func TestInteropMigrate(t *testing.T) {
	for _, file := range append(glob(t, "testdata/migrate/*.yaml"), glob(t, "testdata/interop/*.yaml")...) {
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			out, _, err := Migrate(file, data)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Contains(out, []byte("PodDisruptionBudget")) { // kubeadm refuses other groups
				accepts(t, withAddress(out), true)
			}
		})
	}
}

// withAddress spares kubeadm the look at this machine's network.
func withAddress(data []byte) []byte {
	if bytes.Contains(data, []byte("localAPIEndpoint")) || !bytes.Contains(data, []byte(KindCluster)) {
		return data
	}
	if bytes.Contains(data, []byte(KindInit)) {
		return bytes.Replace(data, []byte("kind: "+KindInit), []byte("kind: "+KindInit+"\nlocalAPIEndpoint: {advertiseAddress: 192.168.7.10}"), 1)
	}
	return append(data, separator+"apiVersion: kubeadm.k8s.io/v1beta4\nkind: InitConfiguration\nlocalAPIEndpoint: {advertiseAddress: 192.168.7.10}\n"...)
}
