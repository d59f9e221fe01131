//go:build linux

package nodes

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// limits are the only settings of the machine that a lab changes, and only
// upwards: the kernel counts inotify instances for each user, and all nodes'
// programs run as the same one. With the usual 128, the kubelet of the fourth
// node does not start.
var limits = map[string]int{
	"/proc/sys/fs/inotify/max_user_instances": 8192,
	"/proc/sys/fs/inotify/max_user_watches":   524288,
}

// limitsLock is no lab's name.
const limitsLock = "limits."

// savedLimits is the file that remembers what the limits were.
func savedLimits() string { return filepath.Join(stateRoot(), "limits.json") }

// raiseLimits gives labs room, and remembers how it was before the first.
func raiseLimits(ctx context.Context, progress io.Writer) error {
	unlock, err := lockLab(ctx, limitsLock)
	if err != nil {
		return err
	}
	defer unlock()
	saved := make(map[string]int)
	if err := readJSON(savedLimits(), &saved); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for file, want := range limits {
		have, err := readLimit(file)
		if err != nil {
			return err
		}
		if have >= want {
			continue
		}
		if _, known := saved[file]; !known {
			saved[file] = have
		}
		// First the note, then the change: a crash between them costs nothing.
		if err := writeJSON(savedLimits(), saved); err != nil {
			return err
		}
		fmt.Fprintf(progress, "raise %s from %d to %d while labs run\n", strings.TrimPrefix(file, "/proc/sys/"), have, want)
		if err := os.WriteFile(file, []byte(strconv.Itoa(want)), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// restoreLimits puts the limits back when no lab runs any more. Somebody
// else's change in the meantime stays.
func restoreLimits(ctx context.Context) error {
	unlock, err := lockLab(ctx, limitsLock)
	if err != nil {
		return err
	}
	defer unlock()
	all, err := labs()
	if err != nil || slices.ContainsFunc(all, runs) {
		return err
	}
	saved := make(map[string]int)
	if err := readJSON(savedLimits(), &saved); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	for file, before := range saved {
		have, err := readLimit(file)
		if err != nil {
			return err
		}
		if have != limits[file] {
			continue
		}
		if err := os.WriteFile(file, []byte(strconv.Itoa(before)), 0o644); err != nil {
			return err
		}
	}
	return os.Remove(savedLimits())
}

// runs reports whether a lab of that name runs, or is about to: its directory
// is there before its keeper is.
func runs(lab string) bool {
	r, err := readRecord(lab)
	return err != nil || r.Keeper.alive()
}

func readLimit(file string) (int, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(data)))
}
