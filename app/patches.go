package app

import (
	"context"
	"path"

	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/templates/patch"
)

// patches reads the user's patches; nil if there is no directory of them.
func (m *machine) patches(ctx context.Context, dir string, notify func(phases.Event)) (*patch.Set, error) {
	if dir == "" {
		return nil, nil
	}
	refuse := func(err error) error {
		return &phases.Fault{
			What:  "the patches in " + dir + " cannot be used",
			Why:   err,
			Fixes: []string{"see the directory that --patches, or patches.directory in the file, names: its files are target[suffix][+type].yaml"},
			Exit:  phases.CodeUsage,
		}
	}
	info, err := m.host.Stat(ctx, dir)
	if err != nil {
		return nil, refuse(err)
	}
	files := map[string][]byte{}
	for _, name := range info.Names {
		file := path.Join(dir, name)
		if info, err := m.host.Stat(ctx, file); err != nil || info.Mode.IsDir() {
			continue
		}
		if files[name], err = m.host.ReadFile(ctx, file); err != nil {
			return nil, refuse(err)
		}
	}
	set, err := patch.Parse(files)
	if err != nil {
		return nil, refuse(err)
	}
	for _, reason := range set.Ignored {
		notify(m.warning("not used as a patch: " + path.Join(dir, reason)))
	}
	return set, nil
}

// patch gives the patches to all that writes something patchable.
func (s *Initial) patch(set *patch.Set) {
	if set == nil {
		return
	}
	s.member.Patches, s.controlPlane.Patches, s.kubelet.Patches = set, set, set
	s.addons.Patch = func(_ context.Context, target string, manifest []byte) ([]byte, error) {
		return set.Apply(target, manifest)
	}
}
