package loadbalancer_test

import (
	"context"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hactl/hactl/phases/loadbalancer"
)

func TestFailover(t *testing.T) {
	cases := map[string]struct {
		reason   string
		from, to time.Duration // when nobody answers
		seconds  float64       // of the gap, to half a second
		open     bool
		answer   loadbalancer.Answer
		takes    time.Duration // at most
	}{
		"None":  {"nothing failed", 0, 0, 0, false, loadbalancer.Good, 21 * time.Second},
		"Short": {"the second balancer took over", 2 * time.Second, 5 * time.Second, 3.5, false, loadbalancer.Good, 12 * time.Second},
		"Long":  {"it took its time", 2 * time.Second, 12 * time.Second, 10.5, false, loadbalancer.SlowFailover, 18 * time.Second},
		"Open":  {"nobody took over", 2 * time.Second, time.Hour, 18.5, true, loadbalancer.SlowFailover, 22 * time.Second},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, i := three(t, newAuthority(t, "kubernetes"))
				var begin time.Time
				i.Tell = func(string) {
					if begin.IsZero() {
						begin = time.Now()
					}
				}
				i.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
					if at := time.Since(begin); !begin.IsZero() && at >= c.from && at < c.to {
						<-ctx.Done()
						return nil, ctx.Err()
					}
					return n.dial(ctx, network, address)
				}
				i.Failover = 20 * time.Second
				report, err := loadbalancer.Inspect(t.Context(), *i)
				if err != nil {
					t.Fatal(err)
				}
				g := report.Failover
				if report.Answer != c.answer || g.Seconds > c.seconds+0.5 || g.Seconds < c.seconds-0.6 || g.Open != c.open {
					t.Errorf("%s: %s, gap %+v, want %s and %.1fs", c.reason, report.Answer, g, c.answer, c.seconds)
				}
				if took := time.Since(begin); took > c.takes {
					t.Errorf("%s: took %s", c.reason, took)
				}
			})
		})
	}
}
