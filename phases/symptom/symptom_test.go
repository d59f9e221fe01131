package symptom_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hactl/hactl/phases/host"
	"github.com/hactl/hactl/phases/symptom"
)

func TestJournal(t *testing.T) {
	cases := map[string]struct {
		reason, out string
		err         error
		want        []string
	}{
		"Last":      {"the newest five", "1\n2\n3\n4\n5\n6\n", nil, []string{"2", "3", "4", "5", "6"}},
		"Own":       {"without systemd's words and empty lines", "a\nkubelet.service: Main process exited\n\n b \n", nil, []string{"a", "b"}},
		"NoJournal": {"nothing to show", "", errors.New("no journal"), nil},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			m := host.NewMemory()
			m.Handle("journalctl", func([]string) ([]byte, error) { return []byte(c.out), c.err })
			if diff := cmp.Diff(c.want, symptom.Journal(t.Context(), m, "kubelet.service")); diff != "" {
				t.Errorf("%s: -want +got\n%s", c.reason, diff)
			}
		})
	}
}

func TestHints(t *testing.T) {
	cases := map[string]struct{ reason, line, want string }{
		"Port":    {"a port is taken", "listen tcp :6443: bind: address already in use", "ss -ltnp"},
		"Case":    {"in whatever letters", "Running with Swap on is not supported", "swapoff"},
		"Driver":  {"kubelet and runtime differ", `misconfiguration: kubelet cgroup driver: "cgroupfs" is different`, "cgroupDriver"},
		"Token":   {"the bootstrap token has ended", "failed to run Kubelet: Unauthorized", "hactl token create"},
		"Unknown": {"nothing is made up", "something else", ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got := strings.Join(symptom.Hints([]string{c.line}), "\n")
			if !strings.Contains(got, c.want) || (c.want == "") != (got == "") {
				t.Errorf("%s: %q, want %q in it", c.reason, got, c.want)
			}
		})
	}
	if got := symptom.Tail([]string{"a", "b"}); got != "; its last lines:\n  a\n  b" || symptom.Tail(nil) != "" {
		t.Errorf("Tail() = %q", got)
	}
}
