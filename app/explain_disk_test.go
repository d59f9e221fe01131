package app

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/hactl/hactl/phases"
)

func TestExplainOfADisk(t *testing.T) {
	write := func(errno error) error {
		return fmt.Errorf("write: %w", &fs.PathError{Op: "open", Path: "/etc/kubernetes/.admin.conf.new", Err: errno})
	}
	for _, c := range []struct {
		name, reason string
		err          error
		want         string // in the fix; "" wants none
	}{
		{"Full", "a person makes room", write(syscall.ENOSPC), "df -h /etc/kubernetes"},
		{"NoNames", "inodes, too, can be used up", write(syscall.ENOSPC), "df -i /etc/kubernetes"},
		{"Quota", "the same for one user", write(syscall.EDQUOT), "df -h /etc/kubernetes"},
		{"ReadOnly", "a person finds out why, and remounts", write(syscall.EROFS), "findmnt --target /etc/kubernetes"},
		{"Broken", "nothing on that disk will do", write(syscall.EIO), "dmesg"},
		{"Rename", "the other kind of error with paths", &os.LinkError{Op: "rename", Old: "/a/x", New: "/b/x", Err: syscall.EROFS}, "findmnt --target /b;"},
		{"OwnFix", "a fix from where the cause is known comes first", &phases.Fault{What: "x", Why: write(syscall.ENOSPC), Fixes: []string{"own"}}, "own"},
		{"FaultWithoutFix", "the cause of a fault counts, too", &phases.Fault{What: "x", Why: write(syscall.ENOSPC)}, "df -h"},
		{"Missing", "not of the disk", write(fs.ErrNotExist), ""},
		{"NoPlace", "not of a file", errors.Join(syscall.ENOSPC), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := strings.Join(Explain(&phases.PhaseError{Phase: "certs", Err: c.err}).Fix, "\n")
			if !strings.Contains(got, c.want) || c.want == "" && got != "" || c.want == "own" && got != "own" {
				t.Errorf("%s: the fix is %q, want %q in it", c.reason, got, c.want)
			}
		})
	}
}
