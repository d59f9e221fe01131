//go:build e2e

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hactl/hactl/e2e/nodes"
)

// ports runs the conformance suites of the ports on a node of a cluster,
// against the real service manager, API server and container runtime: what
// the memory forms pass, the real ones pass too.
func ports(t *testing.T, cp *nodes.Node) {
	for name, test := range map[string]string{"host": "TestSystemdConformance", "kube": "TestServerConformance", "cri": "TestContainerd"} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), name+".test")
			build := exec.CommandContext(t.Context(), "go", "test", "-c", "-tags", "e2e", "-o", file, "../phases/"+name)
			build.Env = append(os.Environ(), "CGO_ENABLED=0")
			if out, err := build.CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			remote := "/root/" + name + ".test"
			if err := cp.CopyTo(t.Context(), file, remote, 0o755); err != nil {
				t.Fatal(err)
			}
			o := run(t, cp, "env", admin, "HACTL_E2E_KUBECONFIG=/etc/kubernetes/admin.conf", remote, "-test.run", "^"+test+"$", "-test.v")
			if o.code != 0 || !strings.Contains(o.stdout, "--- PASS: "+test) {
				t.Errorf("exit code %d\n%s%s", o.code, o.stdout, o.stderr)
			}
		})
	}
}
