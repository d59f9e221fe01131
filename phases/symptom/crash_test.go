package symptom_test

import (
	"strings"
	"testing"
	"time"

	"github.com/hactl/hactl/phases/cri"
	"github.com/hactl/hactl/phases/symptom"
)

// TestWatch: a component is given up at its third end since the watch began,
// however often it ended before.
func TestWatch(t *testing.T) {
	container := func(attempt int, state cri.State) cri.Container {
		return cri.Container{
			ID: string(rune('a' + attempt)), Namespace: "kube-system", Name: "etcd", Attempt: attempt, State: state, ExitCode: 1,
			CreatedAt: time.Unix(int64(attempt), 0),
		}
	}
	up := func(attempt int) cri.Container { return container(attempt, cri.Running) }
	dead := func(attempt int) cri.Container { return container(attempt, cri.Exited) }
	cases := map[string]struct {
		reason   string
		seen     []cri.Container // one after the other
		empty    bool            // at first there is none
		forgive  bool
		hopeless bool
	}{
		"Early":    {reason: "it may find what it needs", seen: []cri.Container{up(0), dead(0), up(1), dead(1)}},
		"Third":    {reason: "it ended again and again", seen: []cri.Container{up(0), dead(0), dead(1), dead(2)}, hopeless: true},
		"Known":    {reason: "nobody has tried again", seen: []cri.Container{dead(4), dead(4)}},
		"Mended":   {reason: "the first try since is no proof", seen: []cri.Container{dead(4), dead(5), dead(6)}},
		"Again":    {reason: "the cause is not mended", seen: []cri.Container{dead(4), dead(5), dead(6), dead(7)}, hopeless: true},
		"History":  {reason: "the kubelet counts what it finds logs of", empty: true, seen: []cri.Container{up(4), dead(4), dead(5)}},
		"NewThird": {reason: "a new pod ended three times", empty: true, seen: []cri.Container{dead(4), dead(5), dead(6)}, hopeless: true},
		"Running":  {reason: "it is up this time", seen: []cri.Container{up(0), dead(0), dead(1), up(2)}},
		"Ours":     {reason: "hactl has ended it once", seen: []cri.Container{up(0), dead(0), dead(1), dead(2)}, forgive: true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			r := cri.NewMemory()
			w := symptom.NewWatch(r, "etcd")
			if c.empty {
				if err := w.Crashed(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			var err error
			for i, s := range c.seen {
				if err != nil {
					t.Fatalf("%s: given up before try %d: %v", c.reason, s.Attempt, err)
				}
				r.SetContainer(s, "no space left on device")
				err = w.Crashed(t.Context())
				if i == 0 && c.forgive {
					w.Forgive()
				}
			}
			if (err != nil) != c.hopeless {
				t.Fatalf("%s: %v", c.reason, err)
			}
			if c.hopeless && (!strings.Contains(err.Error(), "etcd does not stay up") || !strings.Contains(err.Error(), "ended 3 times") || !strings.Contains(err.Error(), "no space left")) {
				t.Errorf("the error does not say what and why: %v", err)
			}
		})
	}
}
