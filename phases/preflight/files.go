package preflight

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hactl/hactl/etcd"
)

// manifestChecks want no static Pods of another control plane.
func (t *Task) manifestChecks(f *facts) []Check {
	var list []Check
	for _, name := range []string{"kube-apiserver", "kube-controller-manager", "kube-scheduler", "etcd"} {
		path := filepath.Join(t.Manifests, name+".yaml")
		list = append(list, Check{"FileAvailable-" + dashed(path), func(ctx context.Context) ([]string, error) {
			return nil, t.available(ctx, f, path)
		}})
	}
	return list
}

func (t *Task) available(ctx context.Context, f *facts, path string) error {
	_, err := t.Host.Stat(ctx, path)
	if f.resumed || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fault("it cannot be seen whether "+path+" is there", err, "ls -l "+path)
	}
	return fault(path+" is there already", errors.New("another control plane was set up on this machine, or is still"),
		"if it is no longer wanted: hactl reset",
		"if an earlier hactl init made it, run hactl init with the configuration of that time")
}

// etcdChecks want room for this node's own etcd, or what is needed to speak
// to an external one.
func (t *Task) etcdChecks(f *facts) []Check {
	if !t.ExternalEtcd {
		return []Check{{"DirAvailable-" + dashed(t.EtcdDataDir), func(ctx context.Context) ([]string, error) {
			return nil, t.empty(ctx, f, t.EtcdDataDir)
		}}}
	}
	return []Check{{"ExternalEtcdClientCertificates", func(ctx context.Context) ([]string, error) {
		var errs []error
		for _, path := range t.ClientFiles {
			if _, err := t.Host.Stat(ctx, path); err != nil {
				errs = append(errs, fault(path+" is missing", err, "copy it from a host of the external etcd"))
			}
		}
		return nil, errors.Join(errs...)
	}}}
}

func (t *Task) empty(ctx context.Context, f *facts, dir string) error {
	info, err := t.Host.Stat(ctx, dir)
	if f.resumed || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fault("it cannot be seen what is in "+dir, err, "ls -la "+dir)
	}
	if !info.Mode.IsDir() {
		return fault(dir+" is no directory", nil, "move it away: mv "+dir+" "+dir+".old")
	}
	// A file system of its own has lost+found, and a reset keeps the old data
	// there; etcd minds neither.
	names := slices.DeleteFunc(slices.Clone(info.Names), func(n string) bool {
		return n == "lost+found" || strings.HasPrefix(n, "backup-")
	})
	if len(names) == 0 {
		return nil
	}
	if !slices.Contains(names, "member") {
		return fault(dir+" is not empty", fmt.Errorf("it holds %s, which is no data of etcd", some(names)),
			"if nobody knows what it is, keep it: mv "+dir+"/* DIRECTORY")
	}
	return fault(dir+" is not empty", fmt.Errorf("it holds %s: an etcd has stored data here", some(names)),
		"if the data is no longer wanted: hactl reset",
		"if it is, or nobody knows, keep it: "+etcd.SetAside(dir))
}

// some shortens a long list.
func some(names []string) string {
	const most = 5
	if len(names) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}
