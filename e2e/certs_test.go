//go:build e2e

package e2e

import (
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hactl/hactl/e2e/nodes"
)

const (
	pkiDir = "/etc/kubernetes/pki"
	// handed is where files lie that a person brought.
	handed = "/root/certs"
)

// sharedNames are the files of the guide to copying certificates by hand, for
// stacked etcd.
var sharedNames = []string{"ca.crt", "ca.key", "sa.key", "sa.pub", "front-proxy-ca.crt", "front-proxy-ca.key", "etcd/ca.crt", "etcd/ca.key"}

// TestCertsByHand brings the certificates to three control planes in three
// ways, and lets each join without a certificate key. The subtests run in
// order.
func TestCertsByHand(t *testing.T) {
	lab := start(t, nodes.Options{Name: "certs", ControlPlanes: 4, LoadBalancers: 1})
	cp := lab.Node("cp-1")
	r := initialized(t, lab)
	p := openPage(t, lab, "certificates.md")
	p.know(r)
	before := fileState(t, cp)
	for _, sub := range []struct {
		name string
		run  func(t *testing.T, p *page, to *nodes.Node, r initResult)
		to   string
	}{
		{"Archive", byArchive, "cp-2"},
		{"Directory", byDirectory, "cp-3"},
		{"EverythingIsRefused", everything, "cp-4"},
		{"Copy", byCopy, "cp-4"},
	} {
		if !t.Run(sub.name, func(t *testing.T) { sub.run(t, p, lab.Node(sub.to), r) }) {
			return
		}
	}
	network(t, lab)
	healthyMembers(t, cp, "cp-1", "cp-2", "cp-3", "cp-4")
	if diff := cmp.Diff(sharedOn(t, cp), sharedOn(t, lab.Node("cp-4"))); diff != "" {
		t.Errorf("the certificates differ: -cp-1 +cp-4\n%s", diff)
	}
	after := fileState(t, cp)
	for name := range before {
		if strings.HasPrefix(name, pkiDir) && before[name] != after[name] {
			t.Errorf("%s has changed on cp-1", name)
		}
	}
}

// withoutKey is the command for control planes without a certificate key.
func withoutKey(t *testing.T, r initResult) []string {
	t.Helper()
	words := strings.Fields(r.Join.ControlPlaneCommand)
	i := slices.Index(words, "--certificate-key")
	if i < 0 {
		t.Fatal("the command for control planes has no certificate key")
	}
	return slices.Delete(words, i, i+2)
}

// joinsWithoutKey wants the node to join with what it has.
func joinsWithoutKey(t *testing.T, n *nodes.Node, r initResult) {
	t.Helper()
	o := run(t, n, withoutKey(t, r)...)
	if o.code != 0 {
		t.Fatalf("join of %s: exit code %d after %.1f s\n%s%s", n.Name(), o.code, o.took.Seconds(), o.stdout, o.stderr)
	}
	t.Logf("%s joined in %.1f s", n.Name(), o.took.Seconds())
	hasShared(t, n)
}

// hasShared wants all shared files on a node, and private keys to be private.
func hasShared(t *testing.T, n *nodes.Node) {
	t.Helper()
	for name, content := range sharedOn(t, n) {
		if content == "" {
			t.Errorf("%s has no %s", n.Name(), name)
		}
	}
	if modes := must(t, n, "find", pkiDir, "-name", "*.key", "-perm", "/077"); modes != "" {
		t.Errorf("others can read private keys on %s:\n%s", n.Name(), modes)
	}
}

// sharedOn is the content of the shared files on a node.
func sharedOn(t *testing.T, n *nodes.Node) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, name := range sharedNames {
		data, err := n.ReadFile(t.Context(), path.Join(pkiDir, name))
		if err != nil {
			t.Fatal(err)
		}
		found[name] = string(data)
	}
	return found
}

// carry brings a file to another node and another place, over the process of
// the test.
func carry(t *testing.T, from *nodes.Node, file string, to *nodes.Node, target string) {
	t.Helper()
	data, err := from.ReadFile(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	must(t, to, "mkdir", "-p", path.Dir(target))
	if err := to.WriteFile(t.Context(), target, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// carryAll brings all files below a directory.
func carryAll(t *testing.T, from *nodes.Node, dir string, to *nodes.Node, target string) {
	t.Helper()
	for file := range strings.FieldsSeq(must(t, from, "find", dir, "-type", "f")) {
		carry(t, from, file, to, path.Join(target, strings.TrimPrefix(file, dir)))
	}
}

// byArchive follows the page, after what must not work.
func byArchive(t *testing.T, p *page, to *nodes.Node, r initResult) {
	const archive, passphrase = "/root/refused.age", "/root/passphrase"
	cp := p.lab.Node("cp-1")
	for _, n := range []*nodes.Node{cp, to} {
		if err := n.WriteFile(t.Context(), passphrase, []byte(typed+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ok(t, cp, "certs", "export", "--file", archive, "--passphrase-file", passphrase)
	carry(t, cp, archive, to, archive)
	if text := must(t, to, "head", "-c", "21", archive); text != "age-encryption.org/v1" {
		t.Errorf("the archive begins with %q", text)
	}
	if o := hactl(t, to, "certs", "import", archive, "--passphrase-file", passphrase, "--ca-cert-hash", "sha256:"+strings.Repeat("0", 64)); o.code != 5 {
		t.Errorf("the archive of another cluster: exit code %d\n%s", o.code, o.stderr)
	}
	ok(t, to, "certs", "import", archive, "--passphrase-file", passphrase, "--dry-run")
	if o := run(t, to, "test", "-e", pkiDir+"/ca.key"); o.code == 0 {
		t.Error("a dry run has installed the key of the CA")
	}
	p.section(t, "2. As an archive")
	if text := ok(t, to, "certs", "import", archive, "--passphrase-file", passphrase); strings.Contains(text, "installed") {
		t.Errorf("the second import has done something:\n%s", text)
	}
	hasShared(t, to)
}

func byDirectory(t *testing.T, p *page, to *nodes.Node, r initResult) {
	cp := p.lab.Node("cp-1")
	ok(t, cp, "certs", "export", "--directory", handed)
	carryAll(t, cp, handed, to, handed)
	ok(t, to, "certs", "import", handed)
	joinsWithoutKey(t, to, r)
}

// everything copies all of the first control plane's certificates by mistake:
// into a directory to import, and into their place.
func everything(t *testing.T, p *page, to *nodes.Node, r initResult) {
	cp := p.lab.Node("cp-1")
	carryAll(t, cp, pkiDir, to, handed)
	o := hactl(t, to, "certs", "import", handed)
	if o.code != 5 {
		t.Errorf("import of everything: exit code %d\n%s%s", o.code, o.stdout, o.stderr)
	}
	list := []string{"apiserver.crt", "apiserver.key", "apiserver-kubelet-client.crt", "front-proxy-client.crt", "etcd/server.crt", "etcd/peer.key", to.Address().String()}
	for _, want := range list {
		if !strings.Contains(o.stderr, want) {
			t.Errorf("the refusal does not name %s:\n%s", want, o.stderr)
		}
	}
	if o := run(t, to, "test", "-e", pkiDir+"/ca.key"); o.code == 0 {
		t.Error("what was refused is installed")
	}

	carryAll(t, cp, pkiDir, to, pkiDir)
	o = run(t, to, withoutKey(t, r)...)
	if o.code == 0 || !strings.Contains(o.stderr, "apiserver.crt") || !strings.Contains(o.stderr, to.Address().String()) {
		t.Errorf("join with another node's certificates: exit code %d\n%s%s", o.code, o.stdout, o.stderr)
	}
	must(t, to, "chmod", "644", pkiDir+"/ca.key")
	p.section(t, "What verify says")
	// The fixes that it prints are some.
	for line := range strings.Lines(hactl(t, to, "certs", "verify").stdout) {
		if fix := strings.TrimSpace(line); strings.HasPrefix(fix, "rm ") || strings.HasPrefix(fix, "chmod ") {
			must(t, to, "sh", "-c", fix)
		}
	}
	ok(t, to, "certs", "verify")
	must(t, to, "rm", "-rf", pkiDir, handed)
}

// byCopy is the guide's recipe, copy into one folder, then move; and then the
// page's.
func byCopy(t *testing.T, p *page, to *nodes.Node, _ initResult) {
	cp := p.lab.Node("cp-1")
	for _, name := range sharedNames {
		carry(t, cp, path.Join(pkiDir, name), to, path.Join(handed, strings.ReplaceAll(name, "etcd/ca", "etcd-ca")))
	}
	if o := hactl(t, to, "certs", "verify", handed); o.code != 1 || !strings.Contains(o.stdout, "its place is etcd/ca.key") {
		t.Errorf("verify of the guide's folder: exit code %d\n%s%s", o.code, o.stdout, o.stderr)
	}
	must(t, to, "sh", "-ec", `mkdir -p /etc/kubernetes/pki/etcd; cd `+handed+`
mv etcd-ca.crt /etc/kubernetes/pki/etcd/ca.crt
mv etcd-ca.key /etc/kubernetes/pki/etcd/ca.key
mv * /etc/kubernetes/pki/`)
	ok(t, to, "certs", "verify")
	must(t, to, "rm", "-rf", pkiDir, handed)
	p.section(t, "3. With scp")
	hasShared(t, to)
}
