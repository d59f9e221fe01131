//go:build linux

package nodes

import (
	"testing"
	"time"
)

func TestParseUsage(t *testing.T) {
	for _, c := range []struct {
		name, reason, text string
		want               time.Duration
		fails              bool
	}{
		{"Version1", "nanoseconds", "1500000000\n", 1500 * time.Millisecond, false},
		{"Version2", "microseconds, and more lines", "usage_usec 1500000\nuser_usec 1000000\nsystem_usec 500000\n", 1500 * time.Millisecond, false},
		{"Other", "neither", "nr_periods 0\n", 0, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := parseUsage([]byte(c.text))
			if got != c.want || (err != nil) != c.fails {
				t.Errorf("%s: got %s, %v; want %s", c.reason, got, err, c.want)
			}
		})
	}
}
