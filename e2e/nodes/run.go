//go:build linux

package nodes

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// searchPath is where programs are looked for on a node.
const searchPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// nodeEnv is the whole environment of a command on a node: nothing of this
// machine's.
var nodeEnv = []string{"PATH=" + searchPath, "HOME=/root", "USER=root", "LANG=C.UTF-8", "TERM=" + terminal()}

func terminal() string {
	if name := os.Getenv("TERM"); name != "" {
		return name
	}
	return "dumb"
}

// Result is what a command on a node printed and how it ended.
type Result struct {
	Stdout, Stderr []byte
	Code           int // as a shell gives it: 127 not found, 128+N ended by signal N
}

// ExitError means that a command on a node ran and failed.
type ExitError struct {
	Node   string
	Argv   []string
	Result Result
}

// Error says which command failed, and the last that it printed.
func (e *ExitError) Error() string {
	text := strings.TrimSpace(string(e.Result.Stderr))
	if text == "" {
		text = strings.TrimSpace(string(e.Result.Stdout))
	}
	lines := strings.Split(text, "\n")
	return fmt.Sprintf("%s: %s: exit code %d: %s", e.Node, strings.Join(e.Argv, " "), e.Result.Code,
		strings.Join(lines[max(0, len(lines)-10):], "\n"))
}

// Run runs a command on the node and waits for it. If the command ends with
// another code than 0, the error is an *ExitError; the result is set too.
// There is no shell: argv is what the program gets.
func (n *Node) Run(ctx context.Context, argv ...string) (Result, error) {
	command, err := n.Command(ctx, argv...)
	if err != nil {
		return Result{Code: -1}, err
	}
	return n.finish(command, argv)
}

func (n *Node) finish(command *exec.Cmd, argv []string) (Result, error) {
	if n.lab.groups.frozen(n.lab.name, n.name) {
		return Result{Code: -1}, fmt.Errorf("%s: the node is paused", n.name)
	}
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	// When ctx ends, so does the command with its children, unless they have
	// become daemons; those must not keep the caller by holding its pipes.
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	command.Cancel = func() error { return syscall.Kill(-command.Process.Pid, syscall.SIGKILL) }
	command.WaitDelay = 5 * time.Second
	err := command.Run()
	result := Result{Stdout: stdout.Bytes(), Stderr: stderr.Bytes(), Code: command.ProcessState.ExitCode()}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		err = &ExitError{Node: n.name, Argv: argv, Result: result}
	}
	return result, err
}

// Command prepares a command on the node for a caller that needs its input,
// its output as it comes, or a terminal. It returns ErrOff if the node does
// not run. The command ends with the node.
func (n *Node) Command(ctx context.Context, argv ...string) (*exec.Cmd, error) {
	r, err := n.load()
	if err != nil {
		return nil, err
	}
	procs, err := n.visitors()
	if err != nil {
		return nil, err
	}
	argv = append([]string{"enter", fmt.Sprint(r.Init.PID), strings.Join(procs, ","), "--"}, argv...)
	command := exec.CommandContext(ctx, n.lab.record.Artifacts.Keeper, argv...)
	command.Env = nodeEnv
	// A killed keeper could not take the command with it.
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGHUP) }
	return command, nil
}

// visitors makes the control groups for commands from outside, and returns
// the files that a process joins them by. They are below the group that the
// node sees as its root: "payload" where systemd-nspawn has made one.
func (n *Node) visitors() ([]string, error) {
	var procs []string
	for _, dir := range n.lab.groups.dirs(n.lab.name, n.name) {
		if payload := filepath.Join(dir, "payload"); exists(payload) {
			dir = payload
		}
		group := filepath.Join(dir, "lab.exec")
		if err := makeGroup(dir, group); err != nil {
			return nil, fmt.Errorf("control group %s: %w", group, err)
		}
		procs = append(procs, filepath.Join(group, "cgroup.procs"))
	}
	return procs, nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// quietly runs a command of this machine. The error has what it printed.
func quietly(command *exec.Cmd) error {
	out, err := command.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(command.Args, " "), err, bytes.TrimSpace(out))
	}
	return nil
}

// WriteFile writes a file on the node, whole or not at all, and makes the
// directories that it needs.
func (n *Node) WriteFile(ctx context.Context, name string, data []byte, mode os.FileMode) error {
	return n.write(ctx, name, bytes.NewReader(data), mode)
}

// CopyTo copies a file of this machine to the node.
func (n *Node) CopyTo(ctx context.Context, local, remote string, mode os.FileMode) error {
	file, err := os.Open(local)
	if err != nil {
		return err
	}
	defer file.Close()
	return n.write(ctx, remote, file, mode)
}

func (n *Node) write(ctx context.Context, name string, data interface{ Read([]byte) (int, error) }, mode os.FileMode) error {
	const script = `set -e; mkdir -p "$(dirname "$1")"; next=$(mktemp "$1.XXXXXX"); cat >"$next"; chmod "$2" "$next"; mv "$next" "$1"`
	argv := []string{"sh", "-c", script, "sh", path.Clean(name), fmt.Sprintf("%o", mode.Perm())}
	command, err := n.Command(ctx, argv...)
	if err != nil {
		return err
	}
	command.Stdin = data
	_, err = n.finish(command, []string{"write", name})
	return err
}

// ReadFile returns a file's content.
func (n *Node) ReadFile(ctx context.Context, name string) ([]byte, error) {
	result, err := n.Run(ctx, "cat", "--", path.Clean(name))
	return result.Stdout, err
}

// Install copies a program of this machine to every node.
func (l *Lab) Install(ctx context.Context, local, remote string, mode os.FileMode) error {
	return each(l.Nodes(), func(n *Node) error { return n.CopyTo(ctx, local, remote, mode) })
}
