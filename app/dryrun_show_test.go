package app

import (
	"encoding/base64"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/google/go-cmp/cmp"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases/host"
	"github.com/hactl/hactl/phases/kube"
)

const (
	keyBlock  = "-----BEGIN EC PRIVATE KEY-----\nc2VjcmV0\n-----END EC PRIVATE KEY-----\n"
	brokenKey = "-----BEGIN RSA PRIVATE KEY-----\nc2VjcmV0\n"
)

func TestShownText(t *testing.T) {
	show := shower{secrets: []config.Secret{"", knownToken}}
	encoded := base64.StdEncoding.EncodeToString([]byte(keyBlock))
	cases := map[string]struct{ reason, data, want string }{
		"Plain":     {"what is no secret is shown as it is", "kind: Pod\nspec: {}\n", "kind: Pod\nspec: {}\n"},
		"Key":       {"a key is only named", keyBlock, "[ec private key]\n"},
		"Between":   {"text around a key stays", "a\n" + keyBlock + "b\n", "a\n[ec private key]\nb\n"},
		"Broken":    {"a key without its end hides all", "a\n" + brokenKey, "[redacted]\n"},
		"Field":     {"the key of a kubeconfig", "  user:\n    client-key-data: " + encoded + "\n", "  user:\n    client-key-data: [redacted]\n"},
		"JSON":      {"a kubeconfig in JSON", `{"client-key-data":"` + encoded + `"}`, `{"client-key-data":"[ec private key]"}`},
		"Elsewhere": {"a key that stands where nobody thinks", "data: " + encoded + "\n", "data: [ec private key]\n"},
		"Token":     {"the token of a kubeconfig", "- token: abc.def\n", "- token: [redacted]\n"},
		"Known":     {"a secret of the user's, wherever it stands", "args: [--x=" + knownToken + "]\n", "args: [--x=[redacted]]\n"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, show.text([]byte(c.data))); diff != "" {
				t.Errorf("%s: -want +got\n%s", c.reason, diff)
			}
		})
	}
}

func TestShownChanges(t *testing.T) {
	var show shower
	cases := map[string]struct {
		reason string
		change host.Change
		want   MachineChange
	}{
		"New": {"a new file with all its content",
			host.Change{Kind: host.FileWritten, Path: "/a", Mode: 0o600, New: []byte("x\n")},
			MachineChange{Action: "write", Target: "/a", Mode: "0600", Content: "x\n"}},
		"Differs": {"a unified diff",
			host.Change{Kind: host.FileWritten, Path: "/a", Mode: 0o644, Old: []byte("x\ny\n"), New: []byte("x\nz\n")},
			MachineChange{Action: "write", Target: "/a", Mode: "0644", Diff: "--- /a\n+++ /a\n@@ -1,2 +1,2 @@\n x\n-y\n+z\n"}},
		"Mode": {"only the mode changes",
			host.Change{Kind: host.FileWritten, Path: "/a", Mode: 0o644, Old: []byte("x\n"), New: []byte("x\n")},
			MachineChange{Action: "write", Target: "/a", Mode: "0644"}},
		"Key": {"one key takes the place of another",
			host.Change{Kind: host.FileWritten, Path: "/k", Mode: 0o600, Old: []byte(keyBlock), New: []byte(strings.ReplaceAll(keyBlock, "c2V", "d2V"))},
			MachineChange{Action: "write", Target: "/k", Mode: "0600", Diff: unseen}},
		"Move":    {"from and to", host.Change{Kind: host.PathMoved, From: "/a", Path: "/b"}, MachineChange{Action: "move", Target: "/b", From: "/a"}},
		"Tree":    {"a tree goes", host.Change{Kind: host.TreeRemoved, Path: "/a", Mode: 0o700}, MachineChange{Action: "remove", Target: "/a"}},
		"Owner":   {"IDs, as chown takes them", host.Change{Kind: host.OwnerChanged, Path: "/k", Mode: 0o640, Owner: host.Owner{Group: 106}}, MachineChange{Action: "chown", Target: "/k", Owner: "0:106", Mode: "0640"}},
		"Unmount": {"a mount", host.Change{Kind: host.Unmounted, Path: "/a"}, MachineChange{Action: "unmount", Target: "/a"}},
		"Service": {"a service", host.Change{Kind: host.ServiceChanged, Action: host.StartService, Unit: "kubelet.service"}, MachineChange{Action: "start", Target: "kubelet.service"}},
		"Command": {"a command", host.Change{Kind: host.CommandRun, Argv: []string{"umount", "/a"}}, MachineChange{Action: "run", Target: "umount /a"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, show.machine(c.change)); diff != "" {
				t.Errorf("%s: -want +got\n%s", c.reason, diff)
			}
		})
	}
}

func TestShownObjects(t *testing.T) {
	var show shower
	secret := func(value, label string) *corev1.Secret {
		s := &corev1.Secret{Data: map[string][]byte{"key": []byte(value)}}
		s.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"}
		s.ObjectMeta = metav1.ObjectMeta{Name: "s", Namespace: "ns", UID: "hactl-1", ResourceVersion: "7", Labels: map[string]string{"l": label}}
		return s
	}
	const shown = "apiVersion: v1\ndata:\n  key: '[redacted]'\nkind: Secret\nmetadata:\n  labels:\n    l: a\n  name: s\n  namespace: ns\n"
	cases := map[string]struct {
		reason        string
		change        kube.Change
		content, diff string
	}{
		"New":     {"the names of what a Secret holds, not the values", kube.Change{Verb: kube.Put, Object: secret("x", "a")}, shown, ""},
		"Value":   {"another value", kube.Change{Verb: kube.Put, Object: secret("y", "a"), Old: secret("x", "a")}, "", unseen},
		"Label":   {"another label", kube.Change{Verb: kube.Put, Object: secret("x", "b"), Old: secret("x", "a")}, "", "--- Secret ns/s\n+++ Secret ns/s\n@@ -4,6 +4,6 @@\n kind: Secret\n metadata:\n   labels:\n-    l: a\n+    l: b\n   name: s\n   namespace: ns\n"},
		"Deleted": {"the name is enough", kube.Change{Verb: kube.Delete, Object: secret("x", "a"), Old: secret("x", "a")}, "", ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			want := ObjectChange{Verb: string(c.change.Verb), Kind: "Secret", Namespace: "ns", Name: "s", Content: c.content, Diff: c.diff}
			if diff := cmp.Diff(want, show.object(c.change)); diff != "" {
				t.Errorf("%s: -want +got\n%s", c.reason, diff)
			}
		})
	}
}
