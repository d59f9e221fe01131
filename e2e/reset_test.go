//go:build e2e

package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hactl/hactl/e2e/nodes"
)

// resetKeepsEtcd resets a control plane whose etcd is external, on a machine
// that holds the data of an etcd which is not the node's: each byte stays.
func resetKeepsEtcd(t *testing.T, cp *nodes.Node) {
	must(t, cp, "systemd-run", "-q", "--unit=other-etcd", "etcd", "--data-dir=/var/lib/etcd")
	eventually(t, 30*time.Second, "the other etcd works", func() (bool, string) {
		o := run(t, cp, "etcdctl", "put", "precious", "data")
		return o.code == 0, o.stderr
	})
	must(t, cp, "systemctl", "stop", "other-etcd")
	const state = "find /var/lib/etcd -printf '%p %i %m %U %s\\n' | sort; find /var/lib/etcd -type f -print0 | sort -z | xargs -0 sha256sum"
	before := must(t, cp, "sh", "-c", state)
	if !strings.Contains(before, "/var/lib/etcd/member/snap/db") {
		t.Fatalf("there is no data in\n%s", before)
	}
	o := hactl(t, cp, "reset", "--force")
	if o.code != 0 {
		t.Fatalf("exit code %d\n%s%s", o.code, o.stdout, o.stderr)
	}
	t.Logf("the reset took %.1f s\n%s", o.took.Seconds(), o.stdout)
	if diff := cmp.Diff(before, must(t, cp, "sh", "-c", state)); diff != "" {
		t.Errorf("/var/lib/etcd: -before +after\n%s", diff)
	}
	if !strings.Contains(o.stdout, "/var/lib/etcd") {
		t.Errorf("the reset does not say that it leaves /var/lib/etcd alone:\n%s", o.stdout)
	}
	if left := must(t, cp, "sh", "-c", "ls -A /etc/kubernetes/manifests 2>/dev/null; ctr -n k8s.io containers list -q"); left != "" {
		t.Errorf("left on %s: %s", cp.Name(), left)
	}
}
