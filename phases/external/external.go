// Package external judges an etcd cluster that others run, before a control
// plane uses it: whether its endpoints can be used, and whose data it holds.
// It changes nothing, there and here.
package external

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/util/version"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/etcd"
	"github.com/hactl/hactl/phases"
)

const (
	// leastVersion is the first etcd that Kubernetes may use (kubeadm v1.37,
	// constants.go, MinExternalEtcdVersion).
	leastVersion = "3.5.24"
	// far is how long an answer may take without a warning: half of etcd's own
	// heartbeat interval. A request of an API server costs several of them.
	far = 50 * time.Millisecond
	// DefaultPrefix is how all keys of a cluster begin (kube-apiserver v1.37,
	// --etcd-prefix).
	DefaultPrefix = "/registry"
)

// Task is what the checks need to know.
type Task struct {
	Config *config.ExternalEtcd
	// Prefix is how the cluster's keys begin, "" for DefaultPrefix.
	Prefix string
	// Dial opens the etcd cluster with the files of the configuration. The
	// caller calls the function that is returned to close it.
	Dial func(ctx context.Context) (etcd.Store, func() error, error)
	// CA returns the certificate of the cluster's CA in PEM, nil if this node
	// has none yet.
	CA func(ctx context.Context) ([]byte, error)
	// Begun says whether an init with this configuration has passed these
	// checks on this node before. Nil means that it has not.
	Begun func() (bool, error)
	// Joining says that the cluster is there already, and must be what etcd
	// holds. An endpoint that does not answer is then only a warning while
	// others do.
	Joining bool
	// AllowData lets an init begin on whatever data there is.
	AllowData bool

	once    sync.Once
	answers []answer // in the order of the endpoints
	failed  error
}

// answer is what came of one endpoint.
type answer struct {
	endpoint string
	probed   etcd.Probed
	err      error
}

// Check is one look, as preflight runs it. All may run at the same time.
type Check struct {
	Name string
	Run  func(ctx context.Context) (warnings []string, err error)
}

// Checks lists the checks, by kubeadm's name where it has the same.
func (t *Task) Checks() []Check {
	return []Check{
		{"ExternalEtcdEndpoints", t.endpoints},
		{"ExternalEtcdVersion", t.versions},
		{"ExternalEtcdData", t.data},
	}
}

// probe asks all endpoints at the same time, once for all checks.
func (t *Task) probe(ctx context.Context) ([]answer, error) {
	t.once.Do(func() {
		store, hangUp, err := t.Dial(ctx)
		if err != nil {
			t.failed = err
			return
		}
		t.answers = make([]answer, len(t.Config.Endpoints))
		var running sync.WaitGroup
		for i, e := range t.Config.Endpoints {
			running.Go(func() {
				p, err := store.Probe(ctx, e)
				t.answers[i] = answer{e, p, err}
			})
		}
		running.Wait()
		t.failed = hangUp()
	})
	return t.answers, t.failed
}

func (t *Task) endpoints(ctx context.Context) ([]string, error) {
	answers, err := t.probe(ctx)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, t.noFiles(err)
	}
	if err != nil {
		return nil, fault("etcd cannot be asked", err, "see that the files belong together: "+t.files())
	}
	var warnings []string
	var errs []error
	usable := 0
	for _, a := range answers {
		if a.err != nil {
			continue
		}
		if err := unusable(a); err != nil {
			errs = append(errs, err)
			continue
		}
		usable++
		if a.probed.Latency > far {
			warnings = append(warnings, fmt.Sprintf("%s takes %s to answer; API servers want their etcd near: less than %s",
				a.endpoint, a.probed.Latency.Round(time.Millisecond), far))
		}
	}
	for _, a := range answers {
		switch {
		case a.err == nil:
		case t.Joining && usable > 0:
			warnings = append(warnings, fmt.Sprintf("%s does not answer: %v", a.endpoint, because{a.err}))
		default:
			errs = append(errs, t.silent(a))
		}
	}
	return warnings, errors.Join(append(errs, oneCluster(answers))...)
}

// noFiles is for client files that are missing. At init, another check names
// them.
func (t *Task) noFiles(err error) error {
	if !t.Joining {
		return nil
	}
	return fault("the certificates of the external etcd are not here", err,
		"upload them with the others, on a control plane that has them: hactl init phase upload-certs --upload-certs, and give its key: --certificate-key",
		"or copy them from there: "+t.files())
}

// files names the client files.
func (t *Task) files() string {
	c := t.Config
	return strings.Join(slices.DeleteFunc([]string{c.CAFile, c.CertFile, c.KeyFile}, func(f string) bool { return f == "" }), ", ")
}

// unusable says why API servers could not use an endpoint that answers.
func unusable(a answer) error {
	switch p := a.probed; {
	case p.Learner:
		return fault("the etcd member at "+a.endpoint+" has no vote yet: a learner answers no API server", nil,
			"wait until it is promoted, or leave that endpoint out")
	case !p.HasLeader:
		return fault("the etcd member at "+a.endpoint+" knows no leader", errors.New("too few members of its cluster answer each other"),
			"bring the other members back: etcdctl endpoint status --cluster")
	case len(p.Alarms) > 0:
		return fault(fmt.Sprintf("the etcd member at %s has the alarm %s", a.endpoint, strings.Join(p.Alarms, ", ")), nil,
			"of NOSPACE: etcdctl compact, etcdctl defrag, then etcdctl alarm disarm",
			"of CORRUPT: take that member out and let it join anew")
	}
	return nil
}

// oneCluster wants all endpoints to be of one cluster.
func oneCluster(answers []answer) error {
	var ids []uint64
	var lines []string
	for _, a := range answers {
		if a.err != nil {
			continue
		}
		lines = append(lines, fmt.Sprintf("%s is of cluster %x", a.endpoint, a.probed.ClusterID))
		if !slices.Contains(ids, a.probed.ClusterID) {
			ids = append(ids, a.probed.ClusterID)
		}
	}
	if len(ids) < 2 {
		return nil
	}
	return fault(fmt.Sprintf("the etcd endpoints are of %d clusters", len(ids)), errors.New(strings.Join(lines, "\n")),
		"name the members of one cluster only: an API server would read from one and write to another")
}

func (t *Task) versions(ctx context.Context) ([]string, error) {
	answers, err := t.probe(ctx)
	if err != nil {
		return nil, nil // another check says it
	}
	least := version.MustParseSemantic(leastVersion)
	var errs []error
	for _, a := range answers {
		if a.err != nil {
			continue
		}
		have, err := version.ParseSemantic(a.probed.Version)
		switch {
		case err != nil:
			errs = append(errs, fault(fmt.Sprintf("etcd at %s tells no version: %q", a.endpoint, a.probed.Version), nil, "see what runs there"))
		case have.LessThan(least):
			errs = append(errs, fault(fmt.Sprintf("etcd at %s is too old: %s", a.endpoint, have), nil, "upgrade it to "+leastVersion+" or later"))
		}
	}
	return nil, errors.Join(errs...)
}

func fault(what string, why error, fixes ...string) error {
	return &phases.Fault{What: what, Why: why, Fixes: fixes, Exit: phases.CodePreflight}
}
