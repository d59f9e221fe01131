package cleanup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"net/url"
	"path"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/templates/staticpod"
)

// evidence is what the manifests tell of etcd. It is kept in a file while
// they are gone and the reset is not at its end.
type evidence struct {
	// DataDir is the data directory that this node made, "" for none.
	DataDir string `json:"etcdDataDir,omitempty"`
	// WALDir is that of its write-ahead log, "" if that lies in DataDir.
	WALDir string `json:"etcdWALDir,omitempty"`
	// MemberGone says that a reset has seen that etcd counts no member of
	// this node any more.
	MemberGone bool `json:"memberGone,omitempty"`
	// External says that the API server used an etcd other than this node's.
	External bool `json:"externalEtcd,omitempty"`
	// Keep are the files with which it did, copied here by the user.
	Keep []string `json:"keep,omitempty"`
}

// keeps says whether a certificate belongs to an external etcd. Where that
// may run on this very host, all of its directory does.
func (e evidence) keeps(path string, ofEtcd bool) bool {
	return e.External && (ofEtcd || slices.Contains(e.Keep, path))
}

func (t *Task) evidencePath() string { return path.Join(t.KubeletDir, "hactl-reset.yaml") }

// findEvidence asks the manifests, then the journal, and what an earlier
// reset kept of both.
func (t *Task) findEvidence(ctx context.Context, f *found) error {
	server, err := t.pod(ctx, "kube-apiserver")
	if err != nil {
		return err
	}
	member, err := t.pod(ctx, "etcd")
	if err != nil {
		return err
	}
	kept, err := t.readEvidence(ctx)
	if err != nil {
		return err
	}
	switch {
	case t.DataDir != "":
		f.says = evidence{DataDir: t.DataDir, WALDir: kept.WALDir}
	case server != nil && usesOther(server):
		f.says = evidence{External: true, Keep: clientFiles(server)}
	case server != nil:
		f.says = evidence{DataDir: kept.DataDir, WALDir: kept.WALDir}
	case member != nil && kept.DataDir == "":
		// An etcd without an API server beside it serves other nodes.
		f.says = evidence{External: true, Keep: kept.Keep}
	default:
		f.says = kept
	}
	if member == nil || f.says.External {
		f.says.MemberGone = member == nil && kept.MemberGone
		return nil
	}
	f.says.MemberGone = false
	if dir, ok := staticpod.Flag(member, "data-dir"); ok && t.DataDir == "" {
		f.says.DataDir = dir
	}
	f.says.WALDir, _ = staticpod.Flag(member, "wal-dir")
	return nil
}

// clientFiles are those with which an API server asks etcd.
func clientFiles(server *corev1.Pod) []string {
	var list []string
	for _, flag := range []string{"etcd-cafile", "etcd-certfile", "etcd-keyfile"} {
		if file, ok := staticpod.Flag(server, flag); ok {
			list = append(list, path.Clean(file))
		}
	}
	return list
}

// pod reads a manifest, nil if there is none. With Force, what cannot be read
// says nothing, so that what it names is left alone.
func (t *Task) pod(ctx context.Context, name string) (*corev1.Pod, error) {
	pod, err := staticpod.Read(ctx, t.Host, t.manifestDir(), name)
	if errors.Is(err, fs.ErrNotExist) || err != nil && t.Force && ctx.Err() == nil {
		return nil, nil
	}
	if err != nil {
		return nil, &phases.Fault{
			What: "a manifest cannot be read, so nobody can say what this node made", Why: err,
			Fixes: []string{"mend it, or to leave alone what only it names, such as the data of etcd: --force"},
		}
	}
	return pod, nil
}

// usesOther says whether an API server uses an etcd elsewhere: one on its own
// node is asked over the loopback interface.
func usesOther(server *corev1.Pod) bool {
	servers, _ := staticpod.Flag(server, "etcd-servers")
	if servers == "" {
		return false
	}
	return !slices.ContainsFunc(strings.Split(servers, ","), func(s string) bool {
		u, err := url.Parse(s)
		if err != nil {
			return false
		}
		addr, err := netip.ParseAddr(u.Hostname())
		return u.Hostname() == "localhost" || err == nil && addr.IsLoopback()
	})
}

func (t *Task) readEvidence(ctx context.Context) (evidence, error) {
	var e evidence
	data, err := t.Host.ReadFile(ctx, t.evidencePath())
	if errors.Is(err, fs.ErrNotExist) {
		return e, nil
	}
	if err != nil {
		return e, err
	}
	if err := yaml.UnmarshalStrict(data, &e); err != nil {
		return e, fmt.Errorf("read %s: %w", t.evidencePath(), err)
	}
	return e, nil
}

// keepEvidence writes down what only the manifests tell, before they go. Of
// an external etcd it stays, so that no later reset takes what belongs to it.
func (t *Task) keepEvidence(ctx context.Context, f *found) error {
	if f.says.DataDir == "" && !f.says.External || len(f.manifests) == 0 {
		return nil
	}
	data, err := yaml.Marshal(f.says)
	if err != nil {
		return err
	}
	if !f.says.External {
		f.evidence = append(f.evidence, t.evidencePath())
	}
	return t.Host.WriteFile(ctx, t.evidencePath(), data, 0o600)
}

// dropEvidence is the end of a reset.
func (t *Task) dropEvidence(ctx context.Context, f *found) error {
	for _, p := range f.evidence {
		if err := t.Host.Remove(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

// Etcd is what the files of a node say of its etcd.
type Etcd struct {
	// DataDir is the data directory that this node made, "" for none. Data
	// says that there is data in it.
	DataDir string
	Data    bool
	// MemberGone says that an earlier reset has seen that etcd counts no
	// member of this node any more.
	MemberGone bool
	// External says that etcd runs elsewhere, or for other nodes.
	External bool
}

// LookEtcd tells of the node's etcd. It changes nothing.
func LookEtcd(ctx context.Context, t *Task) (Etcd, error) {
	f := &found{}
	if err := t.findEvidence(ctx, f); err != nil {
		return Etcd{}, err
	}
	err := t.findData(ctx, f)
	return Etcd{DataDir: f.says.DataDir, Data: f.data != "", MemberGone: f.says.MemberGone, External: f.says.External}, err
}
