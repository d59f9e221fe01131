package pki

import (
	"errors"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hactl/hactl/certs"
	"github.com/hactl/hactl/phases"
)

func TestRequests(t *testing.T) {
	task := newTask()
	for _, want := range []phases.Kind{phases.Finished, phases.Unchanged} {
		kinds, err := run(t, RequestPhase(), task)
		must(t, err)
		for name, kind := range kinds {
			if kind != want {
				t.Errorf("%s is %s, want %s", name, kind, want)
			}
		}
	}
	want := []string{
		"apiserver-etcd-client.csr", "apiserver-etcd-client.key", "apiserver-kubelet-client.csr", "apiserver-kubelet-client.key",
		"apiserver.csr", "apiserver.key", "etcd/healthcheck-client.csr", "etcd/healthcheck-client.key", "etcd/peer.csr", "etcd/peer.key",
		"etcd/server.csr", "etcd/server.key", "front-proxy-client.csr", "front-proxy-client.key",
	}
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(snapshot(t, task)))); diff != "" {
		t.Errorf("files: -want +got\n%s", diff)
	}
	if got := Requests(task); len(got) != 7 || got[0] != "/etc/kubernetes/pki/apiserver.csr" {
		t.Errorf("the requests are %q", got)
	}
}

func TestRequestsKeepKeys(t *testing.T) {
	cases := map[string]struct {
		reason string
		change func(*testing.T, *Task)
		kind   phases.Kind // of apiserver; "" for a fault
	}{
		"NoRequest":  {"a run was interrupted", func(t *testing.T, task *Task) { remove(t, task, "apiserver.csr") }, phases.Finished},
		"NoKey":      {"the request is of a lost key", func(t *testing.T, task *Task) { remove(t, task, "apiserver.key") }, ""},
		"OtherNames": {"the endpoint has changed since", func(_ *testing.T, task *Task) { task.EndpointHost = "other.example.com" }, ""},
		"OtherKey": {"the key was replaced", func(t *testing.T, task *Task) {
			write(t, task, "apiserver.key", []byte(snapshot(t, task)["etcd/peer.key"]))
		}, ""},
		"Garbage":      {"the request cannot be read", func(t *testing.T, task *Task) { write(t, task, "apiserver.csr", []byte("no")) }, ""},
		"BrokenKey":    {"the key cannot be read", func(t *testing.T, task *Task) { write(t, task, "apiserver.key", []byte("no")) }, ""},
		"ExternalEtcd": {"etcd needs nothing", func(_ *testing.T, task *Task) { task.ExternalEtcd = true }, phases.Unchanged},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			task := newTask()
			_, err := run(t, RequestPhase(), task)
			must(t, err)
			c.change(t, task)
			before := snapshot(t, task)
			kinds, err := run(t, RequestPhase(), task, "certs/apiserver")
			var fault *phases.Fault
			if c.kind == "" && (!errors.As(err, &fault) || len(fault.Fixes) == 0) || c.kind != "" && (err != nil || kinds["apiserver"] != c.kind) {
				t.Errorf("%s: %v, %v", c.reason, kinds, err)
			}
			for name, content := range before {
				if snapshot(t, task)[name] != content {
					t.Errorf("%s: %s is overwritten", c.reason, name)
				}
			}
		})
	}
}

// What an external CA has to issue is one problem, not one for each file.
func TestExternalCAIsOneProblem(t *testing.T) {
	task := newTask()
	_, err := run(t, Phase(), task)
	must(t, err)
	remove(t, task, "ca.key", "etcd/ca.key", "apiserver.crt", "etcd/peer.crt", "etcd/server.crt")
	list := Problems(t.Context(), task)
	if len(list) != 1 || !errors.Is(list[0], certs.ErrExternalCA) {
		t.Errorf("problems: %v", list)
	}
}
