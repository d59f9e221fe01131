//go:build linux

package build

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
)

// ErrHost means that no lab can run on this machine or for this user.
var ErrHost = errors.New("the lab needs root on Linux with Debian's apt")

// CheckHost returns ErrHost if no lab can run here.
func CheckHost() error {
	switch {
	case runtime.GOOS != "linux":
		return fmt.Errorf("%w; this is %s", ErrHost, runtime.GOOS)
	case os.Geteuid() != 0:
		return fmt.Errorf("%w; this is user %d: use sudo", ErrHost, os.Geteuid())
	}
	return nil
}

// hostTools are the programs that the lab runs on the machine itself, and the
// Debian packages they come from.
var hostTools = []struct{ program, pkg string }{
	{"debootstrap", "debootstrap"},
	{"systemd-nspawn", "systemd-container"},
	{"nsenter", "util-linux"},
	{"mount", "mount"},
}

// prepareHost installs the programs that are missing.
func prepareHost(ctx context.Context) error {
	if err := CheckHost(); err != nil {
		return err
	}
	var missing []string
	for _, t := range hostTools {
		if _, err := exec.LookPath(t.program); err != nil {
			missing = append(missing, t.pkg)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	if _, err := exec.LookPath("apt-get"); err != nil {
		return fmt.Errorf("%w; there is no apt-get, and these packages are missing: %s", ErrHost, strings.Join(missing, " "))
	}
	install := append([]string{"apt-get", "install", "-y", "--no-install-recommends"}, missing...)
	if output(ctx, nil, install...) == nil {
		return nil
	}
	// The package lists of a fresh machine are empty or old.
	if err := output(ctx, nil, "apt-get", "update"); err != nil {
		return err
	}
	return output(ctx, nil, install...)
}

// output runs a command quietly. On failure the error ends with the last
// lines that the command printed.
func output(ctx context.Context, attr *syscall.SysProcAttr, argv ...string) error {
	var both bytes.Buffer
	command := exec.CommandContext(ctx, argv[0], argv[1:]...)
	command.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C.UTF-8")
	command.Stdout, command.Stderr = &both, &both
	command.SysProcAttr = attr
	if err := command.Run(); err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(argv, " "), err, lastLines(both.String(), 12))
	}
	return nil
}

func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
