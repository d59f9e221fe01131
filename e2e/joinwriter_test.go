//go:build e2e

package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hactl/hactl/e2e/nodes"
)

// limitGap is how long the cluster may take no writes while control planes
// come, go and die.
const limitGap = 3 * time.Second

// writer writes into the cluster all the time, as any client does through
// the load balancer, and knows the longest time without an answer.
type writer struct {
	t    *testing.T
	n    *nodes.Node
	stop func() string
}

// stopWrites is the file that ends a writer.
const stopWrites = "/run/stop-writes"

// writerScript writes until stopWrites is there. Each write has a connection
// of its own: a broken one is not kept. It prints how many were answered, the
// longest time without one in milliseconds, and when that ended.
const writerScript = `umask 077; cd /run
sed -n 's/.*client-certificate-data: //p' /etc/kubernetes/admin.conf | base64 -d >writer.crt
sed -n 's/.*client-key-data: //p' /etc/kubernetes/admin.conf | base64 -d >writer.key
last=$(date +%s%3N); max=0; n=0; at=-
answered() {
  now=$(date +%s%3N); gap=$((now-last)); last=$now
  if [ $gap -gt $max ]; then max=$gap; at=$(date +%T); fi
}
while [ ! -e ` + stopWrites + ` ]; do
  if curl -sf -m 1 --cacert /etc/kubernetes/pki/ca.crt --cert writer.crt --key writer.key -X PATCH -H 'Content-Type: application/merge-patch+json' \
    -d "{\"data\":{\"n\":\"$n\"}}" https://$1/api/v1/namespaces/default/configmaps/writes >/dev/null; then
    answered; n=$((n+1))
  fi
  sleep 0.05
done
answered
echo "$n $max $at"`

// writes starts a writer on a control plane.
func writes(t *testing.T, n *nodes.Node, endpoint string) *writer {
	t.Helper()
	// The load balancer takes a moment to see that init has ended.
	eventually(t, 10*time.Second, "the load balancer leads to the API", func() (bool, string) {
		o := run(t, n, "env", admin, "kubectl", "create", "configmap", "writes", "--from-literal=n=0")
		return o.code == 0, o.stderr
	})
	must(t, n, "rm", "-f", stopWrites)
	c, err := n.Command(t.Context(), "sh", "-c", writerScript, "sh", endpoint)
	if err != nil {
		t.Fatal(err)
	}
	out := &strings.Builder{}
	c.Stdout = out
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	return &writer{t: t, n: n, stop: func() string {
		must(t, n, "touch", stopWrites)
		if err := c.Wait(); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}}
}

// end stops the writer; it must have worked, and never waited for longer
// than limitGap.
func (w *writer) end() {
	w.t.Helper()
	var n, gap int
	var at string
	text := w.stop()
	if _, err := fmt.Sscan(text, &n, &gap, &at); err != nil {
		w.t.Fatalf("%v in %q", err, text)
	}
	w.t.Logf("%d writes, the longest gap was %d ms and ended at %s", n, gap, at)
	if n < 10 || time.Duration(gap)*time.Millisecond > limitGap {
		w.t.Errorf("%d writes with a gap of %d ms at %s, want at least 10 and no gap over %s", n, gap, at, limitGap)
	}
}
