package staticpod_test

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/templates/staticpod"
)

func TestCommand(t *testing.T) {
	defaults := map[string]string{"b": "2", "a": "1", "c": "3"}
	cases := map[string]struct {
		reason string
		extra  []config.Arg
		want   string
	}{
		"Defaults": {"defaults are in the order of their names", nil, "x --a=1 --b=2 --c=3"},
		"Replace": {
			"what replaces a default stands at the end, in the user's order",
			[]config.Arg{{Name: "z", Value: "9"}, {Name: "b", Value: "two"}}, "x --a=1 --c=3 --z=9 --b=two",
		},
		"Empty":   {"an empty value is a value", []config.Arg{{Name: "a"}}, "x --b=2 --c=3 --a="},
		"Twice":   {"a flag may be given more than once", []config.Arg{{Name: "a", Value: "8"}, {Name: "a", Value: "9"}}, "x --b=2 --c=3 --a=8 --a=9"},
		"Append":  {"the value stands behind the default's", []config.Arg{{Name: "a", Value: ",8", Merge: config.MergeAppend}}, "x --a=1,8 --b=2 --c=3"},
		"Prepend": {"the value stands before the default's", []config.Arg{{Name: "a", Value: "8,", Merge: config.MergePrepend}}, "x --a=8,1 --b=2 --c=3"},
		"MergeNothing": {
			"there is no default to merge with, so the argument is not used",
			[]config.Arg{{Name: "z", Value: "9", Merge: config.MergeAppend}}, "x --a=1 --b=2 --c=3",
		},
		"LastWordMerges": {
			"the last word on a default counts; what replaces stands at the end all the same",
			[]config.Arg{{Name: "a", Value: "8"}, {Name: "a", Value: ",9", Merge: config.MergeAppend}}, "x --a=1,9 --b=2 --c=3 --a=8",
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got := strings.Join(staticpod.Command("x", defaults, c.extra), " ")
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("%s: -want +got\n%s", c.reason, diff)
			}
		})
	}
}

func TestEnv(t *testing.T) {
	cases := map[string]struct {
		reason  string
		environ []string
		extra   []corev1.EnvVar
		want    []corev1.EnvVar
	}{
		"Nothing": {reason: "no variables at all", environ: []string{"HOME=/root", "PATH=/bin"}},
		"Proxy": {
			reason:  "proxy variables in either case, those with a value only, by name",
			environ: []string{"no_proxy=10.0.0.0/8", "HTTPS_PROXY=http://p:1", "HTTP_PROXY=", "PROXY=no", "odd_proxy"},
			want:    []corev1.EnvVar{{Name: "HTTPS_PROXY", Value: "http://p:1"}, {Name: "no_proxy", Value: "10.0.0.0/8"}},
		},
		"Equals": {
			reason: "a value may hold an equals sign", environ: []string{"http_proxy=http://u:p=w@p"},
			want: []corev1.EnvVar{{Name: "http_proxy", Value: "http://u:p=w@p"}},
		},
		"Extra": {
			reason: "the user's word beats the environment", environ: []string{"HTTPS_PROXY=http://p:1"},
			extra: []corev1.EnvVar{{Name: "HTTPS_PROXY", Value: "http://q:1"}, {Name: "A", Value: "b"}},
			want:  []corev1.EnvVar{{Name: "A", Value: "b"}, {Name: "HTTPS_PROXY", Value: "http://q:1"}},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, staticpod.Env(c.environ, c.extra)); diff != "" {
				t.Errorf("%s: -want +got\n%s", c.reason, diff)
			}
		})
	}
}

func TestByName(t *testing.T) {
	own := staticpod.Same("certs", "/etc/certs", true, corev1.HostPathDirectoryOrCreate)
	users := staticpod.Mount{Name: "certs", HostPath: "/srv/certs", MountPath: "/etc/certs"}
	other := staticpod.Same("a", "/a", false, corev1.HostPathFile)
	got := staticpod.ByName([]staticpod.Mount{own, other, users})
	if diff := cmp.Diff([]staticpod.Mount{other, users}, got); diff != "" {
		t.Errorf("the later of two counts, in the order of names: -want +got\n%s", diff)
	}
}

func TestProbeAddress(t *testing.T) {
	for bind, want := range map[string]string{"0.0.0.0": "", "::": "", "10.0.0.1": "10.0.0.1", "fd00::1": "fd00::1"} {
		if got := staticpod.ProbeAddress(bind); got != want {
			t.Errorf("ProbeAddress(%q) = %q, want %q", bind, got, want)
		}
	}
}

func TestStartupLimit(t *testing.T) {
	// kubeadm rounds up, so that the kubelet never gives up earlier than
	// the limit says.
	for limit, want := range map[time.Duration]int32{4 * time.Minute: 24, 61 * time.Second: 7, time.Second: 1} {
		p := pod()
		p.StartupLimit = limit
		if got := p.Object().Spec.Containers[0].StartupProbe.FailureThreshold; got != want {
			t.Errorf("%s: %d tries of 10s, want %d", limit, got, want)
		}
	}
}

func pod() staticpod.Pod {
	return staticpod.Pod{
		Name: "x", Image: "x:1", Command: []string{"x", "--a=1", "--a=2", "--ab=3", "--bare"}, CPU: "100m",
		Mounts:    []staticpod.Mount{staticpod.Same("b", "/b", true, corev1.HostPathFile), staticpod.Same("a", "/a", false, corev1.HostPathFile)},
		ProbeHost: "127.0.0.1", ProbePort: 1234, ProbeScheme: corev1.URISchemeHTTPS,
		LivePath: "/livez", StartupPath: "/livez", StartupLimit: time.Minute,
	}
}

func TestFlag(t *testing.T) {
	object := pod().Object()
	for name, want := range map[string]string{"a": "2", "ab": "3", "bare": "", "b": ""} {
		got, ok := staticpod.Flag(object, name)
		if got != want || ok != (want != "") {
			t.Errorf("Flag(%q) = %q, %v, want %q", name, got, ok, want)
		}
	}
}

// files is a directory of one file.
type files struct {
	data []byte
	perm fs.FileMode
	err  error
}

func (f *files) ReadFile(context.Context, string) ([]byte, error) {
	if f.data == nil && f.err == nil {
		return nil, fs.ErrNotExist
	}
	return f.data, f.err
}

func (f *files) WriteFile(_ context.Context, _ string, data []byte, perm fs.FileMode) error {
	f.data, f.perm = data, perm
	return f.err
}

func TestOnDisk(t *testing.T) {
	rewritten := func(change func(string) string) []byte {
		data, err := pod().YAML()
		if err != nil {
			t.Fatal(err)
		}
		return []byte(change(string(data)))
	}
	unreadable := errors.New("unreadable")
	cases := map[string]struct {
		reason string
		files  files
		want   bool
		fails  bool
	}{
		"Missing": {reason: "there is no manifest yet"},
		"Same":    {reason: "the file as it is written", files: files{data: rewritten(func(s string) string { return s })}, want: true},
		"Comment": {reason: "a comment changes nothing", files: files{data: rewritten(func(s string) string { return "# mine\n" + s })}, want: true},
		"Quantity": {
			reason: "0.1 and 100m are the same processor",
			files:  files{data: rewritten(func(s string) string { return strings.Replace(s, "cpu: 100m", "cpu: 0.1", 1) })}, want: true,
		},
		"Other":      {reason: "another image is another pod", files: files{data: rewritten(func(s string) string { return strings.Replace(s, "x:1", "x:2", 1) })}},
		"Unknown":    {reason: "a field that is none", files: files{data: rewritten(func(s string) string { return s + "imagination: 1\n" })}, fails: true},
		"NoYAML":     {reason: "not a manifest", files: files{data: []byte("{")}, fails: true},
		"Unreadable": {reason: "the disk says no", files: files{data: []byte{}, err: unreadable}, fails: true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := pod().OnDisk(t.Context(), &c.files, "/dir")
			if got != c.want || (err != nil) != c.fails {
				t.Errorf("OnDisk() = %v, %v, want %v, an error %v: %s", got, err, c.want, c.fails, c.reason)
			}
		})
	}
}

func TestWrite(t *testing.T) {
	f := &files{}
	if err := pod().Write(t.Context(), f, "/dir"); err != nil {
		t.Fatal(err)
	}
	if f.perm != 0o600 {
		t.Errorf("mode %o, want 600: environment variables may hold passwords of proxies", f.perm)
	}
	live, err := staticpod.Read(t.Context(), f, "/dir", "x")
	if err != nil {
		t.Fatal(err)
	}
	var mounts []string
	for _, m := range live.Spec.Containers[0].VolumeMounts {
		mounts = append(mounts, m.Name)
	}
	for _, v := range live.Spec.Volumes {
		mounts = append(mounts, v.Name)
	}
	if diff := cmp.Diff([]string{"b", "a", "a", "b"}, mounts); diff != "" {
		t.Errorf("mounts stay in order, volumes are sorted: -want +got\n%s", diff)
	}
}
