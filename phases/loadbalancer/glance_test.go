package loadbalancer_test

import (
	"context"
	"crypto/x509"
	"errors"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/loadbalancer"
)

// website has a certificate, and is no API server.
func (a *authority) website() func(net.Conn) {
	return a.serve(503, &x509.Certificate{DNSNames: []string{"lb.lab"}, IPAddresses: []net.IP{net.ParseIP("10.0.0.100")}})
}

// Before init, only a cluster that is there already is in the way.
func TestBefore(t *testing.T) {
	cases := map[string]struct {
		reason  string
		there   func(ours, foreign *authority) network
		change  func(*loadbalancer.Inspection)
		resumed bool
		warns   string // a word of the only warning, "" for none
		fails   string // a word of the failure, "" for none
		took    time.Duration
	}{
		"Refused":       {reason: "the balancer may come later", there: func(_, _ *authority) network { return network{lb: nil} }},
		"NothingBehind": {reason: "a balancer without servers", there: func(_, _ *authority) network { return network{lb: closes} }},
		"Unresolved":    {reason: "another check tells that", change: named()},
		"Timeout":       {reason: "packets are dropped", warns: "nobody answers", took: 2 * time.Second},
		"Virtual":       {reason: "init itself will bring the address up", change: func(i *loadbalancer.Inspection) { i.Virtual = true }, took: 500 * time.Millisecond},
		"TimeoutBehind": {reason: "the balancer does not reach its servers", there: func(_, _ *authority) network { return network{lb: hangs} }, warns: "does not answer", took: 3 * time.Second},
		"NoTLS":         {reason: "a web server", there: func(_, _ *authority) network { return network{lb: plain} }, warns: "no API server"},
		"OwnTLS":        {reason: "the balancer ends TLS itself", there: func(_, f *authority) network { return network{lb: f.website()} }, warns: "no API server"},
		"OtherCluster":  {reason: "its API server answers", there: func(_, f *authority) network { return network{lb: f.apiServer("x-1", "10.0.0.9", 200)} }, fails: "another cluster"},
		"NoCA": {
			reason: "there is no CA yet, so whoever answers is of another cluster",
			there:  func(o, _ *authority) network { return network{lb: o.apiServer("x-1", "10.0.0.9", 403)} },
			change: func(i *loadbalancer.Inspection) { i.CAs = nil }, fails: "another cluster",
		},
		"SecondAddress": {
			reason: "all addresses of the name are asked, at the same time",
			there:  func(_, f *authority) network { return network{"10.0.0.99:6443": f.apiServer("x-1", "10.0.0.9", 200)} },
			change: named("10.0.0.98", "10.0.0.99"), fails: "another cluster", took: 2 * time.Second,
		},
		"Same": {
			reason: "init on a second machine, with the CA of the first",
			there:  func(o, _ *authority) network { return network{lb: o.apiServer("cp-1", "10.0.0.9", 200)} }, fails: "is up already",
		},
		"Resumed": {
			reason: "this node's own API server", resumed: true,
			there: func(o, _ *authority) network { return network{lb: o.apiServer("cp-1", "10.0.0.9", 200)} },
		},
		"OtherWhileResumed": {
			reason: "the balancer was turned to another cluster", resumed: true,
			there: func(_, f *authority) network { return network{lb: f.apiServer("x-1", "10.0.0.9", 200)} }, fails: "another cluster",
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ours, foreign := newAuthority(t, "kubernetes"), newAuthority(t, "kubernetes")
				_, i := three(t, ours)
				n := network{}
				if c.there != nil {
					n = c.there(ours, foreign)
				}
				i.Dial, i.Servers, i.Balancers = n.dial, nil, nil
				if c.change != nil {
					c.change(i)
				}
				began := time.Now()
				warnings, err := loadbalancer.Before(t.Context(), *i, func(context.Context) (bool, error) { return c.resumed, nil })
				if took := time.Since(began); took != c.took {
					t.Errorf("%s: took %s, want %s", c.reason, took, c.took)
				}
				if c.warns == "" && len(warnings) > 0 || c.warns != "" && (len(warnings) != 1 || !strings.Contains(warnings[0], c.warns) || !strings.Contains(warnings[0], "fix  ")) {
					t.Errorf("%s: warnings %q, want one with %q", c.reason, warnings, c.warns)
				}
				var fault *phases.Fault
				if errors.As(err, &fault) != (c.fails != "") || fault != nil && (!strings.Contains(fault.What, c.fails) || fault.Code() != phases.CodePreflight || len(fault.Fixes) == 0) {
					t.Errorf("%s: error %v, want one with %q", c.reason, err, c.fails)
				}
			})
		})
	}
}

// comes is there only after a while.
func comes(after time.Duration, then func(net.Conn)) func(net.Conn) {
	began := time.Now()
	return func(c net.Conn) {
		if time.Since(began) < after {
			closes(c)
			return
		}
		then(c)
	}
}

// After init, the address leads to the cluster, or somebody should know.
func TestAfter(t *testing.T) {
	cases := map[string]struct {
		reason string
		there  func(ours, foreign *authority) network
		change func(*loadbalancer.Inspection)
		want   loadbalancer.Answer // "" for none
		within time.Duration
	}{
		"Good":      {reason: "the first connection tells", there: func(o, _ *authority) network { return network{lb: o.apiServer("cp-1", "10.0.0.100", 200)} }},
		"Forbidden": {reason: "anonymous requests are off", there: func(o, _ *authority) network { return network{lb: o.apiServer("cp-1", "10.0.0.100", 401)} }},
		"Soon": {
			reason: "the balancer needs a moment", within: 2500 * time.Millisecond,
			there: func(o, _ *authority) network {
				return network{lb: comes(2*time.Second, o.apiServer("cp-1", "10.0.0.100", 200))}
			},
		},
		"OneOfTwo": {
			reason: "clients try the next address of a name", change: named("10.0.0.98", "10.0.0.99"),
			there: func(o, _ *authority) network {
				return network{"10.0.0.98:6443": nil, "10.0.0.99:6443": o.apiServer("cp-1", "10.0.0.9", 200, "lb.lab")}
			},
		},
		"Refused":       {reason: "nobody made the balancer yet", there: func(_, _ *authority) network { return network{lb: nil} }, want: loadbalancer.Refused, within: 3 * time.Second},
		"NothingBehind": {reason: "the list of servers is empty", there: func(_, _ *authority) network { return network{lb: closes} }, want: loadbalancer.NothingBehind, within: 3 * time.Second},
		"Timeout":       {reason: "packets are dropped", want: loadbalancer.Timeout, within: 3 * time.Second},
		"Unresolved":    {reason: "preflight was told to ignore it", change: named(), want: loadbalancer.Unreachable, within: 3 * time.Second},
		"OtherCluster":  {reason: "waiting would not help", there: func(_, f *authority) network { return network{lb: f.apiServer("x-1", "10.0.0.100", 200)} }, want: loadbalancer.OtherCA},
		"NameMissing":   {reason: "waiting would not help", there: func(o, _ *authority) network { return network{lb: o.apiServer("cp-1", "10.0.0.9", 200)} }, want: loadbalancer.NameMissing},
		"NotReady":      {reason: "it may be so later", there: func(o, _ *authority) network { return network{lb: o.apiServer("cp-1", "10.0.0.100", 500)} }, want: loadbalancer.NotReady, within: 3 * time.Second},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ours, foreign := newAuthority(t, "kubernetes"), newAuthority(t, "kubernetes")
				_, i := three(t, ours)
				n := network{}
				if c.there != nil {
					n = c.there(ours, foreign)
				}
				i.Dial, i.Servers, i.Balancers = n.dial, nil, nil
				if c.change != nil {
					c.change(i)
				}
				began := time.Now()
				f := loadbalancer.After(t.Context(), *i)
				if took := time.Since(began); took > c.within {
					t.Errorf("%s: took %s, want at most %s", c.reason, took, c.within)
				}
				got := loadbalancer.Answer("")
				if f != nil {
					got = f.Answer
					if strings.Contains(f.String(), "before") || !strings.Contains(f.String(), "hactl lb check") {
						t.Errorf("%s: nobody can do anything about %s", c.reason, f)
					}
				}
				if diff := cmp.Diff(c.want, got); diff != "" {
					t.Errorf("%s: -want +got\n%s", c.reason, diff)
				}
			})
		})
	}
}

// Who is interrupted is told of the interrupt only.
func TestAfterInterrupt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, i := three(t, newAuthority(t, "kubernetes"))
		i.Dial = network{}.dial
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if f := loadbalancer.After(ctx, *i); f != nil {
			t.Errorf("found %s", f)
		}
	})
}
