package symptom_test

import (
	"strings"
	"testing"

	"github.com/hactl/hactl/phases/cri"
	"github.com/hactl/hactl/phases/symptom"
)

// TestWatch: a component is given up at its third end, but not for one that
// was seen when the watch began.
func TestWatch(t *testing.T) {
	container := func(id string, attempt int, state cri.State) cri.Container {
		return cri.Container{ID: id, Namespace: "kube-system", Name: "etcd", Attempt: attempt, State: state, ExitCode: 1}
	}
	cases := map[string]struct {
		reason        string
		before, after cri.Container
		hopeless      bool
	}{
		"First":   {"it is early", container("a", 0, cri.Running), container("a", 0, cri.Exited), false},
		"Third":   {"it ended again and again", container("a", 1, cri.Running), container("b", 2, cri.Exited), true},
		"Known":   {"nobody has tried again", container("a", 4, cri.Exited), container("a", 4, cri.Exited), false},
		"Again":   {"the cause is not mended", container("a", 4, cri.Exited), container("b", 5, cri.Exited), true},
		"Running": {"it is up this time", container("a", 4, cri.Exited), container("b", 5, cri.Running), false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			r := cri.NewMemory()
			r.SetContainer(c.before)
			crashed := symptom.Watch(r, "etcd")
			if err := crashed(t.Context()); err != nil {
				t.Fatalf("%s: at first: %v", c.reason, err)
			}
			c.after.CreatedAt = c.before.CreatedAt.Add(1)
			r.SetContainer(c.after, "no space left on device")
			err := crashed(t.Context())
			if (err != nil) != c.hopeless {
				t.Fatalf("%s: %v", c.reason, err)
			}
			if c.hopeless && (!strings.Contains(err.Error(), "etcd does not stay up") || !strings.Contains(err.Error(), "no space left")) {
				t.Errorf("the error does not say what and why: %v", err)
			}
		})
	}
}
