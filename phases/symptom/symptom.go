// Package symptom turns the last words of a component that does not stay up
// into what a person can do about it.
package symptom

import (
	"context"
	"fmt"
	"strings"

	"github.com/hactl/hactl/phases/host"
)

// Lines is how many of the last log lines are shown to people.
const Lines = 5

// Journal returns the last Lines lines of a unit, without the service
// manager's own, which tell nothing of the cause. It returns none if there is
// no journal.
func Journal(ctx context.Context, commands host.Commands, unit string) []string {
	out, err := commands.Probe(ctx, "journalctl", "-u", unit, "-n", fmt.Sprint(Lines*4), "-o", "cat", "--no-pager")
	if err != nil {
		return nil
	}
	var lines []string
	for line := range strings.Lines(string(out)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, unit+":") {
			lines = append(lines, line)
		}
	}
	return lines[max(0, len(lines)-Lines):]
}

// Tail is the lines as the end of a sentence that says what is wrong, "" for
// none.
func Tail(lines []string) string {
	if len(lines) == 0 {
		return ""
	}
	return "; its last lines:\n  " + strings.Join(lines, "\n  ")
}

// Hints are instructions for what the lines are known to mean.
func Hints(lines []string) []string {
	text := strings.ToLower(strings.Join(lines, "\n"))
	known := []struct{ says, do string }{
		{"address already in use", "free the port that the log names; who has it: ss -ltnp"},
		{"no space left on device", "make room on the disk: df -h"},
		{"permission denied", "look at the owner and mode of the file that the log names"},
		{"cgroup v1", "run the machine with cgroup v2, or set failCgroupV1: false in a KubeletConfiguration document"},
		{"cgroup driver", "set cgroupDriver in a KubeletConfiguration document to the runtime's"},
		{"running with swap on is not supported", "turn swap off: swapoff -a, and take it out of /etc/fstab"},
		{"unauthorized", "the token is not valid any more; make a new one on a control-plane node: hactl token create --print-join-command"},
		{"certificate signed by unknown authority", "the certificates do not belong together; compare: openssl verify -CAfile /etc/kubernetes/pki/ca.crt /etc/kubernetes/pki/apiserver.crt"},
		{"unknown flag", "take the flag that the log names out of extraArgs or kubeletExtraArgs"},
	}
	var list []string
	for _, k := range known {
		if strings.Contains(text, k.says) {
			list = append(list, k.do)
		}
	}
	return list
}
