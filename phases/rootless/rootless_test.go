package rootless_test

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/host"
	"github.com/hactl/hactl/phases/rootless"
	"github.com/hactl/hactl/templates/staticpod"
)

const (
	passwd = "root:x:0:0:root:/root:/bin/bash\nmessagebus:x:101:101::/nonexistent:/usr/sbin/nologin\n"
	group  = "root:x:0:\nmessagebus:x:101:\nssh:x:102:\n"
)

var pods = []string{"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"}

// keys are what certs and kubeconfig make, and mode 0600.
var keys = []string{
	"/pki/ca.key", "/pki/sa.key", "/pki/apiserver.key", "/pki/apiserver-kubelet-client.key", "/pki/front-proxy-ca.key",
	"/pki/front-proxy-client.key", "/pki/apiserver-etcd-client.key", "/pki/etcd/server.key", "/pki/etcd/peer.key", "/pki/etcd/ca.key",
	"/etc/kubernetes/controller-manager.conf", "/etc/kubernetes/scheduler.conf", "/etc/kubernetes/admin.conf",
}

func put(t *testing.T, m *host.Memory, name, text string, perm fs.FileMode) {
	t.Helper()
	if err := m.WriteFile(t.Context(), name, []byte(text), perm); err != nil {
		t.Fatal(err)
	}
}

// machine is one before phase etcd.
func machine(t *testing.T) (*host.Memory, *rootless.Accounts) {
	t.Helper()
	m := host.NewMemory()
	put(t, m, "/etc/passwd", passwd, 0o644)
	put(t, m, "/etc/group", group, 0o644)
	for _, name := range keys {
		put(t, m, name, "key", 0o600)
	}
	put(t, m, "/pki/sa.pub", "public", 0o644)
	put(t, m, "/pki/ca.crt", "certificate", 0o644)
	if err := m.Mkdir(t.Context(), "/var/lib/etcd", 0o700); err != nil {
		t.Fatal(err)
	}
	c := &config.Cluster{CertificatesDir: "/pki", Etcd: config.Etcd{Local: &config.LocalEtcd{DataDir: "/var/lib/etcd"}}}
	return m, &rootless.Accounts{Host: m, Cluster: c}
}

func read(t *testing.T, m host.Files, name string) string {
	t.Helper()
	data, err := m.ReadFile(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// owners lists whose the files are that are not root's with mode 0600, as
// "user group mode".
func owners(t *testing.T, m host.Files) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, name := range append(slices.Clone(keys), "/pki/sa.pub", "/pki", "/pki/etcd", "/var/lib/etcd", "/var/lib/etcd/member", "/var/lib/etcd/member/0.wal") {
		info, err := m.Stat(t.Context(), name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if info.Owner != (host.Owner{}) || info.Mode.Perm() != 0o600 {
			out[name] = fmt.Sprintf("%d %d %v", info.Owner.User, info.Owner.Group, info.Mode.Perm())
		}
	}
	return out
}

func give(t *testing.T, a *rootless.Accounts) map[string]staticpod.Account {
	t.Helper()
	got := map[string]staticpod.Account{}
	for _, pod := range pods {
		acc, err := a.Give(t.Context(), pod)
		if err != nil {
			t.Fatal(err)
		}
		got[pod] = *acc
	}
	return got
}

// TestGive: lines, IDs, owners and modes are what kubeadm v1.37.1 makes on
// such a machine.
func TestGive(t *testing.T) {
	m, a := machine(t)
	put(t, m, "/var/lib/etcd/member/0.wal", "log", 0o600) // of an etcd that ran as root
	got := give(t, a)
	wantPods := map[string]staticpod.Account{
		"etcd":                    {User: 100, Group: 100},
		"kube-apiserver":          {User: 102, Group: 103, Groups: []int64{106}, LowPorts: true},
		"kube-controller-manager": {User: 103, Group: 104, Groups: []int64{106}},
		"kube-scheduler":          {User: 104, Group: 105},
	}
	if diff := cmp.Diff(wantPods, got); diff != "" {
		t.Errorf("accounts: -want +got\n%s", diff)
	}
	wantPasswd := passwd + `kubeadm-etcd:x:100:100:::/bin/false
kubeadm-kas:x:102:103:::/bin/false
kubeadm-kcm:x:103:104:::/bin/false
kubeadm-ks:x:104:105:::/bin/false
`
	if diff := cmp.Diff(wantPasswd, read(t, m, "/etc/passwd")); diff != "" {
		t.Errorf("/etc/passwd: -want +got\n%s", diff)
	}
	wantGroup := group + `kubeadm-etcd:x:100:kubeadm-etcd
kubeadm-kas:x:103:kubeadm-kas
kubeadm-kcm:x:104:kubeadm-kcm
kubeadm-ks:x:105:kubeadm-ks
kubeadm-sa-key-readers:x:106:kubeadm-kas,kubeadm-kcm
`
	if diff := cmp.Diff(wantGroup, read(t, m, "/etc/group")); diff != "" {
		t.Errorf("/etc/group: -want +got\n%s", diff)
	}
	if info, err := m.Stat(t.Context(), "/etc/passwd"); err != nil || info.Mode != 0o644 {
		t.Errorf("/etc/passwd: %v, %v, want mode 0644", info.Mode, err)
	}
	wantOwners := map[string]string{
		"/pki": "0 0 -rwxr-xr-x", "/pki/etcd": "0 0 -rwxr-xr-x",
		"/pki/sa.pub": "102 103 -rw-------", "/pki/sa.key": "0 106 -rw-r-----",
		"/pki/apiserver.key": "102 103 -rw-------", "/pki/apiserver-kubelet-client.key": "102 103 -rw-------",
		"/pki/front-proxy-client.key": "102 103 -rw-------", "/pki/apiserver-etcd-client.key": "102 103 -rw-------",
		"/pki/ca.key": "103 104 -rw-------", "/etc/kubernetes/controller-manager.conf": "103 104 -rw-------",
		"/etc/kubernetes/scheduler.conf": "104 105 -rw-------",
		"/pki/etcd/server.key":           "100 100 -rw-------", "/pki/etcd/peer.key": "100 100 -rw-------",
		"/var/lib/etcd": "100 100 -rwx------", "/var/lib/etcd/member": "100 100 -rwx------", "/var/lib/etcd/member/0.wal": "100 100 -rw-------",
	}
	if diff := cmp.Diff(wantOwners, owners(t, m)); diff != "" {
		t.Errorf("owners: -want +got\n%s", diff)
	}
	if diff := cmp.Diff(got, give(t, a)); diff != "" {
		t.Errorf("a second time: -want +got\n%s", diff)
	}
	if now := read(t, m, "/etc/passwd"); now != wantPasswd {
		t.Errorf("a second time: /etc/passwd has changed:\n%s", now)
	}
}

// Find sees each thing that Give makes, and changes nothing.
func TestFind(t *testing.T) {
	cases := map[string]struct {
		reason string
		pod    string
		spoil  func(t *testing.T, m *host.Memory)
		found  bool
	}{
		"Right": {"nothing is missing", "kube-apiserver", func(*testing.T, *host.Memory) {}, true},
		"NoUsers": {"a machine that was made anew", "kube-apiserver", func(t *testing.T, m *host.Memory) {
			put(t, m, "/etc/passwd", passwd, 0o644)
		}, false},
		"NewKey": {"a file that was written again is root's", "kube-apiserver", func(t *testing.T, m *host.Memory) {
			put(t, m, "/pki/apiserver.key", "key", 0o600)
		}, false},
		"OtherKey": {"the files of others do not count", "kube-scheduler", func(t *testing.T, m *host.Memory) {
			put(t, m, "/pki/apiserver.key", "key", 0o600)
		}, true},
		"Mode": {"a mode that is too wide", "kube-scheduler", func(t *testing.T, m *host.Memory) {
			if err := m.Chown(t.Context(), "/etc/kubernetes/scheduler.conf", host.Owner{User: 104, Group: 105}, 0o644); err != nil {
				t.Fatal(err)
			}
		}, false},
		"MissingKey": {"a file that has gone", "kube-apiserver", func(t *testing.T, m *host.Memory) {
			if err := m.Remove(t.Context(), "/pki/apiserver.key"); err != nil {
				t.Fatal(err)
			}
		}, false},
		"ClosedDir": {"nobody but root gets to the files", "kube-apiserver", func(t *testing.T, m *host.Memory) {
			if err := m.Chown(t.Context(), "/pki/etcd", host.Owner{}, 0o700); err != nil {
				t.Fatal(err)
			}
		}, false},
		"DataOfRoot": {"data that was put back from a backup", "etcd", func(t *testing.T, m *host.Memory) {
			put(t, m, "/var/lib/etcd/member/0.wal", "log", 0o600)
		}, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			m, a := machine(t)
			give(t, a)
			c.spoil(t, m)
			over := host.NewOverlay(m)
			acc, err := (&rootless.Accounts{Host: over, Cluster: a.Cluster}).Find(t.Context(), c.pod)
			if err != nil || (acc != nil) != c.found {
				t.Errorf("%s: found %v, %v, want found %v", c.reason, acc, err, c.found)
			}
			if changes := over.Changes(); len(changes) > 0 {
				t.Errorf("%s: changed %v", c.reason, changes)
			}
			if name == "MissingKey" {
				return // which Give cannot make
			}
			if _, err := a.Give(t.Context(), c.pod); err != nil {
				t.Fatal(err)
			}
			if acc, err := a.Find(t.Context(), c.pod); acc == nil || err != nil {
				t.Errorf("%s: after Give: %v, %v", c.reason, acc, err)
			}
		})
	}
}

func TestIDs(t *testing.T) {
	cases := map[string]struct {
		reason, defs, passwd, group string
		user, group0                int64 // of etcd
	}{
		"NoDefs":     {"without login.defs, from 100 on", "", "", "", 100, 100},
		"Defs":       {"login.defs says where", "# SYS_UID_MIN 5\nSYS_UID_MIN\t\t201\nSYS_UID_MAX 999\nSYS_GID_MIN 301\n", "", "", 201, 301},
		"Existing":   {"users of an earlier run or of kubeadm keep their IDs", "", "kubeadm-etcd:x:444:555:::/bin/false\n", "kubeadm-etcd:x:555:kubeadm-etcd\n", 444, 555},
		"OnlyGroup":  {"a run that ended between the two files", "", "", "kubeadm-etcd:x:555:kubeadm-etcd\n", 100, 555},
		"OtherLines": {"lines of NIS and blank lines are kept", "", "\n+::::::\n", "+:::\n", 100, 100},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			m, a := machine(t)
			if c.defs != "" {
				put(t, m, "/etc/login.defs", c.defs, 0o644)
			}
			put(t, m, "/etc/passwd", passwd+c.passwd, 0o644)
			put(t, m, "/etc/group", group+c.group, 0o644)
			acc, err := a.Give(t.Context(), "etcd")
			if err != nil {
				t.Fatalf("%s: %v", c.reason, err)
			}
			if acc.User != c.user || acc.Group != c.group0 {
				t.Errorf("%s: got %d:%d, want %d:%d", c.reason, acc.User, acc.Group, c.user, c.group0)
			}
			if got := read(t, m, "/etc/passwd"); !strings.HasPrefix(got, passwd+c.passwd) || strings.Count(got, "kubeadm-etcd:") != 1 {
				t.Errorf("%s: /etc/passwd:\n%s", c.reason, got)
			}
		})
	}
}

func TestRefused(t *testing.T) {
	cases := map[string]struct {
		reason, passwd, group, lock, gone string
	}{
		"Shell":      {"somebody logs in as the user", "kubeadm-ks:x:150:150:::/bin/bash\n", "kubeadm-ks:x:150:kubeadm-ks\n", "", ""},
		"Person":     {"the ID is a person's", "kubeadm-ks:x:1000:150:::/bin/false\n", "kubeadm-ks:x:150:kubeadm-ks\n", "", ""},
		"OtherGroup": {"the user's files would be open to another group", "kubeadm-ks:x:150:101:::/bin/false\n", "kubeadm-ks:x:150:kubeadm-ks\n", "", ""},
		"Member":     {"others can read the service accounts' key", "", "kubeadm-sa-key-readers:x:150:kubeadm-kas,mallory\n", "", ""},
		"GroupID":    {"the group's ID is a person's", "", "kubeadm-sa-key-readers:x:1000:kubeadm-kas,kubeadm-kcm\n", "", ""},
		"Locked":     {"useradd runs", "", "", "/etc/group.lock", ""},
		"NoKey":      {"phase certs has not run", "", "", "", "/pki/apiserver.key"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			m, a := machine(t)
			put(t, m, "/etc/passwd", passwd+c.passwd, 0o644)
			put(t, m, "/etc/group", group+c.group, 0o644)
			if c.lock != "" {
				put(t, m, c.lock, "1234", 0o600)
			}
			if c.gone != "" {
				if err := m.Remove(t.Context(), c.gone); err != nil {
					t.Fatal(err)
				}
			}
			_, err := a.Give(t.Context(), "kube-apiserver")
			var fault *phases.Fault
			if !errors.As(err, &fault) || len(fault.Fixes) == 0 {
				t.Fatalf("%s: %v, want a fault with a fix", c.reason, err)
			}
			if got := read(t, m, "/etc/passwd"); c.gone == "" && got != passwd+c.passwd {
				t.Errorf("%s: /etc/passwd has changed:\n%s", c.reason, got)
			}
		})
	}
}

// A CA whose key is elsewhere has no key to give away.
func TestExternalCA(t *testing.T) {
	m, a := machine(t)
	if err := m.Remove(t.Context(), "/pki/ca.key"); err != nil {
		t.Fatal(err)
	}
	give(t, a)
	if acc, err := a.Find(t.Context(), "kube-controller-manager"); acc == nil || err != nil {
		t.Errorf("%v, %v", acc, err)
	}
	if err := m.Remove(t.Context(), "/pki/ca.crt"); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Give(t.Context(), "kube-controller-manager"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no CA at all: %v, want fs.ErrNotExist", err)
	}
}

func TestGate(t *testing.T) {
	m, a := machine(t)
	put(t, m, "/etc/passwd", passwd+"kubeadm-ks:x:1000:150:::/bin/false\n", 0o644)
	for on, want := range map[bool]bool{true: true, false: false} {
		a.Cluster.FeatureGates = map[string]bool{rootless.Gate: on}
		if got := rootless.For(m, a.Cluster) != nil; got != want {
			t.Errorf("gate %v: accounts %v", on, got)
		}
		if err := rootless.Problem(t.Context(), m, a.Cluster); (err != nil) != want {
			t.Errorf("gate %v: problem %v", on, err)
		}
	}
}
