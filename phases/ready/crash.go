package ready

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/cri"
	"github.com/hactl/hactl/phases/host"
	"github.com/hactl/hactl/phases/wait"
)

const (
	// hopeless is the number of ends after which a component is taken to be
	// broken and not only early: one that is early finds what it needs
	// within its first tries.
	hopeless = 3
	// told is how many of the last log lines are shown.
	told = 5
)

// dead is the component's newest container if it has ended, else zero. One
// that is dead already when the wait begins tells nothing: its cause may be
// mended by now, and the kubelet has not tried again.
func (t *Task) dead(ctx context.Context, name string) cri.Container {
	if c, ok := t.newest(ctx, name); ok && c.State == cri.Exited {
		return c
	}
	return cri.Container{}
}

// crashed returns why the component whose container is dead cannot become
// healthy, nil if it still can.
func (t *Task) crashed(ctx context.Context, dead cri.Container) error {
	if dead.ID == "" || dead.Attempt+1 < hopeless {
		return nil
	}
	lines, _ := t.Runtime.Logs(ctx, dead, told)
	why := fmt.Errorf("%s ended %d times, last with exit code %d%s", dead.Name, dead.Attempt+1, dead.ExitCode, tail(lines))
	return &phases.Fault{
		What:  dead.Name + " does not stay up",
		Why:   why,
		Fixes: append(hints(lines), "then run the same command again: finished phases are kept"),
	}
}

// diagnose gives the cause of a timeout where one can be seen: a component
// that the kubelet has not tried again since the wait began.
func (t *Task) diagnose(ctx context.Context, err error) error {
	var timeout *wait.TimeoutError
	if !errors.As(err, &timeout) {
		return err
	}
	for _, name := range t.names() {
		if crash := t.crashed(ctx, t.dead(ctx, name)); crash != nil {
			return crash
		}
	}
	return err
}

// status says what a person would want to know while the component is not
// healthy: is its container there at all?
func (t *Task) status(ctx context.Context, name string, err error) string {
	c, ok := t.newest(ctx, name)
	switch {
	case !ok:
		return "no container yet"
	case c.State == cri.Exited:
		return fmt.Sprintf("ended with exit code %d, try %d", c.ExitCode, c.Attempt+1)
	case c.State != cri.Running:
		return "container " + string(c.State)
	}
	return short(err)
}

func (t *Task) newest(ctx context.Context, name string) (cri.Container, bool) {
	list, err := t.Runtime.Containers(ctx, cri.Filter{Namespace: "kube-system", Name: name})
	if err != nil || len(list) == 0 {
		return cri.Container{}, false
	}
	return list[0], true
}

// kubeletCrashed returns why the kubelet cannot become healthy, nil if it
// still can.
func (t *Task) kubeletCrashed(ctx context.Context) error {
	s, err := t.Host.Services().Status(ctx, config.KubeletUnit)
	if err != nil || s.Restarts < hopeless || !s.Failed {
		return nil
	}
	lines := journal(ctx, t.Host)
	return &phases.Fault{
		What:  "the kubelet does not stay up",
		Why:   fmt.Errorf("%s restarted %d times (%s)%s", config.KubeletUnit, s.Restarts, s.Detail, tail(lines)),
		Fixes: append(hints(lines), "look at: journalctl -xeu kubelet", "then run the same command again: finished phases are kept"),
	}
}

// journal returns the kubelet's last lines, none if there is no journal.
func journal(ctx context.Context, commands host.Commands) []string {
	out, err := commands.Probe(ctx, "journalctl", "-u", config.KubeletUnit, "-n", fmt.Sprint(told*4), "-o", "cat", "--no-pager")
	if err != nil {
		return nil
	}
	var lines []string
	for line := range strings.Lines(string(out)) {
		// The service manager's own lines tell nothing of the cause.
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, config.KubeletUnit+":") {
			lines = append(lines, line)
		}
	}
	return lines[max(0, len(lines)-told):]
}

func tail(lines []string) string {
	if len(lines) == 0 {
		return ""
	}
	return "; its last lines:\n  " + strings.Join(lines, "\n  ")
}

// hints turn what a log says into what a person can do.
func hints(lines []string) []string {
	text := strings.Join(lines, "\n")
	known := []struct{ says, do string }{
		{"address already in use", "free the port that the log names; who has it: ss -ltnp"},
		{"no space left on device", "make room on the disk: df -h"},
		{"permission denied", "look at the owner and mode of the file that the log names"},
		{"cgroup v1", "run the machine with cgroup v2, or set failCgroupV1: false in a KubeletConfiguration document"},
		{"different from docker cgroup driver", "set cgroupDriver in a KubeletConfiguration document to the runtime's"},
		{"misconfiguration: kubelet cgroup driver", "set cgroupDriver in a KubeletConfiguration document to the runtime's"},
		{"running with swap on is not supported", "turn swap off: swapoff -a, and take it out of /etc/fstab"},
		{"certificate signed by unknown authority", "the certificates do not belong together; compare: openssl verify -CAfile /etc/kubernetes/pki/ca.crt /etc/kubernetes/pki/apiserver.crt"},
		{"unknown flag", "take the flag that the log names out of extraArgs"},
	}
	var list []string
	for _, k := range known {
		if strings.Contains(text, k.says) {
			list = append(list, k.do)
		}
	}
	return list
}
