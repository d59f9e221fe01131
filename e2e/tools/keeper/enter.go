//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// namespaces are those of a node. The mount namespace comes last: with it go
// /proc and the paths of this machine.
var namespaces = []struct {
	name string
	kind int
}{
	{"cgroup", unix.CLONE_NEWCGROUP},
	{"ipc", unix.CLONE_NEWIPC},
	{"uts", unix.CLONE_NEWUTS},
	{"net", unix.CLONE_NEWNET},
	{"pid", unix.CLONE_NEWPID},
	{"mnt", unix.CLONE_NEWNS},
}

// enter runs a command in a node, as nsenter does, but for one thing: nsenter
// stops itself when the command is stopped. systemd-shutdown stops every
// process of a node before it ends them; then nsenter would stay stopped for
// ever, and the node would wait 90 s for it.
func enter(pid string, groups, argv []string) (code int, err error) {
	// Namespaces belong to a thread. The command must start from this one.
	runtime.LockOSThread()
	files := make([]*os.File, len(namespaces))
	for i, space := range namespaces {
		if files[i], err = os.Open("/proc/" + pid + "/ns/" + space.name); err != nil {
			return 0, err
		}
	}
	if err := join(groups); err != nil {
		return 0, err
	}
	// Threads share a working directory, and then cannot change their root.
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return 0, fmt.Errorf("unshare: %w", err)
	}
	for i, space := range namespaces {
		if err := unix.Setns(int(files[i].Fd()), space.kind); err != nil {
			return 0, fmt.Errorf("enter the %s namespace: %w", space.name, err)
		}
	}
	program, err := exec.LookPath(argv[0])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 127, nil // as a shell does
	}
	return runChild(program, argv)
}

// runChild runs the program until it ends, whatever signals come meanwhile.
func runChild(program string, argv []string) (int, error) {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM, syscall.SIGHUP)
	pid, err := syscall.ForkExec(program, argv, &syscall.ProcAttr{
		Env:   os.Environ(),
		Files: []uintptr{0, 1, 2},
	})
	if err != nil {
		return 0, fmt.Errorf("%s: %w", program, err)
	}
	go func() {
		for s := range signals {
			switch s {
			case syscall.SIGTERM:
				syscall.Kill(pid, syscall.SIGTERM)
			case syscall.SIGHUP: // the caller is gone, or has given up
				syscall.Kill(pid, syscall.SIGKILL)
			}
			// A terminal sends the others to the command as well.
		}
	}()
	var status syscall.WaitStatus
	for {
		_, err := syscall.Wait4(pid, &status, 0, nil)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil {
			return 0, fmt.Errorf("wait for %s: %w", program, err)
		}
		break
	}
	if status.Signaled() {
		return 128 + int(status.Signal()), nil
	}
	return status.ExitStatus(), nil
}
