package staticpod

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hactl/hactl/config"
)

func TestCommandMerges(t *testing.T) {
	defaults := map[string]string{"controllers": "*", "v": "2"}
	for name, c := range map[string]struct {
		reason string
		extra  []config.Arg
		want   []string
	}{
		"Replace":  {"the plain argument takes the place of the default", []config.Arg{{Name: "v", Value: "4"}}, []string{"p", "--controllers=*", "--v=4"}},
		"Append":   {"the value is written behind the default's", []config.Arg{{Name: "controllers", Value: ",-ttl", Merge: config.MergeAppend}}, []string{"p", "--controllers=*,-ttl", "--v=2"}},
		"Prepend":  {"the value is written before the default's", []config.Arg{{Name: "controllers", Value: "-ttl,", Merge: config.MergePrepend}}, []string{"p", "--controllers=-ttl,*", "--v=2"}},
		"NoTarget": {"what could be merged with nothing is not used", []config.Arg{{Name: "x", Value: "1", Merge: config.MergeAppend}}, []string{"p", "--controllers=*", "--v=2"}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, Command("p", defaults, c.extra)); diff != "" {
				t.Errorf("%s: -want +got\n%s", c.reason, diff)
			}
		})
	}
}
