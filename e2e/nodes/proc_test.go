//go:build linux

package nodes

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseStat(t *testing.T) {
	tests := map[string]struct {
		text   string
		want   procStat
		ok     bool
		reason string
	}{
		"Usual":    {"7 (sh) S 3 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 12345 99", procStat{'S', 3, 12345}, true, "field 22 is the start"},
		"Brackets": {"7 (a) b (c) Z 3 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 12345 99", procStat{'Z', 3, 12345}, true, "a name may hold anything"},
		"Short":    {"7 (sh) S 3", procStat{}, false, "no start"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := parseStat([]byte(tc.text))
			if (err == nil) != tc.ok || got != tc.want {
				t.Errorf("got %+v, %v; want %+v: %s", got, err, tc.want, tc.reason)
			}
		})
	}
}

func TestProcessIsNotItsSuccessor(t *testing.T) {
	self, err := findProcess(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if !self.alive() {
		t.Error("this process does not run")
	}
	self.Start++
	if self.alive() {
		t.Error("another process of the same number counts as the same")
	}
	if (process{}).alive() {
		t.Error("no process runs")
	}
}

func TestParseMountinfo(t *testing.T) {
	tests := map[string]struct {
		text string
		want hierarchies
	}{
		"Version1": {
			"30 23 0:26 / /sys/fs/cgroup ro - tmpfs tmpfs ro\n31 30 0:27 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n" +
				"32 30 0:28 / /sys/fs/cgroup/unified rw shared:3 - cgroup2 cgroup2 rw\n",
			hierarchies{mounts: []string{"/sys/fs/cgroup/cpu", "/sys/fs/cgroup/unified"}},
		},
		"Version2": {
			"31 30 0:27 / /sys/fs/cgroup rw shared:4 master:1 - cgroup2 cgroup2 rw,nsdelegate\n",
			hierarchies{mounts: []string{"/sys/fs/cgroup"}, unified: true},
		},
		"None": {"23 1 8:1 / / rw - ext4 /dev/vda rw\n", hierarchies{}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, parseMountinfo(tc.text), cmp.AllowUnexported(hierarchies{})); diff != "" {
				t.Errorf("hierarchies (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLabLock(t *testing.T) {
	t.Setenv("HACTL_LAB_STATE", t.TempDir())
	unlock, err := lockLab(t.Context(), "one")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tryLockLab("one"); !errors.Is(err, syscall.EWOULDBLOCK) {
		t.Errorf("second lock: %v", err)
	}
	other, err := tryLockLab("two")
	if err != nil {
		t.Fatal(err)
	}
	other()
	unlock()
	again, err := tryLockLab("one")
	if err != nil {
		t.Fatal(err)
	}
	again()
	if left, err := os.ReadDir(stateRoot()); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestRecord(t *testing.T) {
	t.Setenv("HACTL_LAB_STATE", t.TempDir())
	if _, err := readRecord("lab"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("record of no lab: %v", err)
	}
	if err := os.Mkdir(stateDir("lab"), 0o700); err != nil {
		t.Fatal(err)
	}
	want := record{Name: "lab", Keep: true, Keeper: process{PID: 7, Start: 9}, Nodes: []string{"cp-1"}}
	if err := want.write(); err != nil {
		t.Fatal(err)
	}
	got, err := readRecord("lab")
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("error %v, record (-want +got):\n%s", err, diff)
	}
}
