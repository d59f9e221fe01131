package kubeadm

import (
	"errors"
	"os"
	"strings"
	"testing"
)

// FuzzDecode feeds the decoder with anything. It never panics, says where
// each mistake is, and writes what it has read so that it reads the same.
func FuzzDecode(f *testing.F) {
	for _, pattern := range []string{"testdata/interop/*.yaml", "testdata/bad/*.yaml", "testdata/migrate/*.yaml"} {
		for _, file := range glob(f, pattern) {
			data, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	f.Add([]byte("a: &a [*a, *a]\n<<: *a\n"))
	f.Add([]byte(`{"kind":"ResetConfiguration"}{"kind":1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		_, err := Load("fuzz", data)
		var e *Error
		if err != nil && (!errors.As(err, &e) || len(e.Problems) == 0) {
			t.Fatalf("%#v is not an *Error with problems", err)
		}
		d, err := Decode("fuzz", data)
		if err != nil {
			return
		}
		if _, _, err := Migrate("fuzz", data); err != nil {
			t.Fatalf("read, but not migrated: %v", err)
		}
		if merges(d) {
			return
		}
		text := encodeAll(t, d)
		if len(text) == 0 {
			return
		}
		again, err := Decode("again", text)
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		if second := encodeAll(t, again); string(second) != string(text) {
			t.Fatalf("first\n%s\nsecond\n%s", text, second)
		}
	})
}

// merges says whether the file has what v1beta4 cannot say.
func merges(d *Documents) bool {
	return strings.Contains(strings.Join(d.Warnings, "\n"), "experimental")
}

// BenchmarkLoad is for a file of 200 lines; the limit is 20 ms.
func BenchmarkLoad(b *testing.B) {
	data := longFile()
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Load("long.yaml", data); err != nil {
			b.Fatal(err)
		}
	}
}

// longFile has 200 lines that say something.
func longFile() []byte {
	var s strings.Builder
	s.WriteString("apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\nkubernetesVersion: v1.37.1\ncontrolPlaneEndpoint: lb.test:6443\n")
	for _, c := range []string{"apiServer", "controllerManager", "scheduler"} {
		s.WriteString(c + ":\n  extraArgs:\n")
		for _, n := range strings.Split("abcdefghijklmnopqrst", "") {
			s.WriteString("  - name: arg-" + n + "\n    value: \"1\"\n")
		}
	}
	s.WriteString("---\napiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nevictionHard:\n")
	for strings.Count(s.String(), "\n") < 200 {
		s.WriteString("  key" + strings.Repeat("x", strings.Count(s.String(), "\n")-130) + ": 5%\n")
	}
	return []byte(s.String())
}
