package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/etcd"
	"github.com/hactl/hactl/phases/external"
	"github.com/hactl/hactl/phases/host"
	"github.com/hactl/hactl/phases/journal"
	"github.com/hactl/hactl/phases/preflight"
	"github.com/hactl/hactl/templates/staticpod"
)

// dialStore opens an etcd that others run, as its user sees it. Its error for
// files that are missing satisfies fs.ErrNotExist.
func dialStore(ctx context.Context, files host.Files, x *config.ExternalEtcd) (etcd.Store, func() error, error) {
	settings, err := externalTLS(ctx, files, x)
	if err != nil {
		return nil, nil, fmt.Errorf("open the way to the external etcd: %w", err)
	}
	client, err := etcd.Dial(etcd.Config{Endpoints: x.Endpoints, TLS: settings})
	if err != nil {
		return nil, nil, err
	}
	return client, client.Close, nil
}

// externalTask is what the checks of an external etcd work from. Files returns
// those of this node, as they are or as they will be.
func (m *machine) externalTask(cl *config.Cluster, files func(context.Context) (host.Files, error)) *external.Task {
	prefix, _ := staticpod.Extra(cl.APIServer.ExtraArgs, "etcd-prefix")
	return &external.Task{
		Config: cl.Etcd.External, Prefix: prefix,
		Dial: func(ctx context.Context) (etcd.Store, func() error, error) {
			f, err := files(ctx)
			if err != nil {
				return nil, nil, err
			}
			return m.dialStore(ctx, f, cl.Etcd.External)
		},
		CA: func(ctx context.Context) ([]byte, error) {
			f, err := files(ctx)
			if err != nil {
				return nil, err
			}
			ca, err := f.ReadFile(ctx, path.Join(cl.CertificatesDir, "ca.crt"))
			if errors.Is(err, fs.ErrNotExist) {
				return nil, nil
			}
			return ca, err
		},
	}
}

// externalInit are the checks of an init, none where etcd is local.
func (m *machine) externalInit(in InitInput) []preflight.Check {
	c := in.Config
	if c.Cluster.Etcd.External == nil {
		return nil
	}
	t := m.externalTask(&c.Cluster, func(context.Context) (host.Files, error) { return m.host, nil })
	t.AllowData = in.AllowEtcdData
	t.Begun = func() (bool, error) { return m.begunSo(c) }
	return externalChecks(t)
}

// begunSo says whether an init with this configuration has begun here before.
// It noted so after its preflight.
func (m *machine) begunSo(c *config.Init) (bool, error) {
	if m.record == nil || m.record.Use != journal.UseInit {
		return false, nil
	}
	record, err := m.recordOf(c)
	if err != nil {
		return false, err
	}
	record.Patches = m.record.Patches // they say nothing of etcd
	return len(journal.Differ(m.record, &record)) == 0, nil
}

// externalJoin are the checks of a control plane that joins, none where etcd
// is local. Files returns those that it will have.
func (j *joiner) externalJoin(files func(context.Context) (host.Files, error)) []preflight.Check {
	if j.settled.Cluster.Etcd.External == nil {
		return nil
	}
	t := j.externalTask(&j.settled.Cluster, files)
	t.Joining = true
	list := externalChecks(t)
	for i, c := range list {
		list[i].Run = func(ctx context.Context) ([]string, error) {
			if _, err := files(ctx); err != nil {
				return nil, nil // another check says why there are none
			}
			return c.Run(ctx)
		}
	}
	return list
}

func externalChecks(t *external.Task) []preflight.Check {
	var list []preflight.Check
	for _, c := range t.Checks() {
		list = append(list, preflight.Check{Name: c.Name, Run: c.Run})
	}
	return list
}
