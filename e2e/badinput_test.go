//go:build e2e

package e2e

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hactl/hactl/e2e/nodes"
)

// badInput gives init what it must refuse: each with the documented exit
// code and a message that names the thing, and nothing changed.
func badInput(t *testing.T, lab *nodes.Lab, cp *nodes.Node) {
	endpoint := "--control-plane-endpoint=" + lab.Endpoint()
	cases := []struct {
		name, reason string
		setup, undo  string // shell
		args         []string
		asUser       bool
		code         int
		says         []string
	}{
		{name: "NotRoot", reason: "only root may change the machine", asUser: true, code: 3, says: []string{"IsPrivilegedUser", "root"}},
		{name: "NoRuntime", reason: "containerd is stopped", setup: "systemctl stop containerd", undo: "systemctl start containerd", code: 3, says: []string{"CRI", "containerd.sock"}},
		{name: "NoKubelet", reason: "the kubelet is not installed", setup: "mv /usr/bin/kubelet /usr/bin/kubelet.away", undo: "mv /usr/bin/kubelet.away /usr/bin/kubelet", code: 3, says: []string{"kubelet", "install"}},
		{name: "OldKubelet", reason: "the kubelet is too old for the control plane", code: 3, says: []string{"KubeletVersion", "v1.30.0"},
			setup: "mv /usr/bin/kubelet /usr/bin/kubelet.away; printf '#!/bin/sh\\necho Kubernetes v1.30.0\\n' > /usr/bin/kubelet; chmod 755 /usr/bin/kubelet", undo: "mv /usr/bin/kubelet.away /usr/bin/kubelet"},
		{name: "PortTaken", reason: "something listens at 6443", setup: "systemd-run -q --unit=taken socat TCP-LISTEN:6443,fork,reuseaddr -; for i in $(seq 50); do ss -ltn | grep -q :6443 && break; sleep 0.1; done", undo: "systemctl stop taken", code: 3, says: []string{"Port-6443", "6443"}},
		{name: "EndpointNotParsed", reason: "not a host", args: []string{"--control-plane-endpoint=lb:port:1"}, code: 2, says: []string{"--control-plane-endpoint"}},
		{name: "EndpointUnknown", reason: "the name does not resolve", args: []string{"--control-plane-endpoint=no-such-host.invalid:6443"}, code: 3, says: []string{"no-such-host.invalid"}},
		{name: "ForeignAddress", reason: "the machine does not have the address", args: []string{"--apiserver-advertise-address=192.0.2.1"}, code: 3, says: []string{"192.0.2.1"}},
		{name: "BadCIDR", reason: "not a range", args: []string{"--pod-network-cidr=10.244.0.0/33"}, code: 2, says: []string{"--pod-network-cidr", "10.244.0.0/33"}},
		{name: "BadToken", reason: "not the shape of a token", args: []string{"--token=abc"}, code: 2, says: []string{"--token"}},
		{name: "BadKey", reason: "not 64 hexadecimal digits", args: []string{"--certificate-key=1234"}, code: 2, says: []string{"--certificate-key"}},
		{name: "ForeignCA", reason: "a CA file that is none", setup: "mkdir -p /etc/kubernetes/pki; echo no > /etc/kubernetes/pki/ca.crt; echo no > /etc/kubernetes/pki/ca.key", undo: "rm -r /etc/kubernetes/pki", code: 3, says: []string{"/etc/kubernetes/pki/ca.crt"}},
		{name: "HalfPair", reason: "a certificate without its key", setup: "mkdir -p /etc/kubernetes/pki; openssl req -x509 -newkey rsa:2048 -nodes -keyout /dev/null -out /etc/kubernetes/pki/apiserver.crt -subj /CN=other 2>/dev/null", undo: "rm -r /etc/kubernetes/pki", code: 3, says: []string{"/etc/kubernetes/pki/apiserver"}},
		{name: "Several", reason: "all preflight failures come in one report", setup: "systemctl stop containerd; mkdir -p /var/lib/etcd/member", undo: "systemctl start containerd; rm -r /var/lib/etcd/member", args: []string{"--apiserver-advertise-address=192.0.2.1"}, code: 3, says: []string{"CRI", "DirAvailable--var-lib-etcd", "192.0.2.1"}},
		{name: "UnknownPhase", reason: "a phase that does not exist", args: []string{"--skip-phases=addon/kube-prox"}, code: 2, says: []string{"addon/kube-prox"}},
		{name: "UnknownFlag", reason: "a flag that does not exist", args: []string{"--control-plane-endpiont=x"}, code: 2, says: []string{"control-plane-endpiont"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if c.setup != "" {
				must(t, cp, "sh", "-c", c.setup)
				defer must(t, cp, "sh", "-c", c.undo)
			}
			args := append([]string{"init"}, c.args...)
			if len(c.args) == 0 || !strings.Contains(c.args[0], "endpoint") {
				args = append(args, endpoint)
			}
			before := machineState(t, cp)
			var o outcome
			if c.asUser {
				o = run(t, cp, append([]string{"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "hactl"}, args...)...)
			} else {
				o = hactl(t, cp, args...)
			}
			if o.code != c.code {
				t.Errorf("%s: exit code %d, want %d", c.reason, o.code, c.code)
			}
			for _, want := range append(c.says, "fix") {
				if !strings.Contains(o.stderr, want) {
					t.Errorf("%s: the error does not name %q:\n%s", c.reason, want, o.stderr)
				}
			}
			t.Logf("\n%s", o.stderr)
			if diff := cmp.Diff(before, machineState(t, cp)); diff != "" {
				t.Errorf("%s: the machine was changed: -before +after\n%s", c.reason, diff)
			}
		})
	}
}
