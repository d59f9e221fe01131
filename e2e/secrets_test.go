//go:build e2e

package e2e

import (
	"encoding/base64"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/tools/clientcmd"

	"github.com/hactl/hactl/e2e/nodes"
)

// watched is a node on which every process's arguments are written down
// while hactl runs.
type watched struct {
	node  *nodes.Node
	dry   string  // what the dry run on the new node has printed
	first outcome // of the run that made the cluster
}

// seenFile is where the arguments go.
const seenFile = "/run/hactl-arguments"

// observer writes down the arguments of all processes while hactl runs, and
// hactl's environment.
const observer = `hactl "$@" & pid=$!
while kill -0 $pid 2>/dev/null; do
	cat /proc/[0-9]*/cmdline /proc/$pid/environ 2>/dev/null | tr '\0' ' '; echo
done >>` + seenFile + `
wait $pid`

// run runs hactl under observation.
func (w *watched) run(t *testing.T, args ...string) outcome {
	t.Helper()
	return run(t, w.node, append([]string{"sh", "-c", observer, "sh"}, args...)...)
}

// secret is one that a run has made.
type secret struct{ what, value string }

// noSecrets looks for every key in everything that anybody may keep.
func noSecrets(t *testing.T, w *watched, flags []string) {
	var made initResult
	result(t, w.first.stdout, &made)
	private := privateKeys(t, w.node)
	// The second run is one for people, under a certificate key of its own.
	// Then dry runs over what is there.
	human := w.run(t, flags...)
	dry, dryJSON := w.run(t, append(flags, "--dry-run")...), w.run(t, append(flags, "--dry-run", "-o", "json")...)
	for _, o := range []outcome{human, dry, dryJSON} {
		if o.code != 0 {
			t.Fatalf("exit code %d\n%s%s", o.code, o.stdout, o.stderr)
		}
	}
	shown := shownSecrets(made)
	key := afterWord(human.stdout, "--certificate-key ")
	if len(key) != 64 {
		t.Fatalf("no certificate key in\n%s", human.stdout)
	}
	known := slices.Concat(private, shown, []secret{{"certificate key of the second run", key}})
	if len(known) < 100 {
		t.Fatalf("only %d secrets are known", len(known))
	}
	lines, results := split(t, w.first.stdout)
	for place, p := range places(t, w, lines, human) {
		if !strings.Contains(p.text, p.has) {
			t.Errorf("%s: the search does not find %q, which is there", place, p.has)
		}
		for _, s := range found(p.text, known) {
			t.Errorf("%s: holds the %s", place, s)
		}
	}
	// The result may show how to join, and the search finds it there.
	if got := found(results, known); len(got) != len(shown) {
		t.Errorf("the result holds %v, want the token and the certificate key", got)
	}
	for what, text := range map[string]string{"the human result": human.stdout, "the dry run": dry.stdout + dry.stderr, "the dry run in JSON": dryJSON.stdout + dryJSON.stderr, "the dry run on a new node": w.dry} {
		for _, s := range found(text, private) {
			t.Errorf("%s holds the %s", what, s)
		}
		// What a dry run makes, nobody knows afterwards.
		for _, mark := range []string{"PRIVATE KEY", base64.StdEncoding.EncodeToString([]byte("-----BEGIN RSA PRIV"))[:24]} {
			if strings.Contains(text, mark) {
				t.Errorf("%s holds a private key: %s", what, mark)
			}
		}
	}
	if got := found(must(t, w.node, "cat", "/etc/kubernetes/pki/ca.key", "/etc/kubernetes/admin.conf"), private); len(got) < 15 {
		t.Errorf("the search finds only %d lines of two keys in their own files", len(got))
	}
}

// split parts the result from the events before it.
func split(t *testing.T, stdout string) (lines, results string) {
	for line := range strings.Lines(stdout) {
		if parseEvent(t, line).Type == "result" {
			results += line
		} else {
			lines += line
		}
	}
	return lines, results
}

// place is where a key must not be, and what certainly is there.
type place struct{ text, has string }

func places(t *testing.T, w *watched, lines string, human outcome) map[string]place {
	eventually(t, time.Minute, "the kubelet has sent its events", func() (bool, string) {
		names := kubectl(t, w.node, "get", "events", "-A", "-o", "name")
		return strings.Contains(names, "event/kube-apiserver-"), names
	})
	return map[string]place{
		"the events":                {lines, "wait-control-plane"},
		"stderr of the JSON run":    {"begin\n" + w.first.stderr, "begin"},
		"stderr of the human run":   {human.stderr, "show-join-command"},
		"the dry run on a new node": {w.dry, "/etc/kubernetes/pki/ca.key"},
		"the arguments":             {must(t, w.node, "cat", seenFile), "hactl init --config " + initFile},
		"the journal":               {must(t, w.node, "journalctl", "--no-pager", "-a", "-o", "verbose"), "kubelet"},
		"/var/log":                  {must(t, w.node, "sh", "-c", "find /var/log -type f ! -name '*.journal' -exec cat {} +"), "etcdserver"},
		"the events of Kubernetes":  {kubectl(t, w.node, "get", "events", "-A", "-o", "json"), "kube-apiserver"},
		"the ConfigMaps":            {kubectl(t, w.node, "get", "configmaps", "-A", "-o", "yaml"), "ClusterConfiguration"},
	}
}

// found are the secrets that stand in a text.
func found(text string, list []secret) []string {
	var out []string
	for _, s := range list {
		if strings.Contains(text, s.value) {
			out = append(out, s.what)
		}
	}
	return out
}

// afterWord is the word that follows.
func afterWord(text, before string) string {
	_, rest, _ := strings.Cut(text, before)
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		return ""
	}
	return fields[0]
}

// shownSecrets are those that the result shows.
func shownSecrets(r initResult) []secret {
	_, part, _ := strings.Cut(r.Join.Token, ".")
	return []secret{{"secret part of the token", part}, {"certificate key", r.CertificateKey}}
}

// privateKeys are the lines of every private key on the node.
func privateKeys(t *testing.T, n *nodes.Node) []secret {
	t.Helper()
	var out []secret
	for file := range strings.FieldsSeq(must(t, n, "sh", "-c", "find /etc/kubernetes/pki -name '*.key'; ls /etc/kubernetes/*.conf; find /var/lib/kubelet/pki -name '*.pem' -o -name '*.key'")) {
		data, err := n.ReadFile(t.Context(), file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(file, ".conf") {
			c, err := clientcmd.Load(data)
			if err != nil {
				t.Fatal(err)
			}
			for _, user := range c.AuthInfos {
				if len(user.ClientKeyData) == 0 {
					continue
				}
				encoded := base64.StdEncoding.EncodeToString(user.ClientKeyData)
				out = append(out, secret{"client-key-data of " + file, encoded[len(encoded)/2 : len(encoded)/2+60]})
				out = append(out, keyLines("key in "+file, string(user.ClientKeyData))...)
			}
			continue
		}
		out = append(out, keyLines(file, string(data))...)
	}
	return out
}

// keyLines are the lines of a key that say what is private: the first ones
// of an RSA key hold the modulus, which certificates show as well.
func keyLines(what, text string) []secret {
	var out []secret
	_, body, ok := strings.Cut(text, "PRIVATE KEY-----\n")
	if !ok {
		return nil
	}
	body, _, _ = strings.Cut(body, "-----END")
	lines := strings.Fields(body)
	if len(lines) > 10 {
		lines = lines[7:]
	}
	for _, line := range lines {
		if len(line) >= 32 {
			out = append(out, secret{what, line})
		}
	}
	return out
}
