package bundle

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hactl/hactl/certs"
	"github.com/hactl/hactl/config/goldentest"
)

// judgement is one case: what happened to the files of cp-1 on their way to
// cp-2, and how they are judged.
type judgement struct {
	name, reason string
	travel       bool // import or export judges, not verify
	change       func(t *testing.T, n node, f Files, j *Judge)
}

func shareable(n node, f Files) {
	maps.DeleteFunc(f, func(name string, _ Content) bool { return !stacked(dir).knows(name) })
}

func judgements() []judgement {
	set := func(f Files, name string, data []byte) { f[name] = Content{Data: data, Mode: modeOf(name)} }
	return []judgement{
		{"Exact", "what export takes", false, func(_ *testing.T, n node, f Files, _ *Judge) { shareable(n, f) }},
		{"Everything", "all of /etc/kubernetes/pki was copied", false, func(*testing.T, node, Files, *Judge) {}},
		{"EverythingToImport", "the same, to be installed", true, func(*testing.T, node, Files, *Judge) {}},
		{"OwnNode", "the same on cp-1 itself is right", false, func(_ *testing.T, _ node, _ Files, j *Judge) { j.Leaves = leavesOf("cp-1", "10.0.0.11") }},
		{"ClientsOnly", "nothing shows whose they are", false, func(_ *testing.T, n node, f Files, _ *Judge) {
			shareable(n, f)
			set(f, "front-proxy-client.crt", n["front-proxy-client.crt"])
			set(f, "front-proxy-client.key", n["front-proxy-client.key"])
		}},
		{"Flat", "the guide's names, in one folder", false, func(_ *testing.T, n node, f Files, _ *Judge) {
			shareable(n, f)
			for from, to := range map[string]string{"etcd/ca.crt": "etcd-ca.crt", "etcd/ca.key": "etcd-ca.key"} {
				f[to] = f[from]
				delete(f, from)
			}
		}},
		{"FlatToImport", "import puts them into their places", true, func(_ *testing.T, n node, f Files, _ *Judge) {
			shareable(n, f)
			f["etcd-ca.crt"], f["etcd-ca.key"] = f["etcd/ca.crt"], f["etcd/ca.key"]
			delete(f, "etcd/ca.crt")
			delete(f, "etcd/ca.key")
		}},
		{"FlatTwice", "one of the two is too many", false, func(_ *testing.T, n node, f Files, _ *Judge) {
			shareable(n, f)
			set(f, "etcd-ca.crt", n["etcd/ca.crt"])
		}},
		{"Missing", "files were forgotten", false, func(_ *testing.T, n node, f Files, _ *Judge) {
			shareable(n, f)
			delete(f, "sa.pub")
			delete(f, "etcd/ca.crt")
			delete(f, "front-proxy-ca.key")
		}},
		{"ExternalCA", "the key of the CA is elsewhere on purpose", false, func(_ *testing.T, n node, f Files, j *Judge) {
			shareable(n, f)
			delete(f, "ca.key")
			j.ExternalCA = true
		}},
		{"KeysSwapped", "keys that do not fit", false, func(_ *testing.T, n node, f Files, _ *Judge) {
			shareable(n, f)
			f["ca.key"], f["etcd/ca.key"] = f["etcd/ca.key"], f["ca.key"]
			f["sa.key"] = f["front-proxy-ca.key"]
		}},
		{"CAsSwapped", "two whole pairs changed places", false, func(_ *testing.T, n node, f Files, _ *Judge) {
			shareable(n, f)
			f["ca.crt"], f["ca.key"], f["etcd/ca.crt"], f["etcd/ca.key"] = f["etcd/ca.crt"], f["etcd/ca.key"], f["ca.crt"], f["ca.key"]
		}},
		{"Unreadable", "cut off, empty, huge, no file", false, func(_ *testing.T, n node, f Files, _ *Judge) {
			shareable(n, f)
			set(f, "ca.crt", n["ca.crt"][:100])
			set(f, "ca.key", nil)
			f["sa.key"] = Content{Unread: "is no regular file"}
			set(f, "sa.pub", n["ca.crt"])
		}},
		{"Expired", "the cluster's CA is past its end", false, func(t *testing.T, n node, f Files, _ *Judge) {
			shareable(n, f)
			n.authority(t, "ca", "kubernetes", -time.Minute)
			set(f, "ca.crt", n["ca.crt"])
			set(f, "ca.key", n["ca.key"])
		}},
		{"Soon", "the front proxy's CA soon will be", false, func(t *testing.T, n node, f Files, _ *Judge) {
			shareable(n, f)
			n.authority(t, "front-proxy-ca", "front-proxy-ca", 7*24*time.Hour)
			set(f, "front-proxy-ca.crt", n["front-proxy-ca.crt"])
			set(f, "front-proxy-ca.key", n["front-proxy-ca.key"])
		}},
		{"Clock", "the clock of this machine is wrong", false, func(_ *testing.T, n node, f Files, j *Judge) {
			shareable(n, f)
			j.Now = now.Add(-24 * time.Hour)
		}},
		{"OtherCluster", "the hash of the join command tells", true, func(t *testing.T, n node, f Files, j *Judge) {
			shareable(n, f)
			j.Pins = []string{"sha256:0000"}
		}},
		{"Modes", "scp as another user", false, func(_ *testing.T, n node, f Files, _ *Judge) {
			shareable(n, f)
			f["ca.key"] = Content{Data: n["ca.key"], Mode: 0o644}
			f["ca.crt"] = Content{Data: n["ca.crt"], Mode: 0o666}
		}},
		{"Strange", "verify lets them be, but not kubeconfig files", false, strange},
		{"StrangeToImport", "import takes nothing that it does not know", true, strange},
		{"External", "an etcd client pair and no key of etcd's CA", false, func(_ *testing.T, n node, f Files, j *Judge) {
			shareable(n, f)
			delete(f, "etcd/ca.key")
			set(f, "apiserver-etcd-client.crt", n["apiserver-etcd-client.crt"])
			set(f, "apiserver-etcd-client.key", n["apiserver-etcd-client.key"])
			j.Layout = Guess(f, dir)
		}},
		{"ExternalEverything", "external etcd, and what its hosts have", false, func(_ *testing.T, _ node, _ Files, j *Judge) { j.Layout = externally(dir) }},
		{"Nothing", "an empty directory", false, func(_ *testing.T, _ node, f Files, _ *Judge) { clear(f) }},
		{"HalfLeaf", "a key without certificate, and a certificate without key", false, func(_ *testing.T, _ node, f Files, j *Judge) {
			j.Leaves = leavesOf("cp-1", "10.0.0.11")
			delete(f, "etcd/peer.crt")
			delete(f, "front-proxy-client.key")
		}},
	}
}

func strange(_ *testing.T, n node, f Files, _ *Judge) {
	shareable(n, f)
	f["admin.conf"] = Content{Data: []byte("kind: Config"), Mode: 0o600}
	f["notes.txt"] = Content{Data: []byte("todo"), Mode: 0o644}
}

func TestJudge(t *testing.T) {
	whole := controlPlane(t)
	var all strings.Builder
	for _, c := range judgements() {
		n := maps.Clone(whole)
		f := n.files()
		j := &Judge{Layout: stacked(dir), Dir: "/root/copy", Leaves: leavesOf("cp-2", "10.0.0.12"), Travel: c.travel, Now: now}
		c.change(t, n, f, j)
		findings := j.Files(f)
		fmt.Fprintf(&all, "# %s: %s\n%s\n", c.name, c.reason, findings.Error())
		for _, fix := range findings.Problems().Fixes() {
			all.WriteString("fix: " + fix + "\n")
		}
		all.WriteString("\n")
		for _, s := range n.secrets() {
			if strings.Contains(all.String(), s) {
				t.Fatalf("%s: a secret is told:\n%s", c.name, all.String())
			}
		}
		for name := range f {
			if !slices.ContainsFunc(findings, func(x Finding) bool { return x.File == name }) {
				t.Errorf("%s: nothing is said of %s", c.name, name)
			}
		}
	}
	hash := regexp.MustCompile(`sha256:[0-9a-f]{64}`)
	goldentest.Check(t, "judge.golden", hash.ReplaceAllString(all.String(), "sha256:(its hash)"))
}

// What is judged right must be what certs.Verify holds for right: a finding
// more is an error, a finding less is worse.
func TestGoodIsGood(t *testing.T) {
	n := controlPlane(t)
	f := n.files()
	shareable(n, f)
	j := &Judge{Layout: stacked(dir), Leaves: leavesOf("cp-2", "10.0.0.12"), Travel: true, Now: now, Pins: []string{pin(t, n["ca.crt"])}}
	if bad := j.Files(f).Problems(); len(bad) > 0 {
		t.Errorf("a set that is right has problems:\n%v", bad)
	}
	for name := range f {
		less := maps.Clone(f)
		delete(less, name)
		if len(j.Files(less).Problems()) == 0 {
			t.Errorf("nobody misses %s", name)
		}
		broken := maps.Clone(f)
		broken[name] = Content{Data: []byte("x")}
		if len(j.Files(broken).Problems()) == 0 {
			t.Errorf("nobody minds that %s is broken", name)
		}
	}
}

func pin(t *testing.T, data []byte) string {
	t.Helper()
	list, err := certs.ParseCerts(data)
	if err != nil {
		t.Fatal(err)
	}
	return certs.Pin(list[0])
}
