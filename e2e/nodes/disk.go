//go:build linux

package nodes

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// disks are the directories of a node that lie directly on this machine's file
// system: an overlay cannot hold containerd's own overlays, and etcd's
// writes must reach a real disk.
var disks = map[string]string{
	"containerd": "/var/lib/containerd",
	"kubelet":    "/var/lib/kubelet",
	"etcd":       "/var/lib/etcd",
}

// format makes an empty disk for the node: an overlay over what all nodes
// share, and the directories that cannot be in one.
func (n *Node) format(ctx context.Context) error {
	for _, name := range []string{"upper", "work", "root", "kubelet", "etcd"} {
		mode := os.FileMode(0o755)
		if name == "etcd" {
			mode = 0o700
		}
		if err := os.MkdirAll(n.dir(name), mode); err != nil {
			return err
		}
	}
	for name, data := range n.identity() {
		file := n.dir("upper", name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(file, data, 0o644); err != nil {
			return err
		}
	}
	for _, unit := range n.units() {
		link := n.dir("upper/etc/systemd/system/multi-user.target.wants", unit)
		if err := os.MkdirAll(filepath.Dir(link), 0o755); err != nil {
			return err
		}
		if err := os.Symlink("/usr/lib/systemd/system/"+unit, link); err != nil {
			return err
		}
	}
	artifacts := n.lab.record.Artifacts
	if err := copyImages(ctx, artifacts.Containerd, n.dir("containerd")); err != nil {
		return err
	}
	options := fmt.Sprintf("lowerdir=%s:%s,upperdir=%s,workdir=%s", artifacts.NodeLayer, artifacts.Root, n.dir("upper"), n.dir("work"))
	return quietly(n.lab.inLab(ctx, "mount", "-t", "overlay", "-o", options, n.name, n.dir("root")))
}

// erase takes the disk of a node away that is off.
func (n *Node) erase(ctx context.Context) error {
	if err := quietly(n.lab.inLab(ctx, "umount", n.dir("root"))); err != nil {
		return err
	}
	return os.RemoveAll(n.dir())
}

// units are the services that a node of this role starts by itself.
func (n *Node) units() []string {
	if n.role == LoadBalancer {
		return []string{"haproxy.service"}
	}
	return []string{"containerd.service", "kubelet.service"}
}

// identity is what tells the node from the others: files on its disk.
func (n *Node) identity() map[string][]byte {
	id := sha256.Sum256([]byte(n.lab.name + "/" + n.name))
	files := map[string][]byte{
		"etc/hostname":   []byte(n.name + "\n"),
		"etc/machine-id": []byte(hex.EncodeToString(id[:16]) + "\n"),
		"etc/hosts":      n.lab.hosts(n),
		// Nothing listens there, and so every question is refused at once.
		// At 127.0.0.1 CoreDNS would see a loop.
		"etc/resolv.conf":        []byte("nameserver " + gateway.String() + "\n"),
		"etc/hactl-lab/node.env": fmt.Appendf(nil, "ADDRESS=%s/%d\nGATEWAY=%s\n", n.address, subnet.Bits(), gateway),
	}
	switch {
	case n.role == LoadBalancer:
		files[strings.TrimPrefix(haproxyFile, "/")] = haproxyConfig(n.lab.backends())
	case !n.lab.groups.unified:
		files["etc/hactl-lab/kubelet.conf.d/20-cgroup-v1.conf"] = []byte(`# This machine has cgroup v1, which the kubelet refuses by default.
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
failCgroupV1: false
`)
	}
	return files
}

// hosts is the node's /etc/hosts: all nodes, and api.lab for the API.
func (l *Lab) hosts(n *Node) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "127.0.0.1 localhost\n::1 localhost\n")
	for _, m := range l.Nodes() {
		fmt.Fprintf(&b, "%s %s\n", m.address, m.name)
	}
	if host, _, ok := strings.Cut(l.Endpoint(), ":"); ok {
		fmt.Fprintf(&b, "%s api.lab\n", host)
	}
	return []byte(b.String())
}

// copyImages gives a node its own /var/lib/containerd with all images in it.
//
// Blobs and unpacked layers never change, so hard links will do: they cost no
// time and no space, and the nodes share one copy in memory. Whoever damages
// an image on purpose must replace a file, never write into it. Only the
// databases are copied.
func copyImages(ctx context.Context, template, dir string) error {
	if err := quietly(exec.CommandContext(ctx, "cp", "-al", template, dir)); err != nil {
		// Another file system: only a copy is possible.
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
		return quietly(exec.CommandContext(ctx, "cp", "-a", "--reflink=auto", template, dir))
	}
	return filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && (entry.Name() == "blobs" || entry.Name() == "snapshots") {
			return filepath.SkipDir
		}
		if !entry.Type().IsRegular() {
			return nil
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return errors.Join(os.Remove(path), os.WriteFile(path, data, 0o600))
	})
}
