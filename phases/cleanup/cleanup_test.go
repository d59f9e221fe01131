package cleanup

import (
	"errors"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/cri"
	"github.com/hactl/hactl/phases/host"
)

func TestCleanup(t *testing.T) {
	const backup = "etcd-backup-20261121-040506"
	cases := map[string]struct {
		reason string
		node   func(*node)
		task   func(*Task)
		// want are the entries of /etc/kubernetes and /var/lib afterwards.
		kubernetes, lib []string
		left            []string // paths that are told
		backup          string
	}{
		"Nothing": {
			reason: "a machine that is no node", node: func(*node) {},
			kubernetes: nil, lib: nil,
		},
		"Worker": {
			reason: "data of an etcd that is not this node's stays", node: func(n *node) {
				n.worker().files("/var/lib/etcd/member/wal/0.wal", "another cluster's")
			},
			kubernetes: nil,
			lib:        []string{"etcd", "etcd/member", "etcd/member/wal", "etcd/member/wal/0.wal", "kubelet"},
			left:       []string{"/var/lib/etcd"},
		},
		"ControlPlane": {
			reason: "the data of etcd is moved aside", node: func(n *node) { n.stacked() },
			kubernetes: []string{"manifests"}, backup: "/var/lib/" + backup,
			lib: []string{"etcd", backup, backup + "/member", backup + "/member/snap", backup + "/member/snap/db",
				backup + "/member/wal", backup + "/member/wal/0.wal", "kubelet"},
		},
		"DataIsAMount": {
			reason: "the data stays on its file system",
			node: func(n *node) {
				n.host.SetMount("/var/lib/etcd")
				n.stacked().files("/var/lib/etcd/lost+found/x", "")
			},
			kubernetes: []string{"manifests"}, backup: "/var/lib/etcd/backup-20261121-040506",
			lib: []string{"etcd", "etcd/backup-20261121-040506", "etcd/backup-20261121-040506/member",
				"etcd/backup-20261121-040506/member/snap", "etcd/backup-20261121-040506/member/snap/db",
				"etcd/backup-20261121-040506/member/wal", "etcd/backup-20261121-040506/member/wal/0.wal",
				"etcd/lost+found", "etcd/lost+found/x", "kubelet"},
		},
		"DataOfTheRecord": {
			reason: "the record names the data directory, and knows better than the manifest's absence",
			node: func(n *node) {
				n.worker().files("/data/e/member/wal/0.wal", "log", "/data/e/mine", "")
			},
			task:   func(t *Task) { t.DataDir = "/data/e" },
			lib:    []string{"kubelet"},
			left:   []string{"/data/e/mine"},
			backup: "/data/e" + strings.TrimPrefix(backup, "etcd"),
		},
		"BackupOfTheSameSecond": {
			reason: "no copy is overwritten",
			node:   func(n *node) { n.stacked().files("/var/lib/"+backup+"/member/x", "older") },
			backup: "/var/lib/" + backup + "-2", kubernetes: []string{"manifests"},
			lib: []string{"etcd", backup, backup + "-2", backup + "-2/member", backup + "-2/member/snap",
				backup + "-2/member/snap/db", backup + "-2/member/wal", backup + "-2/member/wal/0.wal",
				backup + "/member", backup + "/member/x", "kubelet"},
		},
		"ExternalEtcd": {
			reason: "an external etcd on this host keeps its data, its manifest, its certificates and the client's",
			node: func(n *node) {
				n.controlPlane(externalServer, "--etcd-cafile=/etc/kubernetes/pki/etcd/ca.crt",
					"--etcd-certfile=/etc/kubernetes/pki/apiserver-etcd-client.crt",
					"--etcd-keyfile=/etc/kubernetes/pki/apiserver-etcd-client.key")
				n.files("/etc/kubernetes/pki/etcd/ca.crt", "ca", "/etc/kubernetes/pki/etcd/server.key", "key",
					"/etc/kubernetes/manifests/etcd.yaml", manifest("etcd", "--data-dir=/var/lib/etcd"),
					"/var/lib/etcd/member/wal/0.wal", "log")
				n.pod("s-kept", "kube-system", "etcd-cp-1")
			},
			kubernetes: []string{"manifests", "manifests/etcd.yaml", "pki", "pki/apiserver-etcd-client.crt",
				"pki/apiserver-etcd-client.key", "pki/etcd", "pki/etcd/ca.crt", "pki/etcd/server.key"},
			lib: []string{"etcd", "etcd/member", "etcd/member/wal", "etcd/member/wal/0.wal", "kubelet", "kubelet/hactl-reset.yaml"},
			left: []string{"/etc/kubernetes/manifests/etcd.yaml", "/etc/kubernetes/pki/etcd/ca.crt",
				"/etc/kubernetes/pki/etcd/server.key", "/etc/kubernetes/pki/apiserver-etcd-client.crt",
				"/etc/kubernetes/pki/apiserver-etcd-client.key", "/var/lib/etcd"},
		},
		"Foreign": {
			reason: "what nobody knows stays and is told; what a killed writer left does not",
			node: func(n *node) {
				n.worker().files("/etc/kubernetes/manifests/kube-vip.yaml", "mine", "/etc/kubernetes/pki/corp-root.pem", "mine",
					"/etc/kubernetes/audit.yaml", "mine", "/etc/kubernetes/tmp/kubeadm-backup/x", "kept",
					"/etc/kubernetes/.etcd.yaml.hactl-12", "half", "/etc/kubernetes/pki/.ca.key.hactl-12", "half",
					"/etc/kubernetes/.admin.conf.hactl-12", "half")
			},
			kubernetes: []string{"audit.yaml", "manifests", "manifests/kube-vip.yaml", "pki", "pki/corp-root.pem",
				"tmp", "tmp/kubeadm-backup", "tmp/kubeadm-backup/x"},
			lib: []string{"kubelet"},
			left: []string{"/etc/kubernetes/manifests/kube-vip.yaml", "/etc/kubernetes/audit.yaml",
				"/etc/kubernetes/pki/corp-root.pem", "/etc/kubernetes/tmp"},
		},
		"CleanTmp": {
			reason: "what is temporary goes when it is asked for",
			node:   func(n *node) { n.worker().files("/etc/kubernetes/tmp/kubeadm-backup/x", "kept") },
			task:   func(t *Task) { t.CleanTmp = true },
			lib:    []string{"kubelet"}, kubernetes: []string{"tmp"},
		},
		"OtherCertDir": {
			reason: "a directory of the user's choice loses what is known only",
			node: func(n *node) {
				n.worker().files("/srv/pki/ca.key", "key", "/srv/pki/mine.key", "key")
			},
			task:       func(t *Task) { t.CertDir = "/srv/pki" },
			kubernetes: []string{"pki", "pki/ca.crt"}, lib: []string{"kubelet"},
			left: []string{"/etc/kubernetes/pki", "/srv/pki/mine.key"},
		},
		"NoRuntime": {
			reason: "without a runtime and without pods there is nothing to stop",
			node: func(n *node) {
				n.files("/etc/kubernetes/kubelet.conf", "x", "/var/lib/kubelet/config.yaml", "x")
				n.runtime.Break(&cri.SocketError{Socket: "unix:///x.sock", Reason: cri.ErrNoSocket})
			},
			lib: []string{"kubelet"},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			n := newNode(t)
			c.node(n)
			task := n.task(n.host)
			if c.task != nil {
				c.task(task)
			}
			if warnings, err := run(t.Context(), task, Phase()); err != nil || len(warnings) > 0 {
				t.Fatalf("%s: %v, warnings %q", c.reason, err, warnings)
			}
			left, err := LeftAlone(t.Context(), task)
			if err != nil {
				t.Fatal(err)
			}
			n.runtime.Break(nil)
			all := n.snapshot()
			if diff := cmp.Diff(c.kubernetes, below(all, "/etc/kubernetes")); diff != "" {
				t.Errorf("%s: /etc/kubernetes: -want +got\n%s", c.reason, diff)
			}
			if diff := cmp.Diff(c.lib, below(all, "/var/lib")); diff != "" {
				t.Errorf("%s: /var/lib: -want +got\n%s", c.reason, diff)
			}
			if diff := cmp.Diff(c.left, paths(left)); diff != "" {
				t.Errorf("%s: left alone: -want +got\n%s", c.reason, diff)
			}
			if task.Backup != c.backup {
				t.Errorf("%s: moved to %q, want %q", c.reason, task.Backup, c.backup)
			}
			for key := range all {
				if strings.HasPrefix(key, "pod ") && key != "pod s-kept" || strings.HasPrefix(key, "mount /var/lib/kubelet") {
					t.Errorf("%s: %s is still there", c.reason, key)
				}
			}
			if _, kept := all["pod s-kept"]; kept != (name == "ExternalEtcd") {
				t.Errorf("%s: the external etcd runs: %v", c.reason, kept)
			}
			if all["kubelet"] != "inactive/dead" {
				t.Errorf("the kubelet is %s", all["kubelet"])
			}
			again := n.task(n.host)
			if c.task != nil {
				c.task(again)
			}
			state, err := Phase().Observe(t.Context(), again)
			if state != phases.Done || err != nil {
				t.Errorf("a second reset finds something to do: %v, %v", state, err)
			}
		})
	}
}

// paths are those of what is left below the directories of the tests.
func paths(list []Left) []string {
	var out []string
	for _, l := range list {
		if strings.HasPrefix(l.What, "/") && !strings.HasPrefix(l.What, "/etc/cni") {
			out = append(out, l.What)
		}
	}
	return out
}

func TestBackupMode(t *testing.T) {
	n := newNode(t).stacked()
	task := n.task(n.host)
	if _, err := run(t.Context(), task, Phase()); err != nil {
		t.Fatal(err)
	}
	if info, err := n.host.Stat(t.Context(), task.Backup); err != nil || info.Mode != fs.ModeDir|0o700 {
		t.Errorf("the copy is %v, %v, want a directory that only root may read", info.Mode, err)
	}
}

func TestUnmount(t *testing.T) {
	n := newNode(t).worker()
	n.host.SetMount("/var/lib/kubelet/pods/1/volumes/kubernetes.io~csi/disk/mount/inner")
	var flags [][]host.UnmountFlag
	var order []string
	n.host.HandleUnmount(func(p string, f []host.UnmountFlag) error {
		order, flags = append(order, p[strings.LastIndex(p, "/")+1:]), append(flags, f)
		return nil
	})
	task := n.task(n.host)
	task.UnmountFlags = []host.UnmountFlag{host.UnmountForce}
	if _, err := run(t.Context(), task, Phase()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"inner", "mount", "token"}, order); diff != "" {
		t.Errorf("order: -want +got\n%s", diff)
	}
	for _, f := range flags {
		if diff := cmp.Diff([]host.UnmountFlag{host.UnmountForce}, f); diff != "" {
			t.Errorf("flags: -want +got\n%s", diff)
		}
	}
}

// A volume that is in use is not emptied under its user.
func TestBusyVolume(t *testing.T) {
	n := newNode(t).worker()
	n.host.HandleUnmount(func(p string, _ []host.UnmountFlag) error {
		if strings.HasSuffix(p, "/disk/mount") {
			return syscall.EBUSY
		}
		return nil
	})
	_, err := run(t.Context(), n.task(n.host), Phase())
	var fault *phases.Fault
	if !errors.As(err, &fault) || !errors.Is(err, syscall.EBUSY) {
		t.Fatalf("want a fault because of EBUSY, got %v", err)
	}
	data, err := n.host.ReadFile(t.Context(), "/var/lib/kubelet/pods/1/volumes/kubernetes.io~csi/disk/mount/file")
	if string(data) != "a user's data" || err != nil {
		t.Errorf("the volume lost its data: %q, %v", data, err)
	}
	if _, err := n.host.Stat(t.Context(), "/var/lib/kubelet/hactl.yaml"); err != nil {
		t.Errorf("the record is gone before the end: %v", err)
	}
}

func TestDryRun(t *testing.T) {
	n := newNode(t).stacked()
	before := n.snapshot()
	over, pods := host.NewOverlay(n.host), cri.NewOverlay(n.runtime)
	task := n.task(over)
	task.Runtime, task.DryRun = pods, true
	if _, err := run(t.Context(), task, PreflightPhase(), Phase()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, n.snapshot()); diff != "" {
		t.Errorf("a dry run changed something: -want +got\n%s", diff)
	}
	if len(n.asked) > 0 {
		t.Errorf("a dry run asked %q", n.asked)
	}
	var last host.Change
	for _, c := range over.Changes() {
		last = c
		if strings.HasPrefix(c.Path, "/var/lib/etcd") && c.Kind != host.PathMoved && c.Kind != host.DirMade {
			t.Errorf("the data of etcd would be changed: %+v", c)
		}
	}
	if last.Path != "/var/lib/kubelet/hactl-reset.yaml" && last.Path != "/var/lib/kubelet/hactl.yaml" {
		t.Errorf("the last change is of %s, want that of the record", last.Path)
	}
	if got := len(pods.Changes()); got != 12 {
		t.Errorf("%d changes of pods, want a stop and a removal of six", got)
	}
}

func TestLeftAloneNamesTheUsual(t *testing.T) {
	n := newNode(t).worker()
	n.files("/etc/passwd", "root:x:0:0:root:/root:/bin/bash\nkubeadm-etcd:x:100:100:::/bin/false\n")
	list, err := LeftAlone(t.Context(), n.task(n.host))
	if err != nil {
		t.Fatal(err)
	}
	words := map[string]bool{"/etc/cni/net.d": true, "iptables": true, "home directories": true, "users": true}
	for _, l := range list {
		maps.DeleteFunc(words, func(w string, _ bool) bool { return strings.Contains(l.What, w) })
	}
	if len(words) > 0 {
		t.Errorf("not told: %v", slices.Collect(maps.Keys(words)))
	}
}
