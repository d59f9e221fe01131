package app

import (
	"context"
	"errors"
	"path"
	"slices"
	"strings"

	"k8s.io/client-go/tools/clientcmd"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/etcd"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/controlplane"
	"github.com/hactl/hactl/phases/journal"
	"github.com/hactl/hactl/phases/member"
	"github.com/hactl/hactl/templates/staticpod"
)

// pods are the static pods of a control plane.
var pods = []string{member.Name, controlplane.APIServer, controlplane.ControllerManager, controlplane.Scheduler}

func manifestFiles() []string {
	var files []string
	for _, name := range pods {
		files = append(files, staticpod.Path(config.ManifestsDir, name))
	}
	return files
}

func kubeconfigFiles() []string {
	var files []string
	for _, name := range []string{"admin", "super-admin", "kubelet", "controller-manager", "scheduler"} {
		files = append(files, path.Join(config.KubernetesDir, name+".conf"))
	}
	return files
}

// logDir is there once etcd has stored something; without it etcd begins
// anew (etcd v3.7, server/storage/wal, Exist).
func logDir(dataDir string) string { return path.Join(dataDir, "member", "wal") }

// inventory is what a node has of a cluster.
type inventory struct {
	// same and other are the manifests that this run would write and those
	// that it would not.
	same, other []string
	data        string // of etcd, "" if there is none
	missing     []string
	server      string // that the kubelet talks to, "" without kubelet.conf
	rotated     bool   // the kubelet has got a certificate of its own
}

// inventory looks at the node. What cannot be read is left to preflight.
func (m *machine) inventory(ctx context.Context, c *config.Init, s *Initial) inventory {
	var v inventory
	for _, name := range pods {
		file := staticpod.Path(config.ManifestsDir, name)
		if !m.any(ctx, []string{file}) {
			continue
		}
		if same, err := s.manifest(ctx, name); err == nil && same {
			v.same = append(v.same, file)
		} else {
			v.other = append(v.other, file)
		}
	}
	if l := c.Cluster.Etcd.Local; l != nil && m.any(ctx, []string{logDir(l.DataDir)}) {
		v.data = l.DataDir
		// They are made before etcd first runs, and no others open its data.
		for _, name := range []string{"ca.crt", "sa.key", "etcd/ca.crt"} {
			if file := path.Join(c.Cluster.CertificatesDir, name); !m.any(ctx, []string{file}) {
				v.missing = append(v.missing, file)
			}
		}
	}
	v.server, v.rotated = m.kubeletServer(ctx)
	return v
}

// kubeletServer says which API server the kubelet talks to, and whether with
// a certificate that the cluster gave it.
func (m *machine) kubeletServer(ctx context.Context) (server string, rotated bool) {
	data, err := m.host.ReadFile(ctx, path.Join(config.KubernetesDir, "kubelet.conf"))
	if err != nil {
		return "", false
	}
	kubeconfig, err := clientcmd.Load(data)
	if err != nil {
		return "", false
	}
	current := kubeconfig.Contexts[kubeconfig.CurrentContext]
	if current == nil || kubeconfig.Clusters[current.Cluster] == nil {
		return "", false
	}
	user := kubeconfig.AuthInfos[current.AuthInfo]
	return kubeconfig.Clusters[current.Cluster].Server, user != nil && user.ClientCertificate != ""
}

// mayBegin refuses to make a new cluster where there is one: on a node that
// belongs to another one, or beside data that the new one would lose. It
// returns whether an earlier run with this configuration goes on. What users
// ask preflight to ignore is ignored here, too.
func (m *machine) mayBegin(ctx context.Context, c *config.Init, s *Initial) (resumed bool, err error) {
	v := m.inventory(ctx, c, s)
	ours := m.record != nil && m.record.Use == journal.UseInit
	ignored := func(kind string, paths ...string) bool {
		return !slices.ContainsFunc(paths, func(p string) bool { return !ignores(c.Node.IgnorePreflight, kind+strings.ReplaceAll(p, "/", "-")) })
	}
	resumed = len(v.other) == 0 && (len(v.same) > 0 || ours && v.data != "" && len(v.missing) == 0)
	switch {
	case m.record != nil && m.record.Use == journal.UseJoin:
		return false, m.joined(v, "it joined the cluster as "+m.record.Node+" ("+journal.Path+")")
	case len(v.other) > 0 && !ignored("FileAvailable-", v.other...):
		return false, m.foreign(v, ours)
	case v.data != "" && len(v.missing) > 0 && !ignored("DirAvailable-", v.data):
		return false, orphaned(v, "its certificates are gone: "+strings.Join(v.missing, ", "))
	case v.data != "" && !resumed && !ignored("DirAvailable-", v.data):
		return false, orphaned(v, "and this node has no control plane that it belongs to")
	case v.data == "" && len(v.same) == 0 && !ours && v.rotated:
		return false, m.joined(v, "")
	}
	return resumed, nil
}

// ignores says whether users want a preflight check to be only a warning.
func ignores(list []string, check string) bool {
	return slices.ContainsFunc(list, func(name string) bool {
		name = strings.TrimSpace(name)
		return strings.EqualFold(name, "all") || strings.EqualFold(name, check)
	})
}

// found lists what the node has, a line each.
func (v inventory) found(first ...string) error {
	lines := slices.DeleteFunc(first, func(line string) bool { return line == "" })
	if v.server != "" {
		lines = append(lines, "its kubelet talks to "+v.server)
	}
	if v.data != "" {
		lines = append(lines, "etcd has data in "+v.data)
	}
	return errors.New(strings.Join(lines, "\n"))
}

// joined is for a node that joined a cluster.
func (m *machine) joined(v inventory, how string) error {
	return &phases.Fault{
		What: "this machine is a node of a cluster already",
		Why:  v.found(how),
		Fixes: []string{
			"to make a further control plane of that cluster, run on one of its control planes: hactl token create --control-plane",
			"if this machine should leave that cluster: hactl reset, then the same command again",
		},
		Exit: phases.CodeUnsafe,
	}
}

// foreign is for a node with a control plane that this init would not make.
func (m *machine) foreign(v inventory, ours bool) error {
	names := strings.Join(v.other, ", ")
	if ours {
		return &phases.Fault{
			What: "this machine is a control plane already, and something has changed it since",
			Why:  v.found("not as this configuration, with this version of hactl, makes them: " + names),
			Fixes: []string{
				"if it was upgraded or changed on purpose, there is nothing to do: init is over",
				"to write one anew, such as the API server's: hactl init phase control-plane apiserver",
				"if the cluster is no longer wanted: hactl reset, then the same command again",
			},
			Exit: phases.CodeUnsafe,
		}
	}
	return &phases.Fault{
		What: "this machine is a control plane of a cluster already",
		Why:  v.found("not made by an init with this configuration: " + names),
		Fixes: []string{
			"if an earlier init made it, run with the configuration of that time",
			"if the cluster is no longer wanted: hactl reset, then the same command again",
		},
		Exit: phases.CodeUnsafe,
	}
}

// orphaned is for data without the cluster around it.
func orphaned(v inventory, why string) error {
	return &phases.Fault{
		What: "there is the data of a cluster on this machine, in " + v.data,
		Why:  errors.New("a new cluster could not use it, or would mix with it; " + why),
		Fixes: []string{
			"keep it, and begin with nothing: " + etcd.SetAside(v.data),
			"if it is no longer wanted: hactl reset, then the same command again",
			"to bring that cluster up again, put its /etc/kubernetes/pki back and run: hactl init --ignore-preflight-errors=DirAvailable-" + strings.ReplaceAll(v.data, "/", "-"),
		},
		Exit: phases.CodeUnsafe,
	}
}
