package app

import (
	"context"
	"errors"
	"io/fs"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases/journal"
	"github.com/hactl/hactl/phases/member"
	"github.com/hactl/hactl/templates/staticpod"
)

// The flag by which etcd takes several learners at a time, so that control
// planes may join together: phases/member/DESIGN.md has why it is set at init
// or never.
const (
	learnersFlag = "max-learners"
	learners     = "4"
)

// severalLearners sets the flag for a new cluster, and for one that was begun
// with it. A user's own flag stays, and an etcd of the user's own choice may
// not know it. The configuration is settled.
func (m *machine) severalLearners(ctx context.Context, in InitInput) {
	l := in.Config.Cluster.Etcd.Local
	if l == nil || l.ImageTag != "" {
		return
	}
	if _, own := staticpod.Extra(l.ExtraArgs, learnersFlag); own {
		return
	}
	begun, with := m.learnersHere(ctx, l.DataDir)
	if !begun {
		with = needs(in.Only, []string{member.Name}) || m.learnersThere(ctx, in)
	}
	if with {
		l.ExtraArgs = append(l.ExtraArgs, config.Arg{Name: learnersFlag, Value: learners})
	}
}

// learnersHere says whether anything of an etcd was begun on this node, and
// whether all that is left of that has the flag. Data alone does not say.
func (m *machine) learnersHere(ctx context.Context, dataDir string) (begun, with bool) {
	recorded := m.record != nil && m.record.Use == journal.UseInit
	agrees := !recorded || m.record.Config["clusterConfiguration.etcd.local.extraArgs["+learnersFlag+"].value"] == learners
	pod, err := staticpod.Read(ctx, m.host, config.ManifestsDir, member.Name)
	switch {
	case err == nil:
		value, _ := staticpod.Flag(pod, learnersFlag)
		return true, agrees && value == learners
	case !errors.Is(err, fs.ErrNotExist):
		return true, false
	case recorded:
		return true, agrees
	}
	return m.record != nil || m.any(ctx, []string{logDir(dataDir)}), false
}

// learnersThere says whether a cluster whose configuration is uploaded anew,
// from a machine that has no etcd, has the flag.
func (m *machine) learnersThere(ctx context.Context, in InitInput) bool {
	if len(in.Only) == 0 || !needs(in.Only, []string{"upload-config"}) {
		return false
	}
	live := m.liveCluster(ctx, in)
	if live == nil || live.Etcd.Local == nil {
		return false
	}
	value, _ := staticpod.Extra(live.Etcd.Local.ExtraArgs, learnersFlag)
	return value == learners
}
