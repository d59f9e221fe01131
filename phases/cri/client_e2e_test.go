//go:build e2e

package cri_test

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/hactl/hactl/phases/cri"
	"github.com/hactl/hactl/phases/cri/critest"
)

// TestContainerd runs the suite against the real runtime of a lab node whose
// cluster has CoreDNS on this node. KUBECONFIG is an administrator's.
func TestContainerd(t *testing.T) {
	client := cri.Dial(cri.DefaultSocket)
	defer client.Close()
	list, err := client.Containers(t.Context(), cri.Filter{Namespace: "kube-system", Name: "coredns"})
	if err != nil || len(list) == 0 {
		t.Fatalf("CoreDNS on this node: %v, %v", list, err)
	}
	dns := list[0]
	log := strings.Split(kubectl(t, "logs", "-n", dns.Namespace, dns.Pod), "\n")
	node := kubectl(t, "get", "pod", "-n", dns.Namespace, dns.Pod, "-o", "jsonpath={.spec.nodeName}")
	var made atomic.Int32
	critest.Run(t, func(*testing.T) critest.Fixture {
		return critest.Fixture{
			Runtime: client, Image: "registry.k8s.io/pause:3.10.2", NoImage: "hactl.lab/none:1",
			Running: cri.Container{ID: dns.ID, Namespace: dns.Namespace, Pod: dns.Pod, Name: dns.Name, State: cri.Running},
			Log:     log,
			Change: func(t *testing.T) {
				spec, err := json.Marshal(map[string]any{"spec": map[string]any{
					"nodeName": node, "tolerations": []map[string]string{{"operator": "Exists"}},
				}})
				if err != nil {
					t.Fatal(err)
				}
				kubectl(t, "run", fmt.Sprint("change-", made.Add(1)), "--image=hactl.lab/echo:1", "--overrides="+string(spec))
			},
		}
	})
	for n := range made.Load() {
		kubectl(t, "delete", "pod", fmt.Sprint("change-", n+1), "--now", "--wait=false")
	}
}

func kubectl(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command("kubectl", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("kubectl %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}
