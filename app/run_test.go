package app

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hactl/hactl/phases"
)

// What other processes are told of a run is what was typed, by full names.
func TestCommand(t *testing.T) {
	cases := map[string]struct {
		reason string
		only   []string
		want   string // "" for a refusal
	}{
		"Whole":   {"no phase is named", nil, "hactl init"},
		"Alone":   {"a path is one word", []string{"certs/ca"}, "hactl init phase certs/ca"},
		"Alias":   {"kubeadm's other name", []string{"uploadconfig"}, "hactl init phase upload-config"},
		"Several": {"phases of one command", []string{"certs/ca", "kubeconfig/all"}, "hactl init phase certs/ca kubeconfig"},
		"Unknown": {"there is none of that name", []string{"cert"}, ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			o, err := options(InitPhases(), selection{only: c.only}, func(phases.Event) {}, time.Now)
			var unknown *phases.UnknownPhaseError
			if errors.As(err, &unknown) != (c.want == "") {
				t.Fatalf("%s: %v", c.reason, err)
			}
			if err != nil {
				return
			}
			if diff := cmp.Diff(c.want, command("hactl init", o.Only)); diff != "" {
				t.Errorf("%s: -want +got\n%s", c.reason, diff)
			}
		})
	}
}
