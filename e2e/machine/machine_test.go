package machine

import "testing"

func TestFirstVersion(t *testing.T) {
	for _, c := range []struct{ name, reason, text, want string }{
		{"Containerd", "a path comes before it", "containerd github.com/containerd/containerd/v2 v2.4.2 \n", "v2.4.2"},
		{"Runc", "more lines follow", "runc version 1.1.5+ds1\ncommit: 1.1.5\n", "1.1.5+ds1"},
		{"Alone", "nothing else is there", "v1.37.1\n", "v1.37.1"},
		{"Development", "the first word, if none is a version", "(devel) (Kubernetes v1.37.1)\n", "(devel)"},
		{"Nothing", "no words", "\n", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := firstVersion(c.text); got != c.want {
				t.Errorf("%s: got %q, want %q", c.reason, got, c.want)
			}
		})
	}
}

func TestFieldOf(t *testing.T) {
	const text = "processor\t: 0\nmodel name\t: Example: 1000\nMemTotal:       16 kB\n"
	for key, want := range map[string]string{"model name": "Example: 1000", "MemTotal": "16 kB", "model": ""} {
		if got := fieldOf(text, key); got != want {
			t.Errorf("%s: got %q, want %q", key, got, want)
		}
	}
}
