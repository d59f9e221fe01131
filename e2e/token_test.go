//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hactl/hactl/e2e/nodes"
)

// createdToken is what the tests need of the result of token create.
type createdToken struct {
	Token, Description, JoinCommand, CertificateKey string
	Expires                                         *time.Time
	Usages, Groups                                  []string
}

// tokens makes, lists and deletes bootstrap tokens, and compares with what
// kubeadm sees. It uploads the certificates with a new key, so the commands
// that init printed for control planes are of no use after it.
func tokens(t *testing.T, cp *nodes.Node) {
	t.Run("Create", func(t *testing.T) { createTokens(t, cp) })
	t.Run("List", func(t *testing.T) { listTokens(t, cp) })
	t.Run("Delete", func(t *testing.T) { deleteTokens(t, cp) })
	t.Run("JoinCommand", func(t *testing.T) { joinCommands(t, cp) })
	t.Run("ControlPlane", func(t *testing.T) { controlPlaneCommand(t, cp) })
	t.Run("User", func(t *testing.T) { userKubeconfig(t, cp) })
}

// ok runs hactl and wants exit code 0; it returns standard output, trimmed.
func ok(t *testing.T, cp *nodes.Node, args ...string) string {
	t.Helper()
	o := hactl(t, cp, args...)
	if o.code != 0 {
		t.Fatalf("hactl %s: exit code %d\n%s%s", strings.Join(args, " "), o.code, o.stdout, o.stderr)
	}
	return strings.TrimSpace(o.stdout)
}

// created runs token create and reads its result.
func created(t *testing.T, cp *nodes.Node, args ...string) (r createdToken) {
	t.Helper()
	for line := range strings.Lines(ok(t, cp, append([]string{"token", "create", "-o", "json"}, args...)...)) {
		var l struct {
			Type   string
			Result json.RawMessage
		}
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatal(err)
		}
		if l.Type != "result" {
			continue
		}
		if err := json.Unmarshal(l.Result, &r); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

// id is the part of a token that is no secret.
func id(token string) string {
	id, _, _ := strings.Cut(token, ".")
	return id
}

func createTokens(t *testing.T, cp *nodes.Node) {
	value := ok(t, cp, "token", "create")
	// Made, it works: the API server knows its holder, and nodes can verify
	// the cluster with it.
	// --token beside a certificate is not asked for, so the kubeconfig has none.
	script := fmt.Sprintf("server=$(KUBECONFIG=/etc/kubernetes/admin.conf kubectl config view --minify -o jsonpath='{.clusters[0].cluster.server}') && "+
		"kubectl --kubeconfig /dev/null --server $server --certificate-authority /etc/kubernetes/pki/ca.crt --token %s auth whoami -o jsonpath='{.status.userInfo.username} {.status.userInfo.groups}'", value)
	who := must(t, cp, "sh", "-c", script)
	if !strings.HasPrefix(who, "system:bootstrap:"+id(value)) || !strings.Contains(who, "system:bootstrappers:kubeadm:default-node-token") {
		t.Errorf("the token's holder is %s", who)
	}
	eventually(t, 30*time.Second, "cluster-info is signed with the token", func() (bool, string) {
		data := kubectl(t, cp, "get", "cm", "cluster-info", "-n", "kube-public", "-o", "jsonpath={.data}")
		return strings.Contains(data, "jws-kubeconfig-"+id(value)), data
	})

	forever := created(t, cp, "012345.0123456789abcdef", "--ttl", "0", "--description", "never ends", "--usages", "signing")
	want := createdToken{Token: "012345.0123456789abcdef", Description: "never ends", Usages: []string{"signing"}}
	if diff := cmp.Diff(want, forever); diff != "" {
		t.Errorf("token create: -want +got\n%s", diff)
	}
	if data := kubectl(t, cp, "get", "secret", "bootstrap-token-012345", "-n", "kube-system", "-o", "jsonpath={.data}"); strings.Contains(data, "expiration") {
		t.Errorf("a token for ever ends: %s", data)
	}
	if o := hactl(t, cp, "token", "create", "012345.aaaaaaaaaaaaaaaa"); o.code != 1 || !strings.Contains(o.stderr, `"012345" already`) || strings.Contains(o.stderr, "aaaa") {
		t.Errorf("a second token with the same ID: exit code %d\n%s", o.code, o.stderr)
	}
	before := kubectl(t, cp, "get", "secrets", "-n", "kube-system", "-o", "name")
	ok(t, cp, "token", "create", "--dry-run")
	if diff := cmp.Diff(before, kubectl(t, cp, "get", "secrets", "-n", "kube-system", "-o", "name")); diff != "" {
		t.Errorf("the dry run made a token: -before +after\n%s", diff)
	}
}

// listTokens compares the table with kubeadm's, column by column: kubeadm
// aligns each line by itself, and the time left may pass a full hour between
// the two.
func listTokens(t *testing.T, cp *nodes.Node) {
	rows := func(table string) (rows []string) {
		for line := range strings.Lines(table) {
			f := strings.Fields(line)
			rows = append(rows, strings.Join(append(f[:1], f[2:]...), " "))
		}
		return rows
	}
	want := must(t, cp, "env", admin, "kubeadm", "token", "list")
	if diff := cmp.Diff(rows(want), rows(ok(t, cp, "token", "list"))); diff != "" {
		t.Errorf("token list: -kubeadm +hactl\n%s", diff)
	}
}

func deleteTokens(t *testing.T, cp *nodes.Node) {
	value := ok(t, cp, "token", "create")
	o := hactl(t, cp, "token", "delete", value, "zzzzzz", "012345")
	if want := fmt.Sprintf("bootstrap token %q deleted\nbootstrap token \"012345\" deleted\n", id(value)); o.code != 1 || o.stdout != want || !strings.Contains(o.stderr, "zzzzzz") {
		t.Errorf("exit code %d\n%s%s", o.code, o.stdout, o.stderr)
	}
	if list := ok(t, cp, "token", "list"); strings.Contains(list, id(value)) || strings.Contains(list, "012345") {
		t.Errorf("they are still there:\n%s", list)
	}
}

// joinCommands compares with kubeadm's, apart from the tokens.
func joinCommands(t *testing.T, cp *nodes.Node) {
	hidden := func(command string) string {
		f := strings.Fields(command)
		for i := range f[1:] {
			if f[i] == "--token" {
				f[i+1] = "TOKEN"
			}
		}
		return strings.Join(f[1:], " ")
	}
	want := hidden(must(t, cp, "env", admin, "kubeadm", "token", "create", "--print-join-command"))
	if diff := cmp.Diff(want, hidden(ok(t, cp, "token", "create", "--print-join-command"))); diff != "" {
		t.Errorf("-kubeadm +hactl\n%s", diff)
	}
}

// controlPlaneCommand opens the Secret with the key that the command has.
func controlPlaneCommand(t *testing.T, cp *nodes.Node) {
	r := created(t, cp, "--control-plane")
	if !strings.HasSuffix(r.JoinCommand, " --control-plane --certificate-key "+r.CertificateKey) || !strings.Contains(r.JoinCommand, " --token "+r.Token+" ") {
		t.Errorf("the command is %s", r.JoinCommand)
	}
	sealed := kubectl(t, cp, "get", "secret", "kubeadm-certs", "-n", "kube-system", "-o", `jsonpath={.data.ca\.key}`)
	if got := strings.TrimSpace(open(t, r.CertificateKey, sealed)); got != must(t, cp, "cat", "/etc/kubernetes/pki/ca.key") {
		t.Error("the key opens something else than ca.key")
	}
	// The key that is there is the right one for the next command, too.
	o := hactl(t, cp, "token", "create", "--print-join-command", "--certificate-key-file", writeKey(t, cp, r.CertificateKey))
	if o.code != 0 || o.stderr != "" || !strings.HasSuffix(strings.TrimSpace(o.stdout), r.CertificateKey) {
		t.Errorf("exit code %d\n%s%s", o.code, o.stdout, o.stderr)
	}
}

func userKubeconfig(t *testing.T, cp *nodes.Node) {
	conf := ok(t, cp, "kubeconfig", "user", "--client-name", "jane", "--org", "developers", "--validity-period", "1h")
	if err := cp.WriteFile(t.Context(), "/root/jane.conf", []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	who := must(t, cp, "kubectl", "--kubeconfig", "/root/jane.conf", "auth", "whoami", "-o", "jsonpath={.status.userInfo.username} {.status.userInfo.groups}")
	if who != `jane ["developers","system:authenticated"]` {
		t.Errorf("the user is %s", who)
	}
}
