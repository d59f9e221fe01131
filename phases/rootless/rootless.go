// Package rootless gives kube-apiserver, kube-controller-manager,
// kube-scheduler and etcd users of their own on this machine, and makes
// theirs the files that each of them reads: feature gate
// RootlessControlPlane. Names, IDs, owners and modes are those of kubeadm
// v1.37 (util/users, util/staticpod/utils_linux.go), so that either tool goes
// on where the other ended. It writes no manifest, and removes no user.
package rootless

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/host"
	"github.com/hactl/hactl/templates/staticpod"
)

// Gate is the feature gate's name.
const Gate = "RootlessControlPlane"

// The users, each with a group of the same name.
const (
	etcdUser      = "kubeadm-etcd"
	apiServerUser = "kubeadm-kas"
	managerUser   = "kubeadm-kcm"
	schedulerUser = "kubeadm-ks"
)

// readers is the group that may read the key of the service accounts.
const readers = "kubeadm-sa-key-readers"

// users are the users by the names of their pods.
var users = map[string]string{
	"etcd": etcdUser, "kube-apiserver": apiServerUser, "kube-controller-manager": managerUser, "kube-scheduler": schedulerUser,
}

// Machine is the part of a machine that this package changes.
type Machine interface {
	host.Files
	host.Owners
}

// Accounts are the users that the components run as; it is a
// staticpod.Accounts. Cluster says where the files are.
type Accounts struct {
	Host    Machine
	Cluster *config.Cluster
}

// For returns the accounts of a cluster, nil if its components run as root.
func For(m Machine, c *config.Cluster) staticpod.Accounts {
	if !c.FeatureGates[Gate] {
		return nil
	}
	return &Accounts{Host: m, Cluster: c}
}

// Problem is why the users and groups cannot be as wanted on this machine,
// nil if they can. Without the gate, there is none.
func Problem(ctx context.Context, m Machine, c *config.Cluster) error {
	if !c.FeatureGates[Gate] {
		return nil
	}
	d, err := (&Accounts{Host: m, Cluster: c}).read(ctx)
	if err != nil {
		return err
	}
	return d.complete()
}

// Find returns the account of a pod, nil if it, or the owner of one of the
// pod's files, is not as wanted. A user or a group that is there with another
// meaning is a *phases.Fault.
func (a *Accounts) Find(ctx context.Context, pod string) (*staticpod.Account, error) {
	d, err := a.read(ctx)
	if err != nil {
		return nil, err
	}
	if err := d.complete(); err != nil {
		return nil, err
	}
	if len(d.newUsers)+len(d.newGroups) > 0 {
		return nil, nil
	}
	for _, f := range a.files(pod, d) {
		wrong, err := a.wrong(ctx, f)
		if errors.Is(err, fs.ErrNotExist) || err == nil && len(wrong) > 0 {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
	}
	return account(pod, d), nil
}

// Give makes all users and groups that are missing, and gives the pod's files
// to its user. It needs the files of the phases certs and kubeconfig.
func (a *Accounts) Give(ctx context.Context, pod string) (*staticpod.Account, error) {
	d, err := a.make(ctx)
	if err != nil {
		return nil, err
	}
	for _, f := range a.files(pod, d) {
		wrong, err := a.wrong(ctx, f)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, missingFile(f.path, pod, err)
		}
		if err != nil {
			return nil, err
		}
		for _, w := range wrong {
			err := a.Host.Chown(ctx, w.path, w.owner, w.perm)
			if err != nil && !(f.tree && errors.Is(err, fs.ErrNotExist)) {
				return nil, fmt.Errorf("give %s to %s: %w", w.path, users[pod], err)
			}
		}
	}
	return account(pod, d), nil
}

// account is the one of a pod. All users and groups must be known.
func account(pod string, d *database) *staticpod.Account {
	name := users[pod]
	acc := &staticpod.Account{User: d.uid(name), Group: d.gid(name)}
	if name == apiServerUser || name == managerUser {
		acc.Groups = []int64{d.gid(readers)}
	}
	acc.LowPorts = name == apiServerUser
	return acc
}

// missingFile names the phase that makes the file.
func missingFile(file, pod string, err error) error {
	phase := "certs"
	if path.Ext(file) == ".conf" {
		phase = "kubeconfig"
	}
	return &phases.Fault{
		What: fmt.Sprintf("%s is missing, which %s must be able to read", file, pod),
		Why:  err,
		Fixes: []string{
			"make it first: hactl init phase " + phase + " all",
			"on a node that joins: hactl join phase control-plane-prepare " + phase,
		},
	}
}
