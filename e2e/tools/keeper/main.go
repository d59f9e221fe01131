//go:build linux

// Command keeper holds one lab. It is process 1 of the lab's own process,
// mount and network namespaces: everything of the lab lives inside them, so
// when the keeper ends, the kernel ends every node, unmounts every mount and
// removes every network device of the lab.
//
//	keeper hold STATE       sets the namespaces up, says "ready" on standard
//	                        output, then waits. With an owner's pipe as
//	                        standard input it ends when the owner does.
//	keeper spawn LOG PROCS -- COMMAND…
//	                        inside the namespaces: starts COMMAND as a child
//	                        of the keeper, in the control groups whose
//	                        cgroup.procs files PROCS lists (separated by
//	                        commas), and prints its process id.
//	keeper enter PID PROCS -- COMMAND…
//	                        runs COMMAND in the namespaces of PID, a node's
//	                        process 1, and ends with its exit code.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "keeper:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) == 2 && args[0] == "hold":
		return hold(args[1])
	case len(args) >= 5 && args[0] == "spawn" && args[3] == "--":
		return spawn(args[1], strings.Split(args[2], ","), args[4:])
	case len(args) >= 5 && args[0] == "enter" && args[3] == "--":
		code, err := enter(args[1], strings.Split(args[2], ","), args[4:])
		if err == nil {
			os.Exit(code)
		}
		return err
	}
	return errors.New("usage: keeper hold STATE | spawn LOG PROCS -- COMMAND… | enter PID PROCS -- COMMAND…")
}

// hold never returns without an error: the end of process 1 is the end of the
// lab, and that is always for the owner or for a signal to decide.
func hold(state string) error {
	if os.Getpid() != 1 {
		return errors.New("hold: not process 1 of a process namespace")
	}
	if err := setUp(state); err != nil {
		return err
	}
	if _, err := fmt.Println("ready"); err != nil {
		return err
	}
	children := make(chan os.Signal, 8)
	signal.Notify(children, syscall.SIGCHLD)
	signal.Ignore(syscall.SIGHUP, syscall.SIGINT, syscall.SIGPIPE)
	owner := make(chan error, 1)
	go func() {
		_, err := io.Copy(io.Discard, os.Stdin)
		owner <- err
	}()
	// A lab without an owner has /dev/null as its input, at its end at once.
	if kept() {
		owner = nil
	}
	for {
		select {
		case <-children:
			reap()
		case <-owner:
			return errors.New("the owner has ended")
		}
	}
}

// kept reports whether standard input is not an owner's pipe.
func kept() bool {
	info, err := os.Stdin.Stat()
	return err != nil || info.Mode()&os.ModeNamedPipe == 0
}

// setUp makes the inherited mounts private and gives the lab its own /proc
// and /run, so that nothing systemd-nspawn keeps there reaches the machine.
func setUp(state string) error {
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make the mounts private: %w", err)
	}
	if err := syscall.Mount("proc", "/proc", "proc", syscall.MS_NOSUID|syscall.MS_NODEV|syscall.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	if err := syscall.Mount("tmpfs", "/run", "tmpfs", syscall.MS_NOSUID|syscall.MS_NODEV, "mode=755"); err != nil {
		return fmt.Errorf("mount /run: %w", err)
	}
	// The lab's gateway answers "unreachable", at once and every time, instead
	// of dropping packets to the world outside: there is none.
	for name, value := range map[string]string{"ip_forward": "1", "icmp_ratelimit": "0"} {
		if err := os.WriteFile("/proc/sys/net/ipv4/"+name, []byte(value), 0o644); err != nil {
			return err
		}
	}
	return os.Chdir(state)
}

// reap collects every child that has ended, the keeper's own or adopted.
func reap() {
	for {
		pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
		if pid <= 0 || (err != nil && !errors.Is(err, syscall.EINTR)) {
			return
		}
	}
}

func spawn(log string, groups, argv []string) error {
	if err := join(groups); err != nil {
		return err
	}
	output, err := os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer output.Close()
	command := exec.Command(argv[0], argv[1:]...)
	command.Stdout, command.Stderr = output, output
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := command.Start(); err != nil {
		return err
	}
	fmt.Println(command.Process.Pid)
	return nil
}

// join moves this process to control groups.
func join(groups []string) error {
	for _, procs := range groups {
		if err := os.WriteFile(procs, []byte("0"), 0o644); err != nil {
			return fmt.Errorf("join control group: %w", err)
		}
	}
	return nil
}
