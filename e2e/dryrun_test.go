//go:build e2e

package e2e

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hactl/hactl/e2e/nodes"
)

// announced is what a dry run says in JSON.
type announced struct {
	DryRun struct {
		Machine []struct{ Action, Target, Mode string }
		Objects []struct{ Verb, Kind, Namespace, Name string }
	}
}

// dryRunTellsAll compares what the dry run has announced with what the real
// run then changes: every file and directory of the machine, every service,
// every object.
func dryRunTellsAll(t *testing.T, w *watched, flags []string) {
	n := w.node
	before, unitsBefore := machineFiles(t, n), units(t, n)
	dry := hactl(t, n, append(flags, "--dry-run", "-o", "json")...)
	if dry.code != 0 {
		t.Fatalf("exit code %d\n%s%s", dry.code, dry.stdout, dry.stderr)
	}
	if diff := cmp.Diff(before, machineFiles(t, n)); diff != "" {
		t.Fatalf("the dry run changed the machine: -before +after\n%s", diff)
	}
	w.dry = dry.stdout + dry.stderr
	w.first = w.run(t, append(flags, "-o", "json")...)
	if w.first.code != 0 {
		t.Fatalf("exit code %d\n%s%s", w.first.code, w.first.stdout, w.first.stderr)
	}
	var a announced
	result(t, dry.stdout, &a)
	t.Run("Files", func(t *testing.T) {
		if changed := sameFiles(t, a, before, machineFiles(t, n)); changed < 30 {
			t.Errorf("only %d files have changed", changed)
		}
	})
	t.Run("Services", func(t *testing.T) { sameServices(t, n, a, unitsBefore, units(t, n)) })
	t.Run("Objects", func(t *testing.T) { sameObjects(t, n, a) })
}

// byOthers are files that the services of a node write by themselves, all the
// time or once the kubelet runs: no run of hactl announces them.
var byOthers = regexp.MustCompile(`^(/var/lib/containerd|/var/lib/etcd/member|/var/lib/kubelet/(pki|pods|plugins|plugins_registry|` +
	`device-plugins|checkpoints|actuated_pods_state|allocated_pods_state|cpu_manager_state|memory_manager_state|dra_manager_state|pod-resources|pods-api|userns|image_manager|\.lock)|` +
	`/var/log|/var/lib/systemd|/var/cache|/var/tmp|/etc/\.updated|/var/\.updated|/opt/cni|/etc/cni|/var/lib/cni|/var/lib/dbus|/usr/libexec/kubernetes|/tmp)(/|$)|/\.[^/]*\.lock$`)

// machineFiles is every file and directory on the machine's disk: mode and
// digest.
func machineFiles(t *testing.T, n *nodes.Node) map[string]string {
	t.Helper()
	const script = `no='-path /var/lib/containerd -o -path /usr -o -path /proc -o -path /sys -o -path /run -o -path /dev'
nor="$no -o -path /var/lib/etcd/member -o -path /var/log"
for d in / /var/lib/kubelet /var/lib/etcd; do
find $d -xdev \( $no \) -prune -o -type d -printf 'd %m - %p\n'
find $d -xdev \( $nor \) -prune -o -type f -size -10M -printf 'f %m - %p\n'
find $d -xdev \( $nor \) -prune -o -type f -size -10M -print0 | xargs -0 -r sha256sum -- || true
done`
	out := map[string]string{}
	for line := range strings.Lines(must(t, n, "sh", "-c", script)) {
		line = strings.TrimSuffix(line, "\n")
		if sum, file, ok := strings.Cut(line, "  "); ok && len(sum) == 64 {
			if at := out[file]; at != "" {
				out[file] = strings.TrimSuffix(at, "-") + sum
			}
			continue
		}
		if parts := strings.SplitN(line, " ", 4); len(parts) == 4 && !byOthers.MatchString(parts[3]) {
			out[parts[3]] = strings.Join(parts[:3], " ")
		}
	}
	return out
}

// sameFiles compares files and directories with their modes, and returns how
// many have changed.
func sameFiles(t *testing.T, a announced, before, after map[string]string) int {
	t.Helper()
	want, got := map[string]string{}, map[string]string{}
	for _, c := range a.DryRun.Machine {
		switch c.Action {
		case "write":
			want[c.Target] = "f " + strings.TrimPrefix(c.Mode, "0")
		case "mkdir":
			want[c.Target] = "d " + strings.TrimPrefix(c.Mode, "0")
		case "remove":
			delete(want, c.Target)
			if _, was := before[c.Target]; was {
				want[c.Target] = "gone"
			}
		}
	}
	for file, now := range after {
		if before[file] != now {
			fields := strings.Fields(now)
			got[file] = fields[0] + " " + fields[1]
		}
	}
	for file := range before {
		if _, is := after[file]; !is {
			got[file] = "gone"
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("files: -announced +changed\n%s", diff)
	}
	return len(got)
}

// units is every service: whether it runs, since when, and whether it starts
// at boot.
func units(t *testing.T, n *nodes.Node) map[string]string {
	t.Helper()
	out := map[string]string{}
	for block := range strings.SplitSeq(must(t, n, "systemctl", "show", "*.service", "-p", "Id,ActiveState,UnitFileState,MainPID,InvocationID"), "\n\n") {
		id := ""
		for line := range strings.Lines(block) {
			if v, ok := strings.CutPrefix(strings.TrimSpace(line), "Id="); ok {
				id = v
			}
		}
		// Those that systemd runs on its own clock.
		if !strings.HasPrefix(id, "systemd-") && !strings.HasPrefix(id, "user") {
			out[id] = block
		}
	}
	return out
}

func sameServices(t *testing.T, n *nodes.Node, a announced, before, after map[string]string) {
	want, got := map[string]bool{}, map[string]bool{}
	for _, c := range a.DryRun.Machine {
		switch c.Action {
		case "start", "restart":
			want[c.Target] = true
			if state := must(t, n, "systemctl", "is-active", c.Target); state != "active" {
				t.Errorf("%s was to %s and is %s", c.Target, c.Action, state)
			}
		case "enable":
			want[c.Target] = true
			must(t, n, "systemctl", "is-enabled", c.Target)
		case "write", "mkdir", "remove":
		default:
			t.Errorf("%s %s: this test does not know how to see whether it was done", c.Action, c.Target)
		}
	}
	for unit, now := range after {
		if before[unit] != now {
			got[unit] = true
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("services: -announced +changed\n%s", diff)
	}
}

// tokenID is the random part of a token's name.
var tokenID = regexp.MustCompile(`^bootstrap-token-[a-z0-9]{6}$`)

// components are who else writes to a cluster that has nothing in it.
var components = regexp.MustCompile(`^(kube-apiserver|kube-controller-manager|kube-scheduler|kubelet|api-priority-and-fairness-config-(consumer|producer)-v1|kubernetes-service-cidr-controller)$`)

// sameObjects compares the objects. Who has written one, the API server
// notes; that hactl gives its name each time shows in that every other
// writer is a component of Kubernetes.
func sameObjects(t *testing.T, n *nodes.Node, a announced) {
	want, got := map[string]int{}, map[string]int{}
	for _, c := range a.DryRun.Objects {
		if c.Verb == "delete" {
			t.Errorf("delete %s %s/%s: on an empty cluster", c.Kind, c.Namespace, c.Name)
		}
		want[path.Join(c.Kind, c.Namespace, tokenID.ReplaceAllString(c.Name, "bootstrap-token-<id>"))]++
	}
	resources := strings.Fields(must(t, n, "env", admin, "kubectl", "api-resources", "--verbs=list", "-o", "name"))
	all := list(t, n, strings.Join(resources, ","), "--show-managed-fields")
	accounts := map[string]bool{}
	for _, o := range all {
		managers := managers(o)
		for _, m := range managers {
			if m != "hactl" && !components.MatchString(m) {
				t.Errorf("%s was written by %q", nameOf(o), m)
			}
		}
		if !slices.Contains(managers, "hactl") {
			continue
		}
		name := path.Join(field(o, "kind"), field(o, "metadata", "namespace"), tokenID.ReplaceAllString(field(o, "metadata", "name"), "bootstrap-token-<id>"))
		got[name]++
		if account := field(o, "spec", "template", "spec", "serviceAccountName"); account != "" {
			accounts[path.Join("ServiceAccount", field(o, "metadata", "namespace"), account)] = true
		}
	}
	// A ServiceAccount has no field that anybody could have written. Of
	// those that hactl's own pods need, nobody else makes any.
	for _, o := range all {
		if name := nameOf(o); accounts[name] {
			got[name]++
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("objects: -announced +changed\n%s", diff)
	}
	t.Logf("%d objects by hactl", len(got))
}

// managers are the writers of an object.
func managers(o object) []string {
	var out []string
	entries, _ := o["metadata"].(object)["managedFields"].([]any)
	for _, e := range entries {
		out = append(out, fmt.Sprint(e.(object)["manager"]))
	}
	return out
}
