package rootless

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases/host"
)

// file is one file or directory as a component needs it.
type file struct {
	path  string
	owner host.Owner
	perm  fs.FileMode
	// tree: all below the directory gets the owner too, and keeps its modes.
	tree bool
	// open: only that everybody may list the directory counts. hactl makes
	// the directories of certificates for root alone, kubeadm for everybody;
	// what is secret in them has a mode of its own.
	open bool
	// unless is a file without which this one must be there: a CA whose key
	// is elsewhere has its certificate here.
	unless string
}

// files are those of a pod.
func (a *Accounts) files(pod string, d *database) []file {
	name := users[pod]
	owner := host.Owner{User: d.uid(name), Group: d.gid(name)}
	pki := func(name string) string { return path.Join(a.Cluster.CertificatesDir, name) }
	key := func(path string) file { return file{path: path, owner: owner, perm: 0o600} }
	certs := file{path: pki(""), open: true}
	etcdCerts := file{path: pki("etcd"), open: true}
	account := file{path: pki("sa.key"), owner: host.Owner{Group: d.gid(readers)}, perm: 0o640}
	switch name {
	case apiServerUser:
		list := []file{
			certs, key(pki("sa.pub")), account, key(pki("apiserver.key")),
			key(pki("apiserver-kubelet-client.key")), key(pki("front-proxy-client.key")),
		}
		if a.Cluster.Etcd.External == nil {
			list = append(list, etcdCerts, key(pki("apiserver-etcd-client.key")))
		}
		return list
	case managerUser:
		ca := key(pki("ca.key"))
		ca.unless = pki("ca.crt")
		return []file{certs, key(path.Join(config.KubernetesDir, "controller-manager.conf")), account, ca}
	case schedulerUser:
		return []file{key(path.Join(config.KubernetesDir, "scheduler.conf"))}
	}
	return []file{
		{path: a.Cluster.Etcd.Local.DataDir, owner: owner, tree: true},
		etcdCerts, key(pki("etcd/server.key")), key(pki("etcd/peer.key")),
	}
}

// wrong lists what of a file has another owner or mode than it should. The
// error satisfies errors.Is(err, fs.ErrNotExist) if the file is missing.
func (a *Accounts) wrong(ctx context.Context, f file) ([]file, error) {
	info, err := a.Host.Stat(ctx, f.path)
	if errors.Is(err, fs.ErrNotExist) && f.unless != "" {
		if _, err := a.Host.Stat(ctx, f.unless); err == nil {
			return nil, nil
		}
	}
	if err != nil {
		return nil, fmt.Errorf("look whose %s is: %w", f.path, err)
	}
	switch {
	case f.tree:
		return a.tree(ctx, f, info)
	case f.open:
		f.owner, f.perm = info.Owner, info.Mode.Perm()
		if f.perm&0o005 != 0o005 {
			f.perm |= 0o055
		}
	}
	if info.Owner == f.owner && info.Mode.Perm() == f.perm {
		return nil, nil
	}
	return []file{f}, nil
}

// tree lists what at f.path and below it has another owner. It follows no
// link below it, and overlooks what goes away meanwhile: an etcd may run.
func (a *Accounts) tree(ctx context.Context, f file, info host.Info) ([]file, error) {
	var list []file
	if info.Owner != f.owner {
		list = append(list, file{path: f.path, owner: f.owner, perm: info.Mode.Perm()})
	}
	for _, name := range info.Names {
		below := file{path: path.Join(f.path, name), owner: f.owner}
		info, err := a.Host.Stat(ctx, below.path)
		if errors.Is(err, fs.ErrNotExist) || err == nil && info.Link {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("look whose %s is: %w", below.path, err)
		}
		more, err := a.tree(ctx, below, info)
		if err != nil {
			return nil, err
		}
		list = append(list, more...)
	}
	return list, nil
}
