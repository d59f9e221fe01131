package external_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hactl/hactl/certs"
	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/etcd"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/external"
)

const witness = "/registry/configmaps/kube-system/extension-apiserver-authentication"

func endpoint(n int) string { return fmt.Sprintf("https://10.0.0.%d:2379", 30+n) }

// healthy is what a good member says.
func healthy(n int) etcd.Probed {
	return etcd.Probed{ClusterID: 1, MemberID: uint64(n), Version: "3.7.0", HasLeader: true, Latency: time.Millisecond}
}

// newStore is a cluster of three that nobody uses.
func newStore() *etcd.MemoryStore {
	s := &etcd.MemoryStore{}
	for n := 1; n <= 3; n++ {
		s.Answer(endpoint(n), healthy(n))
	}
	return s
}

func newTask(s etcd.Store) *external.Task {
	return &external.Task{
		Config: &config.ExternalEtcd{
			Endpoints: []string{endpoint(1), endpoint(2), endpoint(3)},
			CAFile:    "/pki/ca.crt", CertFile: "/pki/client.crt", KeyFile: "/pki/client.key",
		},
		Dial: dial(s),
		CA:   func(context.Context) ([]byte, error) { return nil, nil },
	}
}

// found is what the checks of a task found.
type found struct {
	failed   []string // names of checks
	warnings int
	text     string // what a person reads of failures and warnings
}

func run(t *testing.T, task *external.Task) found {
	t.Helper()
	var f found
	for _, c := range task.Checks() {
		warnings, err := c.Run(t.Context())
		f.warnings += len(warnings)
		f.text += strings.Join(warnings, "\n")
		if err == nil {
			continue
		}
		f.failed = append(f.failed, c.Name)
		f.text += err.Error()
		var fault *phases.Fault
		if !errors.As(err, &fault) || fault.Exit != phases.CodePreflight || len(fault.Fixes) == 0 {
			t.Errorf("%s: %v is no fault of preflight with a fix", c.Name, err)
		}
	}
	return f
}

func TestEndpoints(t *testing.T) {
	all := "ExternalEtcdEndpoints"
	cases := map[string]struct {
		reason   string
		change   func(*external.Task, *etcd.MemoryStore)
		failed   []string
		warnings int
		tells    string
	}{
		"Good": {reason: "three members of one cluster", change: func(*external.Task, *etcd.MemoryStore) {}},
		"Silent": {
			reason: "an init wants all of them: a typing mistake must not be found when a member fails",
			change: func(t *external.Task, _ *etcd.MemoryStore) { t.Config.Endpoints[1] = endpoint(9) },
			failed: []string{all}, tells: endpoint(9),
		},
		"SilentAtJoin": {
			reason: "a join does not wait for a member that is dead while the others serve",
			change: func(t *external.Task, s *etcd.MemoryStore) {
				t.Joining = true
				t.Config.Endpoints[1] = endpoint(9)
				s.Put("/registry/a", nil)
			},
			warnings: 1, tells: endpoint(9),
		},
		"AllSilent": {
			reason: "nobody answers a join either",
			change: func(t *external.Task, _ *etcd.MemoryStore) { t.Joining, t.Dial = true, dial(&etcd.MemoryStore{}) },
			failed: []string{all},
		},
		"TwoClusters": {
			reason: "members of two clusters are no cluster",
			change: func(_ *external.Task, s *etcd.MemoryStore) {
				p := healthy(2)
				p.ClusterID = 2
				s.Answer(endpoint(2), p)
			},
			failed: []string{all}, tells: "2 clusters",
		},
		"Learner": {
			reason: "a learner answers no API server",
			change: func(_ *external.Task, s *etcd.MemoryStore) {
				p := healthy(2)
				p.Learner = true
				s.Answer(endpoint(2), p)
			},
			failed: []string{all}, tells: "learner",
		},
		"NoLeader": {
			reason: "a member that is cut off",
			change: func(_ *external.Task, s *etcd.MemoryStore) {
				p := healthy(2)
				p.HasLeader = false
				s.Answer(endpoint(2), p)
			},
			failed: []string{all}, tells: "leader",
		},
		"Alarm": {
			reason: "a full etcd takes no writes",
			change: func(_ *external.Task, s *etcd.MemoryStore) {
				p := healthy(2)
				p.Alarms = []string{"NOSPACE"}
				s.Answer(endpoint(2), p)
			},
			failed: []string{all}, tells: "NOSPACE",
		},
		"Far": {
			reason: "a slow way is said and refuses nothing",
			change: func(_ *external.Task, s *etcd.MemoryStore) {
				p := healthy(2)
				p.Latency = 80 * time.Millisecond
				s.Answer(endpoint(2), p)
			},
			warnings: 1, tells: "80ms",
		},
		"Old": {
			reason: "kubeadm's least version, by its name of the check",
			change: func(_ *external.Task, s *etcd.MemoryStore) {
				p := healthy(2)
				p.Version = "3.5.23"
				s.Answer(endpoint(2), p)
			},
			failed: []string{"ExternalEtcdVersion"}, tells: "3.5.23",
		},
		"JustNewEnough": {
			reason: "the least version is enough",
			change: func(_ *external.Task, s *etcd.MemoryStore) {
				p := healthy(2)
				p.Version = "3.5.24"
				s.Answer(endpoint(2), p)
			},
		},
		"NoFilesAtInit": {
			reason: "another check names the files",
			change: func(t *external.Task, _ *etcd.MemoryStore) { t.Dial = noFiles },
		},
		"NoFilesAtJoin": {
			reason: "here none does",
			change: func(t *external.Task, _ *etcd.MemoryStore) { t.Dial, t.Joining = noFiles, true },
			failed: []string{all}, tells: "not here",
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s := newStore()
			task := newTask(s)
			c.change(task, s)
			got := run(t, task)
			if !slices.Equal(got.failed, c.failed) || got.warnings != c.warnings || !strings.Contains(got.text, c.tells) {
				t.Errorf("%s: failed %v, want %v; %d warnings, want %d; told:\n%s", c.reason, got.failed, c.failed, got.warnings, c.warnings, got.text)
			}
		})
	}
}

func dial(s etcd.Store) func(context.Context) (etcd.Store, func() error, error) {
	return func(context.Context) (etcd.Store, func() error, error) { return s, func() error { return nil }, nil }
}

func noFiles(context.Context) (etcd.Store, func() error, error) {
	return nil, nil, fmt.Errorf("read /pki/ca.crt: %w", fs.ErrNotExist)
}

// newCA is the PEM of a cluster's CA.
func newCA(t *testing.T) []byte {
	t.Helper()
	key, err := certs.NewKey(certs.ECDSAP256)
	if err != nil {
		t.Fatal(err)
	}
	a, err := certs.NewAuthority(certs.AuthoritySpec{CommonName: "kubernetes"}, key, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return certs.EncodeCert(a.Cert)
}

// What TLS says leads to the file that is wrong. The texts are those of
// TestProbeTLS in package etcd, and of crypto/x509.
func TestSilent(t *testing.T) {
	for name, c := range map[string]struct{ says, why, fix string }{
		"ForeignCA":     {`authentication handshake failed: tls: failed to verify certificate: x509: certificate signed by unknown authority (possibly because of \"x509: ECDSA\")`, "unknown authority", "/pki/ca.crt"},
		"ForeignClient": {"error reading server preface: remote error: tls: unknown certificate authority", "remote error", "/pki/client.crt"},
		"OtherName":     {"authentication handshake failed: tls: failed to verify certificate: x509: certificate is valid for 10.0.0.9, not 10.0.0.31", "valid for 10.0.0.9", "that name"},
		"Expired":       {"authentication handshake failed: tls: failed to verify certificate: x509: certificate has expired or is not yet valid", "expired", "clocks"},
		"Plain":         {"authentication handshake failed: EOF", "EOF", "--listen-client-urls"},
		"Refused":       {"Error while dialing: dial tcp 10.0.0.31:2379: connect: connection refused", "refused", "whether etcd runs"},
	} {
		t.Run(name, func(t *testing.T) {
			task := newTask(nil)
			task.Config.Endpoints = task.Config.Endpoints[:1]
			task.Dial = dial(failing{fmt.Errorf(`%w: %s: connection error: desc = "transport: %s"`, etcd.ErrUnreachable, endpoint(1), c.says)})
			_, err := task.Checks()[0].Run(t.Context())
			var fault *phases.Fault
			if !errors.As(err, &fault) || !errors.Is(err, etcd.ErrUnreachable) {
				t.Fatalf("%v is no fault of an endpoint", err)
			}
			if why := fault.Why.Error(); !strings.Contains(why, c.why) || strings.Contains(why, "desc") || !strings.Contains(fault.Fixes[0], c.fix) {
				t.Errorf("why %s, fixes %v; want %q and %q", why, fault.Fixes, c.why, c.fix)
			}
		})
	}
}

// failing is a Store that nobody can reach.
type failing struct{ err error }

func (f failing) Probe(context.Context, string) (etcd.Probed, error) { return etcd.Probed{}, f.err }
func (f failing) Count(context.Context, string) (int64, error)       { return 0, f.err }
func (f failing) Read(context.Context, string) ([]byte, bool, error) { return nil, false, f.err }

func TestData(t *testing.T) {
	ca, other := newCA(t), newCA(t)
	stored := func(pem []byte) []byte { return append([]byte("k8s\x00\n\x0fclient-ca-file\x12"), pem...) }
	asJSON := func(pem []byte) []byte {
		return []byte(`{"data":{"client-ca-file":"` + strings.ReplaceAll(string(pem), "\n", `\n`) + `"}}`)
	}
	sealed := []byte("k8s:enc:aescbc:v1:key1:" + base64.StdEncoding.EncodeToString(ca))
	begun := func() (bool, error) { return true, nil }
	const data = "ExternalEtcdData"
	cases := map[string]struct {
		reason string
		keys   map[string][]byte
		change func(*external.Task)
		refuse bool
		warns  bool
		tells  string
	}{
		"Empty":           {reason: "nobody's", keys: map[string][]byte{"/something": nil}},
		"Another":         {reason: "another cluster has it", keys: map[string][]byte{witness: stored(other)}, refuse: true, tells: "another CA"},
		"AnotherBegun":    {reason: "the journal does not make it ours", keys: map[string][]byte{witness: stored(other)}, change: func(t *external.Task) { t.Begun = begun }, refuse: true},
		"AnotherAllowed":  {reason: "the user says so", keys: map[string][]byte{witness: stored(other)}, change: func(t *external.Task) { t.AllowData = true }, warns: true},
		"Resumed":         {reason: "the init goes on, and the data is its own", keys: map[string][]byte{witness: stored(ca)}, change: func(t *external.Task) { t.Begun = begun }},
		"ResumedJSON":     {reason: "an API server may store JSON", keys: map[string][]byte{witness: asJSON(ca)}, change: func(t *external.Task) { t.Begun = begun }},
		"ResumedEarly":    {reason: "the API server has just begun to write", keys: map[string][]byte{"/registry/a": nil}, change: func(t *external.Task) { t.Begun = begun }},
		"ResumedSealed":   {reason: "what is encrypted does not tell, the journal does", keys: map[string][]byte{witness: sealed}, change: func(t *external.Task) { t.Begun = begun }},
		"Sealed":          {reason: "and without it nothing does", keys: map[string][]byte{witness: sealed}, refuse: true, tells: "does not tell"},
		"Unknown":         {reason: "any data is somebody's", keys: map[string][]byte{"/registry/a": nil}, refuse: true},
		"OursNotBegun":    {reason: "a second machine with the cluster's CA should join", keys: map[string][]byte{witness: stored(ca)}, refuse: true, tells: "this node's CA"},
		"OurPrefix":       {reason: "two clusters share an etcd", keys: map[string][]byte{witness: stored(other)}, change: func(t *external.Task) { t.Prefix = "/second" }},
		"PrefixOfAnother": {reason: "a prefix ends at a slash", keys: map[string][]byte{"/registry2/a": nil}},
		"OtherWitness": {
			reason: "the controller manager's object tells, too", change: func(t *external.Task) { t.Begun = begun },
			keys: map[string][]byte{"/registry/configmaps/kube-system/kube-root-ca.crt": stored(other)}, refuse: true,
		},
		"Join":        {reason: "the cluster's own", keys: map[string][]byte{witness: stored(ca)}, change: func(t *external.Task) { t.Joining = true }},
		"JoinSealed":  {reason: "the cluster named this etcd", keys: map[string][]byte{witness: sealed}, change: func(t *external.Task) { t.Joining = true }},
		"JoinAnother": {reason: "not the cluster's", keys: map[string][]byte{witness: stored(other)}, change: func(t *external.Task) { t.Joining = true }, refuse: true},
		"JoinEmpty":   {reason: "the cluster stores its data elsewhere", change: func(t *external.Task) { t.Joining = true }, refuse: true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s := newStore()
			for key, value := range c.keys {
				s.Put(key, value)
			}
			task := newTask(s)
			task.CA = func(context.Context) ([]byte, error) { return ca, nil }
			if c.change != nil {
				c.change(task)
			}
			got := run(t, task)
			if slices.Contains(got.failed, data) != c.refuse || len(got.failed) > 1 || (got.warnings > 0) != c.warns || !strings.Contains(got.text, c.tells) {
				t.Errorf("%s: failed %v; %d warnings; told:\n%s", c.reason, got.failed, got.warnings, got.text)
			}
		})
	}
}
