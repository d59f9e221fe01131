package cleanup

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hactl/hactl/phases"
)

func TestPreflight(t *testing.T) {
	cases := map[string]struct {
		reason  string
		node    func(*node)
		task    func(*Task)
		asks    bool
		code    phases.Code // zero for no error
		warning bool
		says    []string
	}{
		"Yes": {reason: "what is lost is named", node: func(n *node) { n.stacked() }, asks: true,
			says: []string{"cp-1", "6 pods", "/etc/kubernetes/manifests/etcd.yaml", "/etc/kubernetes/admin.conf",
				"keys of the cluster's CAs", "/var/lib/etcd", "/var/lib/kubelet"}},
		"No":      {reason: "who does not say yes means no", node: func(n *node) { n.stacked().answer = false }, asks: true, code: phases.CodeFailed},
		"Nothing": {reason: "nothing to lose, nothing to ask", node: func(*node) {}},
		"Force":   {reason: "force is a yes", node: func(n *node) { n.stacked() }, task: func(t *Task) { t.Force = true }},
		"NotRoot": {reason: "only root may", node: func(n *node) { n.files("/proc/self/status", "Uid:\t0\t1000\t0\t0\n") }, code: phases.CodePreflight},
		"Ignored": {reason: "the check is ignored by its name", warning: true,
			node: func(n *node) { n.files("/proc/self/status", "Uid:\t1000\t1000\t0\t0\n") },
			task: func(t *Task) { t.Ignore = []string{"isprivilegeduser"} }},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			n := newNode(t)
			c.node(n)
			before := n.snapshot()
			task := n.task(n.host)
			if c.task != nil {
				c.task(task)
			}
			warnings, err := run(t.Context(), task, PreflightPhase())
			var fault *phases.Fault
			if (err != nil) != (c.code != 0) || c.code != 0 && (!errors.As(err, &fault) || fault.Code() != c.code) {
				t.Errorf("%s: want code %d, got %v", c.reason, c.code, err)
			}
			if (len(n.asked) > 0) != c.asks || (len(warnings) > 0) != c.warning {
				t.Errorf("%s: asked %q, warned %q", c.reason, n.asked, warnings)
			}
			for _, word := range c.says {
				if !strings.Contains(n.asked[0], word) {
					t.Errorf("%s: the question does not say %q:\n%s", c.reason, word, n.asked[0])
				}
			}
			if diff := cmp.Diff(before, n.snapshot()); diff != "" {
				t.Errorf("%s: -want +got\n%s", c.reason, diff)
			}
		})
	}
}
