package kubeconfig

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"

	"github.com/hactl/hactl/certs"
	"github.com/hactl/hactl/phases"
)

func TestRequests(t *testing.T) {
	task := newTask()
	for _, want := range []phases.Kind{phases.Finished, phases.Unchanged} {
		kinds, _, err := run(t, RequestPhase(), task)
		must(t, err)
		if diff := cmp.Diff(all(want), kinds); diff != "" {
			t.Errorf("-want +got\n%s", diff)
		}
	}
	for _, file := range Requests(task) {
		r, err := certs.ParseRequest(read(t, task, file))
		must(t, err)
		config, err := clientcmd.Load(read(t, task, strings.TrimSuffix(file, ".csr")))
		must(t, err)
		if name := config.Contexts[config.CurrentContext].AuthInfo; r.Subject.CommonName != name {
			t.Errorf("%s is for %q, not for %q", file, r.Subject.CommonName, name)
		}
	}
}

func TestRequestsKeepFiles(t *testing.T) {
	const admin = "/etc/kubernetes/admin.conf"
	cases := map[string]struct {
		reason string
		change func(*testing.T, *Task)
		kind   phases.Kind // of admin; "" for a fault
		is     error
	}{
		"NoRequest": {"a run was interrupted", func(t *testing.T, task *Task) { remove(t, task, admin+".csr") }, phases.Finished, nil},
		"NoFile":    {"the request is of a lost key", func(t *testing.T, task *Task) { remove(t, task, admin) }, "", errLostKey},
		"NoKey": {"it logs in with a token", func(t *testing.T, task *Task) {
			edit(t, task, admin, func(_ *api.Cluster, a *api.AuthInfo) { *a = api.AuthInfo{Token: "x"} })
		}, "", ErrNoKey},
		"OtherKey": {"the key was replaced", func(t *testing.T, task *Task) {
			putCA(t, task)
			edit(t, task, admin, func(_ *api.Cluster, a *api.AuthInfo) { a.ClientKeyData = read(t, task, task.caKey()) })
		}, "", certs.ErrKeyMismatch},
		"Garbage": {"the request cannot be read", func(t *testing.T, task *Task) { write(t, task, admin+".csr", []byte("no")) }, "", certs.ErrNoPEM},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			task := newTask()
			_, _, err := run(t, RequestPhase(), task)
			must(t, err)
			c.change(t, task)
			kinds, _, err := run(t, RequestPhase(), task, "kubeconfig/admin")
			var fault *phases.Fault
			if c.kind == "" && (!errors.As(err, &fault) || len(fault.Fixes) == 0 || !errors.Is(err, c.is)) || c.kind != "" && (err != nil || kinds["admin"] != c.kind) {
				t.Errorf("%s: %v, %v", c.reason, kinds, err)
			}
		})
	}
}

// A live file gets a request too: its certificate will end.
func TestRequestForALiveFile(t *testing.T) {
	task := done(t)
	before := string(read(t, task, "/etc/kubernetes/admin.conf"))
	_, _, err := run(t, RequestPhase(), task)
	must(t, err)
	if string(read(t, task, "/etc/kubernetes/admin.conf")) != before {
		t.Error("admin.conf is overwritten")
	}
}

// With an external CA, hactl does not offer to make files anew.
func TestExternalCA(t *testing.T) {
	task := done(t)
	remove(t, task, task.caKey())
	if list := Problems(t.Context(), task); len(list) > 0 {
		t.Errorf("all is given, and there are problems: %v", list)
	}
	edit(t, task, "/etc/kubernetes/scheduler.conf", func(_ *api.Cluster, a *api.AuthInfo) { a.ClientCertificateData = nil })
	remove(t, task, "/etc/kubernetes/admin.conf")
	remove(t, task, "/etc/kubernetes/kubelet.conf")
	write(t, task, "/etc/kubernetes/super-admin.conf", nil)
	list := Problems(t.Context(), task)
	if len(list) != 3 || !errors.Is(errors.Join(list...), ErrNoCredentials) || !errors.Is(errors.Join(list...), certs.ErrExternalCA) {
		t.Errorf("problems: %v", list)
	}
	for _, p := range list {
		var fault *phases.Fault
		if !errors.As(p, &fault) || strings.Contains(strings.Join(fault.Fixes, " "), "anew") {
			t.Errorf("hactl cannot make what it offers: %v, %q", p, fault.Fixes)
		}
	}
}

func TestForPerson(t *testing.T) {
	cases := map[string]struct {
		reason string
		person Person
		change func(*testing.T, *Task)
		valid  time.Duration
		is     error
		fails  bool
	}{
		"Certificate": {"the CA signs", Person{Name: "jane", Organizations: []string{"developers"}}, func(*testing.T, *Task) {}, time.Hour, nil, false},
		"Long":        {"the CA ends before", Person{Name: "jane"}, func(_ *testing.T, task *Task) { task.Validity = 2 * certs.DefaultCAValidity }, certs.DefaultCAValidity, nil, false},
		"Token":       {"no key is needed", Person{Name: "ci", Token: "secret"}, func(t *testing.T, task *Task) { remove(t, task, task.caKey()) }, 0, nil, false},
		"ExternalCA":  {"nobody here can sign", Person{Name: "jane"}, func(t *testing.T, task *Task) { remove(t, task, task.caKey()) }, 0, certs.ErrExternalCA, true},
		"NoCA":        {"there is nobody to trust", Person{Name: "jane"}, func(t *testing.T, task *Task) { remove(t, task, task.caCert()) }, 0, nil, true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			task := newTask()
			ca := putCA(t, task)
			task.Validity = time.Hour
			c.change(t, task)
			data, until, err := ForPerson(t.Context(), task, c.person)
			var fault *phases.Fault
			if c.fails {
				if !errors.As(err, &fault) || c.is != nil && !errors.Is(err, c.is) || len(data) > 0 {
					t.Errorf("%s: %v", c.reason, err)
				}
				return
			}
			must(t, err)
			config, err := clientcmd.Load(data)
			must(t, err)
			must(t, clientcmd.ConfirmUsable(*config, ""))
			user := config.AuthInfos[c.person.Name]
			if config.CurrentContext != c.person.Name+"@kubernetes" || user.Token != c.person.Token.Reveal() {
				t.Errorf("%s: %+v", c.reason, config)
			}
			if c.valid == 0 {
				return
			}
			chain, err := certs.ParseCerts(user.ClientCertificateData)
			must(t, err)
			if left := until.Sub(epoch); left != c.valid || !until.Equal(chain[0].NotAfter) || chain[0].CheckSignatureFrom(ca.Cert) != nil {
				t.Errorf("%s: valid for %s", c.reason, left)
			}
			if diff := cmp.Diff(c.person.Organizations, chain[0].Subject.Organization); diff != "" {
				t.Errorf("organizations: -want +got\n%s", diff)
			}
		})
	}
}
