//go:build linux

package nodes

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// hierarchies is how this machine mounts its control groups. On version 1
// (and the hybrid of both) there is one hierarchy for each controller, on
// version 2 a single one.
//
// The lab was tested on version 1, in a hybrid layout. The code for version 2
// follows the kernel's cgroup-v2.rst and systemd-nspawn(1).
type hierarchies struct {
	mounts  []string
	unified bool
}

func findHierarchies() (hierarchies, error) {
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return hierarchies{}, err
	}
	h := parseMountinfo(string(data))
	if len(h.mounts) == 0 {
		return h, errors.New("no control groups are mounted below /sys/fs/cgroup")
	}
	return h, nil
}

func parseMountinfo(text string) hierarchies {
	var h hierarchies
	for scan := bufio.NewScanner(strings.NewReader(text)); scan.Scan(); {
		before, after, ok := strings.Cut(scan.Text(), " - ")
		fields := strings.Fields(before)
		if !ok || len(fields) < 6 {
			continue
		}
		kind, _, _ := strings.Cut(after, " ")
		if kind != "cgroup" && kind != "cgroup2" {
			continue
		}
		h.mounts = append(h.mounts, fields[4])
		if kind == "cgroup2" && fields[4] == "/sys/fs/cgroup" {
			h.unified = true
		}
	}
	return h
}

func cgroupName(lab string) string { return "hactl-lab-" + lab }

// dirs is the group of a node, or of the keeper, in every hierarchy.
func (h hierarchies) dirs(lab, member string) []string {
	var dirs []string
	for _, mount := range h.mounts {
		dirs = append(dirs, filepath.Join(mount, cgroupName(lab), member))
	}
	return dirs
}

// create makes a group for member in every hierarchy, and returns the files
// that a process joins them by.
func (h hierarchies) create(lab, member string) (procs []string, err error) {
	for _, mount := range h.mounts {
		dir := mount
		for part := range strings.SplitSeq(filepath.Join(cgroupName(lab), member), string(filepath.Separator)) {
			parent := dir
			dir = filepath.Join(parent, part)
			if err := makeGroup(parent, dir); err != nil {
				return nil, fmt.Errorf("control group %s: %w", dir, err)
			}
		}
		procs = append(procs, filepath.Join(dir, "cgroup.procs"))
	}
	return procs, nil
}

// makeGroup makes a group that processes can join and have children in.
func makeGroup(parent, dir string) error {
	// On version 2 a child has the controllers that its parent passes on.
	if data, err := os.ReadFile(filepath.Join(parent, "cgroup.controllers")); err == nil {
		for _, controller := range strings.Fields(string(data)) {
			err := os.WriteFile(filepath.Join(parent, "cgroup.subtree_control"), []byte("+"+controller), 0o644)
			if err != nil && !errors.Is(err, fs.ErrPermission) {
				return fmt.Errorf("pass on controller %s: %w", controller, err)
			}
		}
	}
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	// On version 1 nobody can join a cpuset without processors and memory.
	for _, name := range []string{"cpuset.cpus", "cpuset.mems"} {
		own, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || strings.TrimSpace(string(own)) != "" {
			continue
		}
		data, err := os.ReadFile(filepath.Join(parent, name))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil && strings.TrimSpace(string(data)) != "" {
			return err
		}
	}
	inherit := filepath.Join(dir, "cgroup.clone_children")
	if _, err := os.Stat(inherit); err == nil {
		return os.WriteFile(inherit, []byte("1"), 0o644)
	}
	return nil
}

// freeze stops every process of a node where it stands.
func (h hierarchies) freeze(lab, member string) error {
	file, frozen, _ := h.freezer(lab, member)
	if file == "" {
		return errors.New("this machine's control groups cannot freeze processes")
	}
	return os.WriteFile(file, []byte(frozen), 0o644)
}

// thaw lets them continue. It is no error if they were not frozen.
func (h hierarchies) thaw(lab, member string) error {
	file, _, thawed := h.freezer(lab, member)
	if file == "" {
		return nil
	}
	return os.WriteFile(file, []byte(thawed), 0o644)
}

// freezer is the file that freezes a node, and the words to write there; ""
// if there is none.
func (h hierarchies) freezer(lab, member string) (file, frozen, thawed string) {
	name, frozen, thawed := "freezer.state", "FROZEN", "THAWED"
	if h.unified {
		name, frozen, thawed = "cgroup.freeze", "1", "0"
	}
	for _, dir := range h.dirs(lab, member) {
		file := filepath.Join(dir, name)
		if _, err := os.Stat(file); err == nil {
			return file, frozen, thawed
		}
	}
	return "", frozen, thawed
}

// frozen reports whether a node is paused.
func (h hierarchies) frozen(lab, member string) bool {
	file, _, thawed := h.freezer(lab, member)
	data, err := os.ReadFile(file)
	return err == nil && strings.TrimSpace(string(data)) != thawed
}

// remove takes the groups of a member away, or of the whole lab if member is
// "". Their processes must have ended; the kernel may need a moment to see it.
func (h hierarchies) remove(ctx context.Context, lab, member string) error {
	return until(ctx, 10*time.Second, "removal of the control groups of "+lab+" "+member, func() (bool, error) {
		busy := false
		for _, dir := range h.dirs(lab, member) {
			busy = !removeGroups(dir) || busy
		}
		return !busy, nil
	})
}

// removeGroups removes a group and the groups in it, and reports whether it
// is gone. A control group's directory holds files that cannot be removed, so
// os.RemoveAll is of no use.
func removeGroups(dir string) bool {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return true
	}
	for _, e := range entries {
		if e.IsDir() {
			removeGroups(filepath.Join(dir, e.Name()))
		}
	}
	err = os.Remove(dir)
	return err == nil || errors.Is(err, fs.ErrNotExist)
}
