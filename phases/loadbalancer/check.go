package loadbalancer

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/templates/loadbalancer"
)

// Inspection is what a check works from.
type Inspection struct {
	// Address is the one that clients use; its port is set.
	Address config.HostPort
	// CAs are the cluster's; without them nobody's identity is judged.
	CAs []*x509.Certificate
	// Servers are the API servers that are to be found behind Address, as
	// far as they are known.
	Servers []loadbalancer.Server
	// Balancers are the hosts that take Address over from each other, as
	// far as they are known.
	Balancers []netip.AddrPort
	// Virtual says that this host holds Address for others, too, or may: it
	// is in its Keepalived's file.
	Virtual bool
	// Failover is how long to measure, zero for not at all.
	Failover time.Duration

	// Dial makes connections, Resolve finds the addresses of a name; nil
	// means the network's.
	Dial    Dial
	Resolve func(ctx context.Context, name string) ([]netip.Addr, error)
	// Now is the clock for certificates; nil means time.Now.
	Now func() time.Time
	// Tell gets a line for each thing that takes long; nil means nobody.
	Tell func(text string)

	report *Report
	seen   []seen
}

// seen is one certificate that was shown, and how often.
type seen struct {
	leaf  *x509.Certificate
	count int
}

// Inspect asks the address as clients do, several times, and changes nothing.
// The error is only the cause of ctx's end.
func Inspect(ctx context.Context, i Inspection) (*Report, error) {
	i.begin()
	if i.resolve(ctx) && i.first(ctx) {
		i.others(ctx)
		i.backends(ctx)
		i.balancers(ctx)
		i.failover(ctx)
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	i.report.close()
	return i.report, nil
}

// begin fills in what was left out, and forgets what an earlier look found.
func (i *Inspection) begin() {
	i.report, i.seen = &Report{Address: i.Address.String()}, nil
	if i.Dial == nil {
		i.Dial = (&net.Dialer{}).DialContext
	}
	if i.Resolve == nil {
		i.Resolve = func(ctx context.Context, name string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", name)
		}
	}
	if i.Now == nil {
		i.Now = time.Now
	}
	if i.Tell == nil {
		i.Tell = func(string) {}
	}
}

// resolve finds the addresses of the name. It is false if there is none.
func (i *Inspection) resolve(ctx context.Context) bool {
	if a, err := netip.ParseAddr(i.Address.Host); err == nil {
		i.report.Addresses = []string{a.String()}
		return true
	}
	limited, cancel := context.WithTimeout(ctx, answerLimit)
	defer cancel()
	list, err := i.Resolve(limited, i.Address.Host)
	for _, a := range list {
		i.report.Addresses = append(i.report.Addresses, a.Unmap().String())
	}
	slices.Sort(i.report.Addresses)
	i.report.Addresses = slices.Compact(i.report.Addresses)
	if err == nil && len(list) == 0 {
		err = errors.New("the name has no address")
	}
	if err == nil {
		return true
	}
	i.report.add(Finding{
		Answer: Unreachable, What: "the name " + i.Address.Host + " does not resolve", Why: err.Error(),
		Fix: []string{"add it to DNS, and see it with: getent hosts " + i.Address.Host},
	})
	return false
}

// rounds is how many connections are made: with round robin, each of several
// servers is met, even while others use the balancer too.
func (i *Inspection) rounds() int { return max(12, 6*len(i.Servers)) }

// first makes one connection to each address of the name. It is false if
// none of them leads to an API server.
func (i *Inspection) first(ctx context.Context) bool {
	reached := false
	for _, a := range i.report.Addresses {
		reached = i.try(ctx, net.JoinHostPort(a, strconv.Itoa(int(i.Address.Port)))) || reached
	}
	return reached
}

// try makes one connection and judges it. It says whether a certificate was
// shown.
func (i *Inspection) try(ctx context.Context, address string) bool {
	m := i.meet(ctx, address)
	if ctx.Err() != nil {
		return false
	}
	i.judge(m)
	return m.contact != nil
}

// judge files what is wrong with one connection.
func (i *Inspection) judge(m meeting) {
	if m.err != nil {
		i.report.add(i.failed(m.address, m.err))
	}
	if m.contact == nil {
		return
	}
	i.identity(m.contact)
	if m.err == nil && !m.contact.ready() {
		i.report.add(i.unready(m.contact))
	}
}

// others makes more connections, until every server that is known was met.
func (i *Inspection) others(ctx context.Context) {
	for n := range i.rounds() {
		if len(i.Servers) > 0 && len(i.missing()) == 0 && n >= len(i.Servers) || ctx.Err() != nil {
			return
		}
		at := i.report.Addresses[n%len(i.report.Addresses)]
		i.try(ctx, net.JoinHostPort(at, strconv.Itoa(int(i.Address.Port))))
	}
}

// failed says what an error of one connection means.
func (i *Inspection) failed(address string, err error) Finding {
	f := Finding{Why: err.Error()}
	var at *contactError
	errors.As(err, &at)
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		f.Answer, f.What = Refused, "nothing listens at "+address+" yet"
		f.Fix = []string{
			"before hactl init this is as it should be, where the address is that of the first control plane",
			"on a load balancer host: systemctl status haproxy nginx; or set one up: hactl lb install haproxy",
		}
	case at.stage == dialling && late(err):
		f.Answer, f.What = Timeout, "nobody answers at "+address
		f.Fix = []string{
			"see that a host has the address, on the balancers: ip address",
			fmt.Sprintf("open port %d between this host and the balancer: a firewall that drops packets looks like this", i.Address.Port),
		}
	case late(err):
		f.Answer, f.What = Timeout, "a balancer listens at "+address+", but what is behind it does not answer"
		f.Fix = []string{
			"on the balancer: see that it reaches each control plane: curl -k https://CONTROL-PLANE:6443/readyz",
			"a firewall before the control planes that drops packets looks like this",
		}
	case at.stage == handshaking && closed(err):
		f.Answer, f.What = NothingBehind, "a balancer listens at "+address+", but has no API server to pass connections on to"
		f.Fix = []string{
			"before hactl init this is as it should be",
			"after it, on the balancer: see that its list of control planes is right, and that it reaches them: curl -k https://CONTROL-PLANE:6443/readyz",
		}
	case at.stage != dialling:
		f.Answer, f.What = NoAPIServer, "what answers at "+address+" is no API server"
		f.Fix = []string{"see who listens there: ss -ltnp", "a balancer must pass TCP on as it is: no HTTP mode, no TLS of its own"}
	default:
		f.Answer, f.What = Unreachable, address+" cannot be reached"
		f.Fix = []string{"see the route to it: ip route get " + strings.Trim(strings.TrimSuffix(address, ":"+strconv.Itoa(int(i.Address.Port))), "[]")}
	}
	return f
}

func (i *Inspection) unready(c *contact) Finding {
	return Finding{
		Answer: NotReady, What: fmt.Sprintf("%s gets connections and is not ready: /readyz answers %d", i.nameOf(c.leaf), c.status),
		Fix: []string{
			"a balancer should check /readyz, not an open port only: hactl lb render haproxy",
			"see what is wrong with it: hactl status",
		},
	}
}
