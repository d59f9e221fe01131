package etcdhost

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/util/version"

	"github.com/hactl/hactl/etcd"
	"github.com/hactl/hactl/phases"
)

const (
	// leastVersion is the first etcd that has all flags of the command line.
	leastVersion = "3.6.0"
	// slowSync is how long etcd's 99th percentile of fsync may be (etcd v3.7,
	// documentation "Hardware recommendations": less than 10 ms).
	slowSync = 10 * time.Millisecond
	// programLimit is how long etcd may take to tell its version.
	programLimit = 15 * time.Second
)

// Check is one look at the host, as preflight runs it.
type Check struct {
	Name string
	Run  func(ctx context.Context) (warnings []string, err error)
}

// Probes are what the checks ask beside the host.
type Probes struct {
	// Sync measures how long fsync takes in a directory: the 99th percentile
	// of some small writes. Nil leaves it out.
	Sync func(ctx context.Context, dir string) (time.Duration, error)
}

// Checks are those of an etcd host that preflight does not have by itself.
func (t *Task) Checks(p Probes) []Check {
	list := []Check{
		{"EtcdData", func(ctx context.Context) ([]string, error) { return nil, t.dataFits(ctx) }},
	}
	if t.Runtime == Systemd {
		list = append(list, Check{"EtcdVersion", func(ctx context.Context) ([]string, error) { return nil, t.versionFits(ctx) }})
	}
	if p.Sync != nil {
		list = append(list, Check{"DiskLatency", func(ctx context.Context) ([]string, error) { return t.disk(ctx, p), nil }})
	}
	if len(t.Endpoints) > 0 {
		list = append(list, Check{"Peers", t.membersAnswer})
	}
	return list
}

// dataFits tells what the phases would refuse of this host's member, before
// anything is written.
func (t *Task) dataFits(ctx context.Context) error {
	if len(t.Endpoints) == 0 {
		return t.mayFound(ctx)
	}
	_, err := t.onDisk(ctx)
	return err
}

// versionFits asks etcd, whose answer begins "etcd Version: 3.7.0".
func (t *Task) versionFits(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, programLimit)
	defer cancel()
	install := "install etcd " + leastVersion + " or later, or let it run in a container: --runtime static-pod"
	out, err := t.Host.Probe(ctx, t.Program, "--version")
	if err != nil {
		return &phases.Fault{What: t.Program + " does not tell its version", Why: err, Fixes: []string{install}, Exit: phases.CodePreflight}
	}
	first, _, _ := strings.Cut(string(out), "\n")
	_, text, _ := strings.Cut(first, ":")
	have, err := version.ParseSemantic(strings.TrimSpace(text))
	if err != nil {
		return &phases.Fault{What: t.Program + " tells no version: " + first, Fixes: []string{install}, Exit: phases.CodePreflight}
	}
	if have.LessThan(version.MustParseSemantic(leastVersion)) {
		return &phases.Fault{What: fmt.Sprintf("%s is too old: %s", t.Program, have), Fixes: []string{install}, Exit: phases.CodePreflight}
	}
	return nil
}

// disk warns of a disk that is too slow for etcd, by its name.
func (t *Task) disk(ctx context.Context, p Probes) []string {
	dir := t.DataDir
	for dir != "/" {
		if _, err := t.Host.Stat(ctx, dir); err == nil {
			break
		}
		dir = path.Dir(dir)
	}
	took, err := p.Sync(ctx, dir)
	if err != nil {
		return []string{fmt.Sprintf("how fast the disk under %s is could not be tried: %v", t.DataDir, err)}
	}
	if took <= slowSync {
		return nil
	}
	return []string{fmt.Sprintf("the disk under %s (%s) takes %s to make a write safe, and etcd wants less than %s: it will lose its leader under load; use a local SSD",
		t.DataDir, t.device(ctx, dir), took.Round(time.Millisecond), slowSync)}
}

// device is what is mounted where the directory lies (proc_pid_mountinfo(5)).
func (t *Task) device(ctx context.Context, dir string) string {
	data, err := t.Host.ReadFile(ctx, "/proc/self/mountinfo")
	if err != nil {
		return "device unknown"
	}
	longest, device := "", "device unknown"
	for line := range strings.Lines(string(data)) {
		front, back, _ := strings.Cut(line, " - ")
		left, right := strings.Fields(front), strings.Fields(back)
		if len(left) < 5 || len(right) < 2 {
			continue
		}
		at := left[4]
		if (at == "/" || dir == at || strings.HasPrefix(dir, at+"/")) && len(at) >= len(longest) {
			longest, device = at, right[1]
		}
	}
	return device
}

// membersAnswer dials the members that the join was told: where none answers,
// it is over before anything is written.
func (t *Task) membersAnswer(ctx context.Context) ([]string, error) {
	errs := make([]error, len(t.Endpoints))
	var running sync.WaitGroup
	for i, e := range t.Endpoints {
		running.Go(func() { errs[i] = t.reach(ctx, []string{e}) })
	}
	running.Wait()
	if !slices.Contains(errs, nil) {
		return nil, t.words().Unreachable(t.Endpoints, errors.Unwrap(errs[0]))
	}
	var warnings []string
	for i, err := range errs {
		if err != nil {
			warnings = append(warnings, fmt.Sprintf("%s does not answer: %v", t.Endpoints[i], errors.Unwrap(err)))
		}
	}
	return warnings, nil
}

// ParseEndpoint makes the client URL of an etcd member of what a person typed:
// a URL, an address or a name, with or without a port. Only https is one that
// members of this package listen at.
func ParseEndpoint(typed string) (string, error) {
	text := strings.TrimSpace(typed)
	if a, err := netip.ParseAddr(text); err == nil {
		return etcd.ClientURL(a.String()), nil
	}
	if !strings.Contains(text, "://") {
		text = "https://" + text
	}
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || u.Scheme != "https" || u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.User != nil {
		return "", &phases.Fault{
			What:  fmt.Sprintf("%q is not the URL of an etcd member", typed),
			Fixes: []string{"write it as https://10.0.0.31:2379"},
			Exit:  phases.CodeUsage,
		}
	}
	if u.Port() == "" {
		return etcd.ClientURL(u.Hostname()), nil
	}
	return u.Scheme + "://" + u.Host, nil
}
