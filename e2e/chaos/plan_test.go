package main

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestPlanRepeats(t *testing.T) {
	whole, err := plan(7, 1, 60, kinds())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, reason string
		seed         uint64
		from, count  int
		want         []fault
		same         bool
	}{
		{"Again", "the same seed is the same plan", 7, 1, 60, whole, true},
		{"FromTheMiddle", "a fault needs none of those before it", 7, 31, 5, whole[30:35], true},
		{"AnotherSeed", "another seed is another plan", 8, 1, 60, whole, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := plan(c.seed, c.from, c.count, kinds())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); (diff == "") != c.same {
				t.Errorf("%s: -want +got\n%s", c.reason, diff)
			}
		})
	}
}

// TestPlanIsWithinTheKinds looks at many faults: each is one that its kind
// allows, all kinds and variants come, and epochs begin with their own.
func TestPlanIsWithinTheKinds(t *testing.T) {
	all := kinds()
	list, err := plan(1, 1, 5000, all)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for _, f := range list {
		k, err := pick(all, f.Kind)
		if err != nil {
			t.Fatal(err)
		}
		seen[f.Kind+f.Variant]++
		switch {
		case k.first != (f.Number%epoch == 1):
			t.Errorf("fault %d is %s", f.Number, f)
		case !slices.Contains(k.nodes, f.Node):
			t.Errorf("%s does not happen to %s", f.Kind, f.Node)
		case len(k.variants) > 0 && !slices.Contains(k.variants, f.Variant):
			t.Errorf("%s has no variant %q", f.Kind, f.Variant)
		case f.Held < k.least || f.Held > max(k.least, k.most):
			t.Errorf("%s is held for %s", f, f.Held)
		case f.Moment < 0 || f.Moment >= 1:
			t.Errorf("%s is at %v", f, f.Moment)
		}
	}
	for _, k := range all {
		for _, v := range append(slices.Clone(k.variants), []string{""}[:max(0, 1-len(k.variants))]...) {
			if seen[k.name+v] == 0 {
				t.Errorf("%s %s never comes", k.name, v)
			}
		}
	}
}

func TestDrawNeedsAKind(t *testing.T) {
	never := []kind{{name: "never", weight: 1, first: true, nodes: planes}}
	if _, err := draw(1, 2, never); err == nil {
		t.Error("a kind for init was drawn for a cluster that is there")
	}
	if _, err := pick(never, "other"); err == nil {
		t.Error("an unknown kind was found")
	}
}

func TestGapLimit(t *testing.T) {
	for _, c := range []struct {
		name, reason string
		f            fault
		want         time.Duration
	}{
		{"OneOfThree", "two members and the balancer are left", fault{Node: "cp-1", Variant: atRest}, maxGap},
		{"TheOnlyBalancer", "nobody reaches the API without it", fault{Node: balancer, Variant: atRest}, 0},
		{"OneOfTwo", "the third has no vote yet", fault{Node: "cp-1", Variant: whileAnotherJoins}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := gapLimit(c.f); got != c.want {
				t.Errorf("%s: got %s, want %s", c.reason, got, c.want)
			}
		})
	}
}
