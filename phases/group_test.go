package phases_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hactl/hactl/phases"
)

// A group is unchanged when nothing in it had anything to do.
func TestGroupEnds(t *testing.T) {
	skipped := task("skipped")
	skipped.Skip = func(*world) string { return "not here" }
	cases := map[string]struct {
		reason     string
		list       phases.Phase[world]
		only, skip []string
		want       map[string]phases.Kind // of the groups
	}{
		"Unchanged": {reason: "all is there", list: group("g", task("old"), task("older")), want: map[string]phases.Kind{"g": phases.Unchanged}},
		"Made":      {reason: "one is new", list: group("g", task("old"), task("new")), want: map[string]phases.Kind{"g": phases.Finished}},
		"Checked":   {reason: "what was done cannot be told", list: group("g", task("old"), check("c", fine)), want: map[string]phases.Kind{"g": phases.Finished}},
		"Skipped":   {reason: "the rest is there", list: group("g", task("old"), skipped), want: map[string]phases.Kind{"g": phases.Unchanged}},
		"AllSkipped": {
			reason: "by the user and by itself", list: group("g", task("new"), skipped), skip: []string{"g/new"},
			want: map[string]phases.Kind{"g": phases.Unchanged},
		},
		"Alone": {reason: "only what ran counts", list: group("g", task("old"), task("new")), only: []string{"g/old"}, want: map[string]phases.Kind{"g": phases.Unchanged}},
		"Inner": {
			reason: "each group by itself", list: group("g", group("a", task("old")), group("b", task("new"))),
			want: map[string]phases.Kind{"g": phases.Finished, "g/a": phases.Unchanged, "g/b": phases.Finished},
		},
		"InnerUnchanged": {
			reason: "groups count, too", list: group("g", group("a", task("old")), group("b", task("older"))),
			want: map[string]phases.Kind{"g": phases.Unchanged, "g/a": phases.Unchanged, "g/b": phases.Unchanged},
		},
		"Empty": {reason: "there was nothing to be unchanged", list: group("g", group("a")), want: map[string]phases.Kind{"g": phases.Finished, "g/a": phases.Finished}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got := map[string]phases.Kind{}
			err := phases.Run(t.Context(), []phases.Phase[world]{c.list}, newWorld("old", "older"), phases.Options{
				Only: c.only, Skip: c.skip,
				Notify: func(e phases.Event) {
					if e.Kind != phases.Started && (e.Group || e.Phase == "g/a") {
						got[e.Phase] = e.Kind
					}
				},
			})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("%s: -want +got\n%s", c.reason, diff)
			}
		})
	}
}
