//go:build e2e

package e2e

import (
	"strings"
	"testing"

	"github.com/hactl/hactl/e2e/nodes"
)

// kubeadmReads runs kubeadm's own commands on a cluster of hactl's.
func kubeadmReads(t *testing.T, lab *nodes.Lab, cp *nodes.Node) {
	cases := []struct {
		name, reason string
		args         []string
		says         []string
	}{
		{"Token", "it finds the endpoint in cluster-info and the CA", []string{"token", "create", "--print-join-command"}, []string{"kubeadm join cp-1:6443 --token ", "--discovery-token-ca-cert-hash sha256:"}},
		{"TokenList", "it lists the tokens of both tools", []string{"token", "list"}, []string{"authentication,signing", "Proxy for managing TTL for the kubeadm-certs secret"}},
		{"Expiration", "it reads every certificate and kubeconfig", []string{"certs", "check-expiration"}, []string{"admin.conf", "super-admin.conf", "apiserver-etcd-client", "etcd-healthcheck-client", "front-proxy-client", "etcd-ca"}},
		{"UploadCerts", "it replaces the Secret", []string{"init", "phase", "upload-certs", "--upload-certs"}, []string{"Using certificate key:"}},
		{"Plan", "it reads kubeadm-config and the static pods and finds all healthy", []string{"upgrade", "plan", "v1.37.1", "--ignore-preflight-errors=" + lab.IgnoredChecks()}, []string{"Cluster version: 1.37.1", "Target version: v1.37.1"}},
		{"Images", "it reads the same file", []string{"config", "images", "list", "--config", initFile}, []string{"kube-apiserver:v1.37.1"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			o := run(t, cp, append([]string{"env", admin, "kubeadm"}, c.args...)...)
			if o.code != 0 {
				t.Fatalf("%s: exit code %d\n%s%s", c.reason, o.code, o.stdout, o.stderr)
			}
			for _, want := range c.says {
				if !strings.Contains(o.stdout+o.stderr, want) {
					t.Errorf("%s: no %q in\n%s%s", c.reason, want, o.stdout, o.stderr)
				}
			}
			// What kubeadm cannot read, it says in a line of its own.
			for _, bad := range []string{"MISSING", "MISSING!", "!MISSING", "error"} {
				if strings.Contains(o.stdout, bad) {
					t.Errorf("%s: %q in\n%s", c.reason, bad, o.stdout)
				}
			}
			t.Logf("%.1f s\n%s%s", o.took.Seconds(), o.stdout, o.stderr)
		})
	}
	t.Run("HactlAfterKubeadm", func(t *testing.T) {
		// And back: kubeadm's token and Secret are no obstacle.
		for _, args := range [][]string{{"init", "phase", "upload-certs", "--upload-certs", "--config", initFile}, {"init", "--config", initFile}} {
			if o := hactl(t, cp, args...); o.code != 0 {
				t.Errorf("%v: exit code %d\n%s%s", args, o.code, o.stdout, o.stderr)
			}
		}
	})
}
