package cleanup

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hactl/hactl/phases"
)

// rootCheck is kubeadm's name of the only check.
const rootCheck = "IsPrivilegedUser"

// PreflightPhase is phase preflight of reset: it wants root, says what will
// be lost and asks whether that is wanted.
func PreflightPhase() phases.Phase[Task] {
	return phases.Phase[Task]{
		Name:    "preflight",
		Aliases: []string{"pre-flight"},
		Title:   "say what will be lost, and ask",
		Reads:   []string{"/etc/kubernetes", "/var/lib/kubelet", "the pods in the container runtime"},
		Apply: func(ctx context.Context, t *Task) error {
			if err := t.root(ctx); err != nil {
				return err
			}
			if t.Force || t.DryRun {
				return nil
			}
			text, err := t.losses(ctx)
			if err != nil || text == "" {
				return err
			}
			yes, err := t.Ask(ctx, text)
			if err == nil && !yes {
				err = &phases.Fault{What: "not confirmed: nothing was changed"}
			}
			return err
		},
	}
}

// root wants the effective user to be root.
func (t *Task) root(ctx context.Context) error {
	status, err := t.Host.ReadFile(ctx, "/proc/self/status")
	if err != nil {
		return fmt.Errorf("find out which user runs this: %w", err)
	}
	for line := range strings.Lines(string(status)) {
		// real, effective, saved, file system: proc_pid_status(5)
		fields := strings.Fields(line)
		if len(fields) > 2 && fields[0] == "Uid:" && fields[2] == "0" {
			return nil
		}
	}
	fault := &phases.Fault{
		What:  "not root",
		Why:   errors.New("only root may stop services and remove files of the node"),
		Fixes: []string{"run the same command with sudo"},
		Exit:  phases.CodePreflight,
	}
	if slices.ContainsFunc(t.Ignore, func(n string) bool {
		return strings.EqualFold(n, "all") || strings.EqualFold(n, rootCheck)
	}) {
		phases.Warn(ctx, "ignored: "+rootCheck+": "+fault.Error())
		return nil
	}
	return fault
}

// losses says what a reset takes away, or "" if there is nothing.
func (t *Task) losses(ctx context.Context) (string, error) {
	f, err := t.find(ctx)
	if err != nil {
		return "", err
	}
	var lines []string
	add := func(n int, format string, args ...any) {
		if n > 0 {
			lines = append(lines, fmt.Sprintf("  "+format, args...))
		}
	}
	runs, _ := t.kubeletRuns(ctx) // if nobody can say, the phase that stops it does
	if runs {
		add(1, "the kubelet is stopped")
	}
	pods, _ := t.pods(ctx, f) // as above
	add(len(pods), "%s with their containers are removed", count(len(pods), "pod"))
	add(len(f.manifests), "removed: %s", strings.Join(f.manifests, "\n           "))
	add(len(f.confs), "removed: %s", strings.Join(f.confs, "\n           "))
	add(len(f.certs), "removed: %s in %s%s", count(len(f.certs), "certificate and key file"), t.CertDir, authorities(f.certs))
	add(len(f.tmp), "removed: what is in %s/tmp", t.Dir)
	add(len(f.kubelet), "removed: what is in %s, unmounted before", t.KubeletDir)
	add(len(f.data), "moved aside: the data of etcd in %s; its member leaves the cluster", f.data)
	if len(lines) == 0 {
		return "", nil
	}
	for _, l := range f.left {
		add(1, "left alone: %s (%s)", l.What, l.Why)
	}
	return "This is what is lost on " + t.NodeName + ":\n" + strings.Join(lines, "\n") + "\n", nil
}

// authorities says that keys go from which all others are made.
func authorities(certs []string) string {
	var keys []string
	for _, c := range certs {
		if strings.HasSuffix(c, "ca.key") {
			keys = append(keys, c)
		}
	}
	if len(keys) == 0 {
		return ""
	}
	return ", among them the keys of the cluster's CAs"
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
