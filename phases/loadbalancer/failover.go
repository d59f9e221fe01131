package loadbalancer

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"time"
)

const (
	// pace is how often a connection is made while failover is measured.
	pace = 100 * time.Millisecond
	// tolerated is the longest gap that is good.
	tolerated = 5 * time.Second
	// settled is how long all must be well before a measurement ends early.
	settled = 3 * time.Second
)

// balancers asks each balancer by itself: a virtual address is worth as much
// as the hosts that can hold it.
func (i *Inspection) balancers(ctx context.Context) {
	serving := 0
	for _, b := range i.Balancers {
		c, err := reach(ctx, i.Dial, b.String(), i.Address.Host)
		if err == nil && c.ready() {
			serving++
			continue
		}
		why := "it passes connections on to a server that is not ready"
		if err != nil {
			why = err.Error()
		}
		i.report.add(Finding{
			Answer: SingleBalancer, What: fmt.Sprintf("the balancer %s does not serve, so it could not take over", b), Why: why,
			Fix: []string{"on it: systemctl status haproxy keepalived"},
		})
	}
	if serving > 1 || i.Virtual && len(i.Balancers) == 0 || len(i.report.Addresses) > 1 {
		return
	}
	f := Finding{
		Answer: SingleBalancer, What: "nothing shows that a second balancer takes over when the one at " + i.Address.Host + " fails",
		Fix: []string{
			"if it is a virtual address, name the hosts behind it, and each is asked: --balancer ADDRESS,ADDRESS",
			"if it is a single host, give it a second one and a virtual address: hactl lb install keepalived --help",
		},
	}
	if len(i.Balancers) > 0 {
		f.What = fmt.Sprintf("%d of %d balancers serves: none would take over from it", serving, len(i.Balancers))
		f.Fix = f.Fix[1:]
	}
	i.report.add(f)
}

// failover measures for how long clients are cut off, while somebody else
// makes something fail. It ends early once that is over.
func (i *Inspection) failover(ctx context.Context) {
	if i.Failover <= 0 {
		return
	}
	i.Tell(fmt.Sprintf("measuring for %s: make a balancer or a control plane fail now", i.Failover))
	m := measurement{gap: &Gap{}, began: time.Now()}
	m.good = m.began
	ticks := time.NewTicker(pace)
	defer ticks.Stop()
	for n := 0; !m.over() && time.Since(m.began) < i.Failover; n++ {
		at := i.report.Addresses[n%len(i.report.Addresses)]
		err := i.serves(ctx, net.JoinHostPort(at, strconv.Itoa(int(i.Address.Port))))
		if ctx.Err() != nil {
			return
		}
		if told := m.note(err, time.Now()); told != "" {
			i.Tell(told)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
		}
	}
	i.measured(m.close(time.Now()))
}

// serves makes one connection that must not take longer than a second: what
// hangs is as good as gone.
func (i *Inspection) serves(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	c, err := reach(ctx, i.Dial, address, i.Address.Host)
	if err == nil && !c.ready() {
		err = fmt.Errorf("/readyz answers %d", c.status)
	}
	return err
}

// measurement watches connections come about and fail.
type measurement struct {
	gap         *Gap
	began, good time.Time // good is when a connection last came about
	failing     bool
	recovered   time.Time // when the last gap ended
}

// note takes one try and returns what a person would want to see.
func (m *measurement) note(err error, now time.Time) string {
	m.gap.Tries++
	if err != nil {
		m.gap.Failed++
		if !m.failing {
			m.failing = true
			return "cut off: " + err.Error()
		}
		return ""
	}
	defer func() { m.good = now }()
	if !m.failing {
		return ""
	}
	m.failing, m.recovered = false, now
	lasted := now.Sub(m.good)
	m.gap.Seconds = max(m.gap.Seconds, lasted.Seconds())
	return fmt.Sprintf("back after %.1fs", lasted.Seconds())
}

// over says that a gap has ended and nothing failed since.
func (m *measurement) over() bool {
	return !m.recovered.IsZero() && !m.failing && time.Since(m.recovered) >= settled
}

func (m *measurement) close(now time.Time) *Gap {
	m.gap.Watched = now.Sub(m.began)
	if m.failing {
		m.gap.Open = true
		m.gap.Seconds = max(m.gap.Seconds, now.Sub(m.good).Seconds())
	}
	return m.gap
}

func (i *Inspection) measured(g *Gap) {
	i.report.Failover = g
	if g.Seconds <= tolerated.Seconds() && !g.Open {
		return
	}
	what := fmt.Sprintf("clients were cut off for %.1fs", g.Seconds)
	if g.Open {
		what += ", and still are"
	}
	i.report.add(Finding{
		Answer: SlowFailover, What: what,
		Fix: []string{
			"a balancer that checks often loses less: hactl lb render haproxy checks each second",
			"for the balancers themselves: hactl lb install keepalived; journalctl -u keepalived tells who held the address when",
		},
	})
}

// day is a date for people.
func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }
