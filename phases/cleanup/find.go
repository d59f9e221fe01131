package cleanup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/hactl/hactl/phases/host"
)

// The files that init and join make, hactl's and kubeadm's alike (kubeadm
// v1.37 cmd/kubeadm/app/constants).
var (
	manifests = []string{"etcd.yaml", "kube-apiserver.yaml", "kube-controller-manager.yaml", "kube-scheduler.yaml"}
	confs     = []string{
		"admin.conf", "super-admin.conf", "kubelet.conf", "bootstrap-kubelet.conf",
		"controller-manager.conf", "scheduler.conf",
	}
	pairs = []string{
		"ca", "apiserver", "apiserver-kubelet-client", "apiserver-etcd-client",
		"front-proxy-ca", "front-proxy-client",
	}
	etcdPairs = []string{"ca", "server", "peer", "healthcheck-client"}
)

// foreign says why a file stays.
const foreign = "neither hactl nor kubeadm made it"

// etcdManifest is that of a member on this node.
const etcdManifest = "etcd.yaml"

// Left is one thing that a reset leaves alone.
type Left struct {
	What string `json:"what"` // a path, or a few words
	Why  string `json:"why"`
}

// found is what a reset would take away.
type found struct {
	manifests []string // paths
	confs     []string
	certs     []string
	certDirs  []string // to be removed once they are empty, the inner first
	tmp       []string
	kubelet   []string // entries of the kubelet's directory, without the evidence
	evidence  []string // paths
	data      string   // the directory that holds data of etcd, "" for none
	says      evidence
	left      []Left
}

func (f *found) nothing() bool {
	return len(f.manifests)+len(f.confs)+len(f.certs)+len(f.certDirs)+len(f.tmp)+len(f.kubelet)+len(f.evidence) == 0 && f.data == ""
}

// find looks at all that a reset may touch.
func (t *Task) find(ctx context.Context) (*found, error) {
	f := &found{}
	for _, look := range []func(context.Context, *found) error{
		t.findEvidence, t.findManifests, t.findConfs, t.findCerts, t.findTmp, t.findKubelet, t.findData,
	} {
		if err := look(ctx, f); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// names are the entries of a directory, none if it is not there or is
// something else.
func (t *Task) names(ctx context.Context, dir string) ([]string, error) {
	info, err := t.Host.Stat(ctx, dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look at %s: %w", dir, err)
	}
	return info.Names, nil
}

// known says whether an entry has one of the names, or is what a writer of
// that file left when it was killed.
func known(entry string, names []string) bool {
	return slices.ContainsFunc(names, func(n string) bool {
		return entry == n || strings.HasPrefix(entry, host.TempPrefix(n))
	})
}

func (t *Task) manifestDir() string { return path.Join(t.Dir, "manifests") }

func (t *Task) findManifests(ctx context.Context, f *found) error {
	dir := t.manifestDir()
	list, err := t.names(ctx, dir)
	for _, n := range list {
		p := path.Join(dir, n)
		switch {
		case n == etcdManifest && f.says.External:
			f.leave(p, "this etcd is not of the node's own control plane; its pod goes on, and no kubelet looks after it")
		case known(n, manifests):
			f.manifests = append(f.manifests, p)
		default:
			f.leave(p, "a static pod that neither hactl nor kubeadm made; it runs again with the next kubelet")
		}
	}
	return err
}

// findConfs also finds what a killed writer of a manifest left: it writes in
// the directory above.
func (t *Task) findConfs(ctx context.Context, f *found) error {
	list, err := t.names(ctx, t.Dir)
	for _, n := range list {
		p := path.Join(t.Dir, n)
		switch {
		case known(n, confs) || !slices.Contains(manifests, n) && known(n, manifests):
			f.confs = append(f.confs, p)
		case p != t.manifestDir() && p != path.Join(t.Dir, "tmp") && p != t.CertDir:
			f.leave(p, foreign)
		}
	}
	return err
}

func (t *Task) findCerts(ctx context.Context, f *found) error {
	if err := t.findCertsIn(ctx, f, path.Join(t.CertDir, "etcd"), certNames(etcdPairs)); err != nil {
		return err
	}
	names := append(certNames(pairs), "sa.key", "sa.pub", "etcd")
	return t.findCertsIn(ctx, f, t.CertDir, names)
}

// certNames are the files of pairs, with the requests for an external CA.
func certNames(pairs []string) []string {
	var names []string
	for _, p := range pairs {
		names = append(names, p+".crt", p+".key", p+".csr")
	}
	return names
}

func (t *Task) findCertsIn(ctx context.Context, f *found, dir string, names []string) error {
	info, err := t.Host.Stat(ctx, dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look at %s: %w", dir, err)
	}
	stays := 0
	for _, n := range info.Names {
		p := path.Join(dir, n)
		switch {
		case slices.Contains(f.certDirs, p): // goes with its content
		case n == "etcd" && known(n, names): // has been looked at
			stays++
		case f.says.keeps(p, dir == path.Join(t.CertDir, "etcd")):
			f.leave(p, "it belongs to the external etcd")
			stays++
		case known(n, names):
			f.certs = append(f.certs, p)
		default:
			f.leave(p, foreign)
			stays++
		}
	}
	if stays == 0 && !info.Link {
		f.certDirs = append(f.certDirs, dir)
	}
	return nil
}

func (t *Task) findTmp(ctx context.Context, f *found) error {
	dir := path.Join(t.Dir, "tmp")
	list, err := t.names(ctx, dir)
	if err != nil || len(list) == 0 {
		return err
	}
	if !t.CleanTmp {
		f.leave(dir, "what kubeadm keeps for later; to remove it too: --cleanup-tmp-dir")
		return nil
	}
	for _, n := range list {
		f.tmp = append(f.tmp, path.Join(dir, n))
	}
	return nil
}

func (t *Task) findKubelet(ctx context.Context, f *found) error {
	list, err := t.names(ctx, t.KubeletDir)
	for _, n := range list {
		p := path.Join(t.KubeletDir, n)
		switch {
		case p == t.evidencePath() && f.says.External:
			f.leave(p, "it notes what belongs to the external etcd")
		case p == t.Record || p == t.evidencePath():
			f.evidence = append(f.evidence, p)
		default:
			f.kubelet = append(f.kubelet, p)
		}
	}
	return err
}

func (f *found) leave(what, why string) { f.left = append(f.left, Left{what, why}) }
