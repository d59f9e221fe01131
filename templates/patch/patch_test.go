package patch

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
)

func pod() *corev1.Pod {
	return &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{
		Name: "kube-apiserver", Command: []string{"kube-apiserver", "--a=1"}, Env: []corev1.EnvVar{{Name: "A", Value: "1"}},
	}}}}
}

func TestApplyTo(t *testing.T) {
	for name, c := range map[string]struct {
		reason string
		files  map[string]string
		want   func(*corev1.Pod)
	}{
		"Strategic": {
			reason: "the type without a plus: containers and variables are merged by name",
			files:  map[string]string{"kube-apiserver.yaml": `spec: {containers: [{name: kube-apiserver, env: [{name: B, value: "2"}]}]}`},
			want: func(p *corev1.Pod) {
				p.Spec.Containers[0].Env = []corev1.EnvVar{{Name: "B", Value: "2"}, {Name: "A", Value: "1"}}
			},
		},
		"Merge": {
			reason: "RFC 7386: lists are replaced",
			files:  map[string]string{"kube-apiserver0+merge.yaml": `spec: {containers: [{name: other}]}`},
			want:   func(p *corev1.Pod) { p.Spec.Containers = []corev1.Container{{Name: "other"}} },
		},
		"JSON": {
			reason: "RFC 6902: one place is changed",
			files:  map[string]string{"kube-apiserver+json.json": `[{"op": "add", "path": "/spec/containers/0/command/-", "value": "--b=2"}]`},
			want:   func(p *corev1.Pod) { p.Spec.Containers[0].Command = []string{"kube-apiserver", "--a=1", "--b=2"} },
		},
		"Order": {
			reason: "files by name, documents in their order; the last one counts",
			files: map[string]string{
				"kube-apiserver1.yaml": "spec: {hostname: b}\n---\nspec: {hostname: c}\n",
				"kube-apiserver0.yaml": "spec: {hostname: a, subdomain: s}",
			},
			want: func(p *corev1.Pod) { p.Spec.Hostname, p.Spec.Subdomain = "c", "s" },
		},
		"OtherTarget": {
			reason: "patches of other targets do not count",
			files:  map[string]string{"etcd.yaml": "spec: {hostname: a}", "README.md": "no patch", "notes.yaml": "a: b"},
			want:   func(*corev1.Pod) {},
		},
	} {
		t.Run(name, func(t *testing.T) {
			files := map[string][]byte{}
			for n, data := range c.files {
				files[n] = []byte(data)
			}
			s, err := Parse(files)
			if err != nil {
				t.Fatal(err)
			}
			got, want := pod(), pod()
			c.want(want)
			if err := ApplyTo(s, APIServer, got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: -want +got\n%s", c.reason, diff)
			}
		})
	}
}

func TestRefused(t *testing.T) {
	for name, c := range map[string]struct{ reason, file, data, says string }{
		"UnknownType": {"a type behind the plus that is none", "etcd+strategc.yaml", "a: b", "strategc"},
		"NotYAML":     {"a file that cannot be read", "etcd.yaml", "a: [", "etcd.yaml"},
		"Twice":       {"a key that stands twice", "etcd.yaml", "a: 1\na: 2", "etcd.yaml"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Parse(map[string][]byte{c.file: []byte(c.data)}); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("Parse() = %v, want an error that names %s: %s", err, c.says, c.reason)
			}
		})
	}
	s, err := Parse(map[string][]byte{"kube-apiserver.yaml": []byte("spec: {hostNetwork: {}}")})
	if err != nil {
		t.Fatal(err)
	}
	if err := ApplyTo(s, APIServer, pod()); err == nil {
		t.Error("a patch that leaves no pod is applied")
	}
}

func TestIgnored(t *testing.T) {
	s, err := Parse(map[string][]byte{"README.md": nil, "kubeproxy.yaml": []byte("a: b"), "etcd.yaml": []byte("a: b")})
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Ignored) != 2 {
		t.Errorf("ignored files: %v, want README.md and kubeproxy.yaml", s.Ignored)
	}
}
