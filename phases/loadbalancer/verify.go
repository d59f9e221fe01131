package loadbalancer

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/wait"
)

// VerifyPhase asks the API through the program, as a client does. While no
// control plane answers by itself, before the first one exists for one, the
// program only has to listen. If it does not serve in time, the old file is
// brought back.
func VerifyPhase() phases.Phase[Task] {
	return phases.Phase[Task]{
		Name:  "verify",
		Title: "ask the API through it",
		Skip: func(t *Task) string {
			if t.DryRun {
				return "nothing was changed"
			}
			return ""
		},
		Apply: verify,
		Undo:  rollBack,
	}
}

func verify(ctx context.Context, t *Task) error {
	check, what := t.holds, fmt.Sprintf("somebody holds the address %s", t.Address)
	if t.Program.Balances() {
		what = fmt.Sprintf("%s listens at port %d", t.Program, t.Port)
		check = t.listens
		if t.anyReady(ctx) {
			what = fmt.Sprintf("an API server answers through %s at port %d", t.Program, t.Port)
			check = t.serves
		} else {
			phases.Report(ctx, "no control plane answers by itself yet: the balancer only has to listen")
		}
	}
	err := wait.For(ctx, t.Limit, wait.Condition{What: what, Check: func(ctx context.Context) (bool, string, error) {
		if err := t.alive(ctx); err != nil {
			return false, "", err
		}
		return check(ctx)
	}})
	if err != nil {
		return t.notServing(err)
	}
	return t.commit(ctx)
}

// notServing says what a person can do after the old file is back.
func (t *Task) notServing(err error) error {
	var late *wait.TimeoutError
	if !errors.As(err, &late) {
		return err
	}
	fixes := []string{"see what it says: journalctl -u " + t.Program.Unit() + " -n 50"}
	if t.Program.Balances() {
		fixes = append(fixes, "see that this host reaches the control planes: hactl lb check 127.0.0.1:"+fmt.Sprint(t.Port))
	} else {
		fixes = append(fixes, "see that VRRP (IP protocol 112) passes between the hosts, or "+
			t.words("name them all: --balancer and --unicast", "let them talk to each other only: loadBalancer.unicast (--virtual-ip-unicast)"))
	}
	return &phases.Fault{What: string(t.Program) + " does not serve with its new configuration, so the old one is brought back", Why: err, Fixes: fixes, Exit: phases.CodeTimeout}
}

// alive wants the program not to have ended.
func (t *Task) alive(ctx context.Context) error {
	status, err := t.Host.Services().Status(ctx, t.Program.Unit())
	if err != nil || status.Active || strings.HasPrefix(status.Detail, "activating") {
		return err
	}
	return &phases.Fault{
		What:  fmt.Sprintf("%s does not stay up (%s), so the old configuration is brought back", t.Program.Unit(), status.Detail),
		Fixes: []string{"see why: journalctl -u " + t.Program.Unit() + " -n 50"},
	}
}

// anyReady asks all API servers at once, without the balancer.
func (t *Task) anyReady(ctx context.Context) bool {
	var found atomic.Bool
	var group sync.WaitGroup
	for _, s := range t.Servers {
		group.Go(func() {
			if c, err := reach(ctx, t.dial(), s.String(), s.Addr().String()); err == nil && c.ready() {
				found.Store(true)
			}
		})
	}
	group.Wait()
	return found.Load()
}

// local is where the program is to be reached on its own host.
func (t *Task) local() string {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), t.Port).String()
}

func (t *Task) serves(ctx context.Context) (bool, string, error) {
	c, err := reach(ctx, t.dial(), t.local(), "127.0.0.1")
	switch {
	case err != nil:
		return false, err.Error(), nil
	case !c.ready():
		return false, fmt.Sprintf("/readyz answers %d", c.status), nil
	}
	return true, "", nil
}

func (t *Task) listens(ctx context.Context) (bool, string, error) {
	return t.accepts(ctx, t.local())
}

// holds wants somebody at the address: one who refuses is there, too.
func (t *Task) holds(ctx context.Context) (bool, string, error) {
	met, status, err := t.accepts(ctx, netip.AddrPortFrom(t.Address, t.Port).String())
	if strings.Contains(status, syscall.ECONNREFUSED.Error()) {
		return true, "", err
	}
	return met, status, err
}

func (t *Task) accepts(ctx context.Context, address string) (bool, string, error) {
	ctx, cancel := context.WithTimeout(ctx, dialLimit)
	defer cancel()
	conn, err := t.dial()(ctx, "tcp", address)
	if err != nil {
		return false, err.Error(), nil
	}
	_ = conn.Close()
	return true, "", nil
}
