package publish

import (
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hactl/hactl/certs"
	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/host"
	"github.com/hactl/hactl/phases/kube"
	"github.com/hactl/hactl/templates"
)

const otherKey = "ff112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

// pki gives the files of one authority, or of service accounts.
func pki(t *testing.T, cn string) (cert, key []byte, ca *certs.Authority) {
	t.Helper()
	private, err := certs.NewKey(certs.ECDSAP256)
	if err != nil {
		t.Fatal(err)
	}
	if ca, err = certs.NewAuthority(certs.AuthoritySpec{CommonName: cn}, private, clock); err != nil {
		t.Fatal(err)
	}
	if key, err = certs.EncodeKey(private); err != nil {
		t.Fatal(err)
	}
	return certs.EncodeCert(ca.Cert), key, ca
}

// uploaded returns the task of a node that joins a cluster, to which another
// node uploaded real certificates, and what it uploaded.
func uploaded(t *testing.T) (*Task, map[string][]byte) {
	t.Helper()
	up := newTask(t)
	up.Key = testKey
	files := map[string][]byte{}
	for _, name := range []string{"ca", "front-proxy-ca", "etcd-ca"} {
		cn := name
		if name == "ca" {
			cn = "kubernetes"
		}
		files[name+".crt"], files[name+".key"], _ = pki(t, cn)
	}
	key, err := certs.NewKey(certs.ECDSAP256)
	if err != nil {
		t.Fatal(err)
	}
	if files["sa.key"], err = certs.EncodeKey(key); err != nil {
		t.Fatal(err)
	}
	if files["sa.pub"], err = certs.EncodePublicKey(key.Public()); err != nil {
		t.Fatal(err)
	}
	for _, f := range templates.SharedFiles(up.Cluster) {
		write(t, up, f.Path, string(files[f.Key]))
	}
	if _, _, err := run(t, up, CertsPhase()); err != nil {
		t.Fatal(err)
	}
	return &Task{
		API: up.API, Cluster: up.Cluster, Limit: time.Second, Host: host.NewMemory(), Now: up.Now,
		Key: testKey, CA: files["ca.crt"],
	}, files
}

// alter changes the Secret as a person with the key could.
func alter(t *testing.T, task *Task, change func(plain map[string][]byte, s *corev1.Secret)) {
	t.Helper()
	key, err := certs.ParseCertificateKey(testKey)
	if err != nil {
		t.Fatal(err)
	}
	s := get[corev1.Secret](t, task, "kube-system", templates.CertsSecret)
	plain := map[string][]byte{}
	for name, sealed := range s.Data {
		if plain[name], err = certs.Open(key, sealed); err != nil {
			t.Fatal(err)
		}
	}
	before := map[string]string{}
	for name, data := range plain {
		before[name] = string(data)
	}
	change(plain, s)
	for name := range s.Data {
		data, there := plain[name]
		switch {
		case !there:
			delete(s.Data, name)
		case string(data) != before[name]:
			if s.Data[name], err = seal(key, data); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := task.API.Update(t.Context(), s); err != nil {
		t.Fatal(err)
	}
}

// disk is what the node has of the shared files.
func disk(t *testing.T, task *Task) map[string]string {
	t.Helper()
	files, err := task.onDisk(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for key, data := range files {
		got[key] = string(data)
	}
	return got
}

func TestDownload(t *testing.T) {
	task, files := uploaded(t)
	for _, want := range []phases.Kind{phases.Finished, phases.Unchanged} {
		ends, told, err := run(t, task, DownloadPhase())
		if err != nil || ends["download-certs"] != want {
			t.Fatalf("%v, %v, want %s", ends, err, want)
		}
		if strings.Contains(told, testKey) {
			t.Error("the key stands in an event")
		}
	}
	want := map[string]string{}
	for key, data := range files {
		want[key] = string(data)
	}
	if diff := cmp.Diff(want, disk(t, task)); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	for _, f := range templates.SharedFiles(task.Cluster) {
		info, err := task.Host.Stat(t.Context(), f.Path)
		if err != nil {
			t.Fatal(err)
		}
		if private := strings.HasSuffix(f.Path, ".key"); private != (info.Mode.Perm() == 0o600) {
			t.Errorf("%s has mode %s", f.Path, info.Mode)
		}
	}
	// A run after the two hours goes on with what it has.
	if err := task.API.Delete(t.Context(), secret(templates.CertsSecret)); err != nil {
		t.Fatal(err)
	}
	if ends, _, err := run(t, task, DownloadPhase()); err != nil || ends["download-certs"] != phases.Unchanged {
		t.Errorf("without the Secret: %v, %v, want unchanged", ends, err)
	}
	// But not with half of it.
	if err := task.Host.Remove(t.Context(), "/etc/kubernetes/pki/sa.key"); err != nil {
		t.Fatal(err)
	}
	if _, _, err := run(t, task, DownloadPhase()); !errors.Is(err, ErrNotUploaded) {
		t.Errorf("with a missing file: %v", err)
	}
}

func TestDownloadGoesOn(t *testing.T) {
	task, files := uploaded(t)
	write(t, task, "/etc/kubernetes/pki/ca.crt", string(files["ca.crt"]))
	if ends, _, err := run(t, task, DownloadPhase()); err != nil || ends["download-certs"] != phases.Finished {
		t.Fatalf("%v, %v", ends, err)
	}
	if n := len(disk(t, task)); n != len(files) {
		t.Errorf("%d files, want %d", n, len(files))
	}
}

func TestDownloadSkipped(t *testing.T) {
	task, _ := uploaded(t)
	task.Key = ""
	if ends, _, err := run(t, task, DownloadPhase()); err != nil || ends["download-certs"] != phases.Skipped {
		t.Errorf("%v, %v, want skipped", ends, err)
	}
}

// An external CA keeps its key to itself.
func TestDownloadExternalCA(t *testing.T) {
	task, files := uploaded(t)
	alter(t, task, func(plain map[string][]byte, _ *corev1.Secret) { plain["ca.key"] = nil })
	if _, _, err := run(t, task, DownloadPhase()); err != nil {
		t.Fatal(err)
	}
	if got := disk(t, task); len(got) != len(files)-1 || got["ca.key"] != "" {
		t.Errorf("%d files, want all but ca.key", len(got))
	}
}

func TestDownloadExternalEtcd(t *testing.T) {
	up := newTask(t)
	task, files := uploaded(t)
	caPEM, _, ca := pki(t, "their-etcd")
	key, err := certs.NewKey(certs.ECDSAP256)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := ca.Issue(certs.Leaf{CommonName: "client", Usages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, key, clock)
	if err != nil {
		t.Fatal(err)
	}
	keyPEM, err := certs.EncodeKey(key)
	if err != nil {
		t.Fatal(err)
	}
	up.Key, up.API = testKey, task.API
	up.Cluster.Etcd = config.Etcd{External: &config.ExternalEtcd{CAFile: "/etc/etcd/ca.crt", CertFile: "/etc/etcd/c.crt", KeyFile: "/etc/etcd/c.key"}}
	files["external-etcd-ca.crt"], files["external-etcd.crt"], files["external-etcd.key"] = caPEM, certs.EncodeCert(pair.Cert), keyPEM
	for _, f := range templates.SharedFiles(up.Cluster) {
		write(t, up, f.Path, string(files[f.Key]))
	}
	if _, _, err := run(t, up, CertsPhase()); err != nil {
		t.Fatal(err)
	}
	task.Cluster = up.Cluster
	if _, _, err := run(t, task, DownloadPhase()); err != nil {
		t.Fatal(err)
	}
	if got := disk(t, task); got["external-etcd.key"] != string(keyPEM) || len(got) != 9 {
		t.Errorf("%d files", len(got))
	}
}

func TestDownloadRefused(t *testing.T) {
	swap := func(a, b string) func(*testing.T, *Task) {
		return func(t *testing.T, task *Task) {
			alter(t, task, func(plain map[string][]byte, _ *corev1.Secret) { plain[a], plain[b] = plain[b], plain[a] })
		}
	}
	cases := map[string]struct {
		reason string
		change func(*testing.T, *Task)
		is     error
		code   phases.Code
	}{
		"BitFlipped": {"one bit of one entry", func(t *testing.T, task *Task) {
			alter(t, task, func(_ map[string][]byte, s *corev1.Secret) { s.Data["sa.key"][40] ^= 1 })
		}, ErrTampered, phases.CodeUnsafe},
		"BitFlippedAfterKubeadm": {"there is no fingerprint, but the other entries open", func(t *testing.T, task *Task) {
			alter(t, task, func(_ map[string][]byte, s *corev1.Secret) {
				s.Annotations, s.Data["sa.key"][40] = nil, s.Data["sa.key"][40]^1
			})
		}, ErrTampered, phases.CodeUnsafe},
		"Cut": {"an entry is cut short", func(t *testing.T, task *Task) {
			alter(t, task, func(_ map[string][]byte, s *corev1.Secret) { s.Data["sa.key"] = s.Data["sa.key"][:5] })
		}, ErrTampered, phases.CodeUnsafe},
		"SwappedKeys":   {"two keys changed places", swap("ca.key", "etcd-ca.key"), ErrTampered, phases.CodeUnsafe},
		"SwappedCerts":  {"two certificates changed places", swap("ca.crt", "front-proxy-ca.crt"), ErrTampered, phases.CodeUnsafe},
		"SwappedSealed": {"an entry was copied over another", swap("sa.pub", "sa.key"), ErrTampered, phases.CodeUnsafe},
		"SwappedPairs": {"two whole pairs changed places", func(t *testing.T, task *Task) {
			swap("etcd-ca.crt", "front-proxy-ca.crt")(t, task)
			swap("etcd-ca.key", "front-proxy-ca.key")(t, task)
		}, ErrTampered, phases.CodeUnsafe},
		"OtherAccountKey": {"the pair is not one", func(t *testing.T, task *Task) {
			alter(t, task, func(plain map[string][]byte, _ *corev1.Secret) { _, plain["sa.key"], _ = pki(t, "x") })
		}, ErrTampered, phases.CodeUnsafe},
		"OtherCA": {"the pair is whole, but of another cluster", func(t *testing.T, task *Task) {
			alter(t, task, func(plain map[string][]byte, _ *corev1.Secret) {
				plain["ca.crt"], plain["ca.key"], _ = pki(t, "kubernetes")
			})
		}, ErrTampered, phases.CodeUnsafe},
		"Missing": {"an entry is gone", func(t *testing.T, task *Task) {
			alter(t, task, func(plain map[string][]byte, _ *corev1.Secret) { delete(plain, "etcd-ca.key") })
		}, ErrTampered, phases.CodeUnsafe},
		"Emptied": {"an entry is empty that must not be", func(t *testing.T, task *Task) {
			alter(t, task, func(plain map[string][]byte, _ *corev1.Secret) { plain["sa.key"] = nil })
		}, ErrTampered, phases.CodeUnsafe},
		"Foreign": {"the node has the CA of another cluster", func(t *testing.T, task *Task) {
			cert, _, _ := pki(t, "kubernetes")
			write(t, task, "/etc/kubernetes/pki/ca.crt", string(cert))
		}, nil, phases.CodeUnsafe},
		"WrongKey": {"a typing error", func(_ *testing.T, task *Task) { task.Key = otherKey }, certs.ErrWrongKey, phases.CodeFailed},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			task, _ := uploaded(t)
			c.change(t, task)
			before := disk(t, task)
			_, told, err := run(t, task, DownloadPhase())
			var fault *phases.Fault
			if !errors.As(err, &fault) || fault.Code() != c.code || len(fault.Fixes) == 0 || c.is != nil && !errors.Is(err, c.is) {
				t.Errorf("%s: %v, want a fault of %v with code %d", c.reason, err, c.is, c.code)
			}
			if diff := cmp.Diff(before, disk(t, task)); diff != "" {
				t.Errorf("%s: something was written: -want +got\n%s", c.reason, diff)
			}
			if strings.Contains(told, "PRIVATE KEY") || strings.Contains(fmt.Sprintf("%+v", fault), "PRIVATE KEY") {
				t.Error("a private key is told")
			}
		})
	}
}

func TestCheckCertificates(t *testing.T) {
	again := func(key config.Secret) func(*testing.T, *Task) {
		return func(t *testing.T, task *Task) {
			up, files := &Task{Key: key, Upload: true}, disk(t, task)
			up.API, up.Cluster, up.Limit, up.Now, up.Host = task.API, task.Cluster, task.Limit, task.Now, host.NewMemory()
			for _, f := range templates.SharedFiles(up.Cluster) {
				write(t, up, f.Path, "content of "+f.Key+files[f.Key])
			}
			if _, _, err := run(t, up, CertsPhase()); err != nil {
				t.Fatal(err)
			}
		}
	}
	cases := map[string]struct {
		reason string
		change func(*testing.T, *Task)
		key    config.Secret
		is     error // nil: fine
		what   string
	}{
		"Good": {"the key of the upload", func(*testing.T, *Task) {}, testKey, nil, ""},
		"Absent": {"the Secret is gone", func(t *testing.T, task *Task) {
			if err := task.API.Delete(t.Context(), secret(templates.CertsSecret)); err != nil {
				t.Fatal(err)
			}
		}, testKey, ErrNotUploaded, "no uploaded certificates"},
		"NeverUploaded": {"not even the right to read it is there", func(t *testing.T, task *Task) {
			api := kube.NewMemory()
			api.Intercept(func(kube.Verb, runtime.Object) error {
				return apierrors.NewForbidden(schema.GroupResource{Resource: "secrets"}, templates.CertsSecret, errors.New("no"))
			})
			task.API = api
		}, testKey, ErrNotUploaded, "no uploaded certificates"},
		"Expired": {"nobody cleaned up yet", func(_ *testing.T, task *Task) {
			task.Now = func() time.Time { return clock.Add(lifetime + time.Second) }
		}, testKey, ErrExpired, "ended at 2026-11-21T14:00:00Z"},
		"Wrong":      {"a key of nowhere", func(*testing.T, *Task) {}, otherKey, certs.ErrWrongKey, "is wrong"},
		"Superseded": {"the certificates were uploaded again", again(otherKey), testKey, ErrSuperseded, "earlier upload"},
		"Renewed":    {"the new key", again(otherKey), otherKey, nil, ""},
		"Twice": {"and once more", func(t *testing.T, task *Task) {
			again(otherKey)(t, task)
			again(config.Secret(certs.NewCertificateKey()))(t, task)
		}, testKey, ErrSuperseded, "earlier upload"},
		"Kubeadm": {"kubeadm leaves no fingerprint", func(t *testing.T, task *Task) {
			alter(t, task, func(_ map[string][]byte, s *corev1.Secret) { s.Annotations = nil })
		}, otherKey, certs.ErrWrongKey, "wrong, or of an earlier upload"},
		"KubeadmGood": {"and its key works", func(t *testing.T, task *Task) {
			alter(t, task, func(_ map[string][]byte, s *corev1.Secret) { s.Annotations = nil })
		}, testKey, nil, ""},
		"Tampered": {"the key is right, the data is not", func(t *testing.T, task *Task) {
			alter(t, task, func(_ map[string][]byte, s *corev1.Secret) {
				for name := range s.Data {
					s.Data[name][20] ^= 1
				}
			})
		}, testKey, ErrTampered, "cannot be trusted"},
	}
	said := map[string]string{}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			task, _ := uploaded(t)
			c.change(t, task)
			err := CheckCertificates(t.Context(), task.API, c.key, task.Now())
			if c.is == nil {
				if err != nil {
					t.Errorf("%s: %v", c.reason, err)
				}
				return
			}
			var fault *phases.Fault
			if !errors.As(err, &fault) || !errors.Is(err, c.is) || !strings.Contains(fault.What, c.what) {
				t.Fatalf("%s: %v, want %v and %q", c.reason, err, c.is, c.what)
			}
			if text := strings.Join(fault.Fixes, "\n"); !strings.Contains(text, "hactl init phase upload-certs --upload-certs") || strings.Contains(text, c.key.Reveal()) {
				t.Errorf("%s: fixes %q", c.reason, fault.Fixes)
			}
			said[fault.What] = name
		})
	}
	if len(said) != 6 {
		t.Errorf("the messages are not different: %v", said)
	}
}

func TestCheckCertificatesShape(t *testing.T) {
	task, _ := uploaded(t)
	var shape *certs.CertificateKeyError
	var fault *phases.Fault
	err := CheckCertificates(t.Context(), task.API, "letmein", clock)
	if !errors.As(err, &shape) || !errors.As(err, &fault) || fault.Code() != phases.CodeUsage {
		t.Errorf("%v, want a usage fault of the key's shape", err)
	}
}
