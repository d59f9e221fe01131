package member

import (
	"path"

	corev1 "k8s.io/api/core/v1"

	"github.com/hactl/hactl/templates/staticpod"
)

// walOf is where the member of a manifest keeps its write-ahead log.
func walOf(pod *corev1.Pod, dataDir string) string {
	if dir, ok := staticpod.Flag(pod, "wal-dir"); ok && dir != "" {
		return dir
	}
	if dir, ok := staticpod.Flag(pod, "data-dir"); ok {
		dataDir = dir
	}
	return path.Join(dataDir, "member", "wal")
}

// walDir is where the write-ahead log lies.
func (t *Task) walDir() string {
	l := t.Cluster.Etcd.Local
	if dir, ok := staticpod.Extra(l.ExtraArgs, "wal-dir"); ok {
		return dir
	}
	return path.Join(l.DataDir, "member", "wal")
}
