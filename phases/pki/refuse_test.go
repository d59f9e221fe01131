package pki

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hactl/hactl/certs"
	"github.com/hactl/hactl/phases"
)

// done returns a task whose directory is complete.
func done(t *testing.T) *Task {
	t.Helper()
	task := newTask()
	_, err := run(t, Phase(), task)
	must(t, err)
	return task
}

func as[E error]() func(error) bool {
	return func(err error) bool { var e E; return errors.As(err, &e) }
}

func is(target error) func(error) bool {
	return func(err error) bool { return errors.Is(err, target) }
}

type refusal struct {
	reason string
	change func(*testing.T, *Task)
	phase  string
	is     func(error) bool // nil: any fault
	text   string           // in what, why or a fix
	count  int              // of all problems; zero means 1
}

func refusals() map[string]refusal {
	return map[string]refusal{
		"ExpiredLeaf": {"nobody accepts it", func(_ *testing.T, task *Task) {
			task.Now = func() time.Time { return epoch.Add(certs.DefaultValidity + time.Hour) }
		}, "apiserver", as[*certs.ExpiredError](), "/etc/kubernetes/pki/apiserver.key", 7},
		"ExpiredCA": {"nobody trusts it", func(_ *testing.T, task *Task) {
			task.Now = func() time.Time { return epoch.Add(certs.DefaultCAValidity + time.Hour) }
		}, "ca", as[*certs.ExpiredError](), "/etc/kubernetes/pki/ca.key", 3},
		"MissingSAN": {"the configuration has a new name", func(_ *testing.T, task *Task) {
			task.APIServerSANs = append(task.APIServerSANs, "new.example.com")
		}, "apiserver", as[*certs.MissingSANError](), "new.example.com", 1},
		"OtherNode": {"the directory was copied from another node", func(_ *testing.T, task *Task) {
			task.NodeName = "cp2"
		}, "etcd-peer", as[*certs.SubjectError](), "cp2", 3},
		"KeyDoesNotFit": {"the key of another certificate was put there", func(t *testing.T, task *Task) {
			write(t, task, "apiserver.key", []byte(snapshot(t, task)["front-proxy-client.key"]))
		}, "apiserver", is(certs.ErrKeyMismatch), "apiserver.key", 1},
		"CAKeyDoesNotFit": {"its signatures would fit nothing", func(t *testing.T, task *Task) {
			write(t, task, "ca.key", []byte(snapshot(t, task)["etcd/ca.key"]))
		}, "ca", is(certs.ErrKeyMismatch), "ca.key", 1},
		"NotACA": {"a serving certificate was put there", func(t *testing.T, task *Task) {
			files := snapshot(t, task)
			write(t, task, "ca.crt", []byte(files["apiserver.crt"]))
			write(t, task, "ca.key", []byte(files["apiserver.key"]))
		}, "ca", is(certs.ErrNotCA), "ca.crt", 1},
		"OtherCA": {"the CA of another cluster was put there", func(t *testing.T, task *Task) {
			other := snapshot(t, done(t))
			write(t, task, "ca.crt", []byte(other["ca.crt"]))
			write(t, task, "ca.key", []byte(other["ca.key"]))
		}, "apiserver", as[*certs.IssuerError](), "apiserver.crt", 2},
		"HalfPair": {"its key was lost", func(t *testing.T, task *Task) {
			remove(t, task, "apiserver.key")
		}, "apiserver", nil, "put /etc/kubernetes/pki/apiserver.key back", 1},
		"LostCA": {"a new CA would make its certificates worthless", func(t *testing.T, task *Task) {
			remove(t, task, "ca.crt", "ca.key")
		}, "ca", nil, "apiserver.crt", 1},
		"LostCACertificate": {"the key alone cannot tell which CA it was", func(t *testing.T, task *Task) {
			remove(t, task, "etcd/ca.crt")
		}, "etcd-ca", nil, "/etc/kubernetes/pki/etcd/ca.crt", 1},
		"LeafWithoutCA": {"the phase runs alone", func(t *testing.T, task *Task) {
			remove(t, task, "ca.crt", "ca.key")
		}, "apiserver", nil, "backup", 1},
		"ExternalCA": {"the CA's key is kept elsewhere", func(t *testing.T, task *Task) {
			remove(t, task, "ca.key", "apiserver.crt", "apiserver.key")
		}, "apiserver", is(certs.ErrExternalCA), "external CA", 1},
		"Garbage": {"the file is empty", func(t *testing.T, task *Task) {
			write(t, task, "apiserver.crt", nil)
		}, "apiserver", is(certs.ErrNoPEM), "apiserver.crt", 1},
		"GarbageKey": {"the file is cut", func(t *testing.T, task *Task) {
			write(t, task, "sa.key", []byte("-----BEGIN EC PRIVATE KEY-----\n"))
		}, "sa", is(certs.ErrNoPEM), "sa.key", 1},
		"AccountKeyLost": {"every token would be invalid", func(t *testing.T, task *Task) {
			remove(t, task, "sa.key")
		}, "sa", nil, "sa.key", 1},
		"AccountKeyOther": {"tokens could not be verified", func(t *testing.T, task *Task) {
			write(t, task, "sa.key", []byte(snapshot(t, task)["ca.key"]))
		}, "sa", nil, "sa.pub", 1},
	}
}

func TestRefusals(t *testing.T) {
	for name, c := range refusals() {
		t.Run(name, func(t *testing.T) {
			task := done(t)
			c.change(t, task)
			before := snapshot(t, task)
			_, err := run(t, Phase(), task, "certs/"+c.phase)
			var fault *phases.Fault
			if !errors.As(err, &fault) {
				t.Fatalf("%s: got %v, want a fault", c.reason, err)
			}
			if c.is != nil && !c.is(err) {
				t.Errorf("%s: got %v", c.reason, err)
			}
			if len(fault.Fixes) == 0 {
				t.Error("no fix")
			}
			if !strings.Contains(err.Error()+strings.Join(fault.Fixes, " "), c.text) {
				t.Errorf("%q is neither in %v nor in %q", c.text, err, fault.Fixes)
			}
			if p := Problems(t.Context(), task); len(p) != c.count {
				t.Errorf("%d problems, want %d: %v", len(p), c.count, p)
			}
			if diff := cmp.Diff(before, snapshot(t, task)); diff != "" {
				t.Error("a file was changed")
			}
		})
	}
}

func TestAPhaseAloneNamesWhatItMisses(t *testing.T) {
	for phase, want := range map[string]string{
		"apiserver": "hactl init phase certs ca", "etcd-peer": "hactl init phase certs etcd-ca",
	} {
		_, err := run(t, Phase(), newTask(), "certs/"+phase)
		var fault *phases.Fault
		if !errors.As(err, &fault) {
			t.Fatalf("%s: got %v", phase, err)
		}
		if !slices.ContainsFunc(fault.Fixes, func(f string) bool { return strings.HasSuffix(f, want) }) {
			t.Errorf("%s: fixes %q, want %q", phase, fault.Fixes, want)
		}
	}
}

func TestAccepts(t *testing.T) {
	cases := map[string]struct {
		reason string
		change func(*testing.T, *Task)
	}{
		"FewerNames": {"names that are not wanted any more do no harm", func(_ *testing.T, task *Task) {
			task.APIServerSANs, task.EndpointHost = nil, ""
		}},
		"ExternalCA": {"all that the CA signs is there", func(t *testing.T, task *Task) {
			remove(t, task, "ca.key", "front-proxy-ca.key", "etcd/ca.key")
		}},
		"OldAccountKeys": {"the public keys of a rotation stay", func(t *testing.T, task *Task) {
			key, err := certs.NewKey(certs.ECDSAP256)
			must(t, err)
			old, err := certs.EncodePublicKey(key.Public())
			must(t, err)
			write(t, task, "sa.pub", append(old, snapshot(t, task)["sa.pub"]...))
		}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			task := done(t)
			c.change(t, task)
			if p := Problems(t.Context(), task); len(p) > 0 {
				t.Errorf("%s: %v", c.reason, p)
			}
			kinds, err := run(t, Phase(), task)
			if err != nil {
				t.Fatalf("%s: %v", c.reason, err)
			}
			for name, kind := range kinds {
				if kind != phases.Unchanged {
					t.Errorf("%s is %s", name, kind)
				}
			}
		})
	}
}

func TestRenewsWhatIsRemoved(t *testing.T) {
	task := done(t)
	before := snapshot(t, task)
	remove(t, task, "apiserver.crt", "apiserver.key", "sa.pub")
	kinds, err := run(t, Phase(), task)
	must(t, err)
	if kinds["apiserver"] != phases.Finished || kinds["ca"] != phases.Unchanged {
		t.Errorf("got %v", kinds)
	}
	after := snapshot(t, task)
	if after["sa.pub"] != before["sa.pub"] {
		t.Error("the public key does not follow from the private one")
	}
	if after["apiserver.crt"] == before["apiserver.crt"] {
		t.Error("the certificate is the old one")
	}
}

func TestJoinNeverMakesAnAuthority(t *testing.T) {
	task := newTask()
	_, err := run(t, JoinPhase(), task)
	var fault *phases.Fault
	if !errors.As(err, &fault) || !strings.Contains(fault.What, "sa.key") || !strings.Contains(fault.Fixes[0], "download-certs") {
		t.Errorf("got %v", err)
	}
	if files := snapshot(t, task); len(files) != 0 {
		t.Errorf("%d files were made", len(files))
	}
	shared := snapshot(t, done(t))
	for _, name := range []string{"ca", "front-proxy-ca", "etcd/ca"} {
		write(t, task, name+".crt", []byte(shared[name+".crt"]))
		write(t, task, name+".key", []byte(shared[name+".key"]))
	}
	write(t, task, "sa.key", []byte(shared["sa.key"]))
	write(t, task, "sa.pub", []byte(shared["sa.pub"]))
	task.NodeName = "cp2"
	_, err = run(t, JoinPhase(), task)
	must(t, err)
	if c := loadPair(t, task, "etcd-server").Cert; c.Subject.CommonName != "cp2" {
		t.Errorf("got %s", c.Subject)
	}
}
