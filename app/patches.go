package app

import (
	"context"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/journal"
	"github.com/hactl/hactl/templates/patch"
)

// patches reads the user's patches: those in dir or, where no directory is
// given, those that an earlier run noted. It returns nil if there are none,
// and notes the files in m.
func (m *machine) patches(ctx context.Context, dir string, notify func(phases.Event)) (*patch.Set, error) {
	if dir == "" {
		return m.recordedPatches(notify)
	}
	refuse := func(err error) error {
		return &phases.Fault{
			What:  "the patches in " + dir + " cannot be used",
			Why:   err,
			Fixes: []string{"see the directory that --patches, or patches.directory in the file, names: its files are target[suffix][+type].yaml"},
			Exit:  phases.CodeUsage,
		}
	}
	files, err := m.filesIn(ctx, dir)
	if err != nil {
		return nil, refuse(err)
	}
	set, err := patch.Parse(files)
	if err != nil {
		return nil, refuse(err)
	}
	m.patchFiles = map[string]string{}
	for name, content := range files {
		if !slices.ContainsFunc(set.Ignored, func(reason string) bool { return strings.HasPrefix(reason, name+": ") }) {
			m.patchFiles[name] = string(content)
		}
	}
	for _, reason := range set.Ignored {
		notify(m.warning("not used as a patch: " + path.Join(dir, reason)))
	}
	return set, nil
}

// filesIn reads the files of a directory, without those below it.
func (m *machine) filesIn(ctx context.Context, dir string) (map[string][]byte, error) {
	info, err := m.host.Stat(ctx, dir)
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	for _, name := range info.Names {
		file := path.Join(dir, name)
		if info, err := m.host.Stat(ctx, file); err != nil || info.Mode.IsDir() {
			continue
		}
		if files[name], err = m.host.ReadFile(ctx, file); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// recordedPatches are those of an earlier run: what they changed must not
// change back because nobody thinks of them.
func (m *machine) recordedPatches(notify func(phases.Event)) (*patch.Set, error) {
	if m.record == nil || len(m.record.Patches) == 0 {
		return nil, nil
	}
	files := map[string][]byte{}
	for name, content := range m.record.Patches {
		files[name] = []byte(content)
	}
	set, err := patch.Parse(files)
	if err != nil {
		return nil, &phases.Fault{
			What: "the patches in " + journal.Path + " cannot be used", Why: err,
			Fixes: []string{"give the directory of the patches: --patches"},
		}
	}
	m.patchFiles = m.record.Patches
	names := strings.Join(slices.Sorted(maps.Keys(files)), ", ")
	notify(m.warning("patches of an earlier run are used, from " + journal.Path + ": " + names + "; " + dropPatches(m.record.Use)))
	return set, nil
}

// dropPatches says how a node gets rid of the patches that it knows. A whole
// init takes no other ones than before.
func dropPatches(use string) string {
	if use == journal.UseInit {
		return "to do without them, give the phases that they patch an empty directory, such as: hactl init phase control-plane all --patches EMPTY_DIR"
	}
	return "to do without them, add an empty directory to the same command: --patches EMPTY_DIR"
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
