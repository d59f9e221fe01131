package health_test

import (
	"strings"
	"testing"

	"github.com/hactl/hactl/phases/health"
)

// A node without a pod network is not gone: its kubelet says what it lacks.
func TestNoPodNetwork(t *testing.T) {
	for name, c := range map[string]struct{ reason, says, want, never string }{
		"NoNetwork": {"the kubelet tells", "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady message:…", "pod network", "node remove"},
		"Silent":    {"nobody tells", "Kubelet stopped posting node status.", "hactl node remove cp-2", "pod network"},
	} {
		t.Run(name, func(t *testing.T) {
			r := &health.Report{Node: "cp-1"}
			r.Nodes.Items = []health.Node{{Name: "cp-2", Reason: c.says}}
			var fixes []string
			for _, f := range health.Judge(r) {
				if strings.HasPrefix(f.What, "cp-2:") {
					fixes = append(fixes, f.Fix...)
				}
			}
			text := strings.Join(fixes, "\n")
			if !strings.Contains(text, c.want) || strings.Contains(text, c.never) {
				t.Errorf("%s: the fix is %q, want %q in it and not %q", c.reason, text, c.want, c.never)
			}
		})
	}
}
