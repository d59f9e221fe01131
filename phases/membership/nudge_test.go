package membership

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

func TestNudge(t *testing.T) {
	silent := fmt.Errorf("no answer: %w", errSilent)
	cases := map[string]struct {
		reason string
		asked  []error // every 100 ms
		fails  error
		want   int
	}{
		"Answers":  {"it serves at once", []error{nil, nil}, nil, 0},
		"Soon":     {"it serves after 200 ms", []error{silent, silent, silent, nil}, nil, 0},
		"Stuck":    {"it is started anew once only", repeat(silent, 30), nil, 1},
		"Lags":     {"it serves, and has not all data yet", repeat(errors.New("lags"), 30), nil, 0},
		"NotTwice": {"starting anew fails: it is not tried again", repeat(silent, 30), errors.New("no runtime"), 1},
		"Again":    {"it answered in between", append(append(repeat(silent, 3), nil), repeat(silent, 3)...), nil, 0},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				got := 0
				n := nudge{restart: func(context.Context) error { got++; return c.fails }}
				for _, err := range c.asked {
					n.look(t.Context(), err)
					time.Sleep(100 * time.Millisecond)
				}
				if got != c.want {
					t.Errorf("%s: started anew %d times, want %d", c.reason, got, c.want)
				}
			})
		})
	}
	n := nudge{}
	n.look(t.Context(), silent) // nobody may start it anew
	n.since = time.Now().Add(-time.Hour)
	n.look(t.Context(), silent)
}

func repeat(err error, n int) []error {
	var list []error
	for range n {
		list = append(list, err)
	}
	return list
}
