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
// not know it. C is settled.
func (m *machine) severalLearners(ctx context.Context, c *config.Init, only []string) error {
	l := c.Cluster.Etcd.Local
	if l == nil || l.ImageTag != "" {
		return nil
	}
	if _, own := staticpod.Extra(l.ExtraArgs, learnersFlag); own {
		return nil
	}
	begun, with, err := m.learnersHere(ctx, l.DataDir)
	if err != nil {
		return err
	}
	if begun && with || !begun && needs(only, []string{member.Name}) {
		l.ExtraArgs = append(l.ExtraArgs, config.Arg{Name: learnersFlag, Value: learners})
	}
	return nil
}

// learnersHere says whether anything of an etcd was begun on this node, and
// whether all that is left of that has the flag.
func (m *machine) learnersHere(ctx context.Context, dataDir string) (begun, with bool, err error) {
	with = true
	if m.record != nil {
		recorded := m.record.Config["clusterConfiguration.etcd.local.extraArgs["+learnersFlag+"].value"]
		begun, with = true, m.record.Use == journal.UseInit && recorded == learners
	}
	pod, err := staticpod.Read(ctx, m.host, config.ManifestsDir, member.Name)
	switch {
	case err == nil:
		value, _ := staticpod.Flag(pod, learnersFlag)
		return true, with && value == learners, nil
	case !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission):
		return false, false, err
	}
	if m.any(ctx, []string{logDir(dataDir)}) {
		return true, begun && with, nil // data alone does not say how it was made
	}
	return begun, with, nil
}
