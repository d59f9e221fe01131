package loadbalancer_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/loadbalancer"
	lbfiles "github.com/hactl/hactl/templates/loadbalancer"
)

// authority signs the certificates of one cluster.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T, name string) *authority {
	a := &authority{t: t}
	a.cert, a.key = sign(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, nil)
	return a
}

// sign makes a certificate that is valid for a day around now, if it does
// not say when.
func sign(t *testing.T, c *x509.Certificate, by *authority) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if c.SerialNumber, err = rand.Int(rand.Reader, big.NewInt(1<<62)); err != nil {
		t.Fatal(err)
	}
	if c.NotAfter.IsZero() {
		c.NotBefore, c.NotAfter = time.Now().Add(-12*time.Hour), time.Now().Add(12*time.Hour)
	}
	parent, signer := c, key
	if by != nil {
		parent, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	made, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return made, key
}

// apiServer answers /readyz with a status over TLS, as the API server of a
// node does.
func (a *authority) apiServer(node, address string, status int, names ...string) func(net.Conn) {
	return a.serve(status, &x509.Certificate{
		Subject: pkix.Name{CommonName: "kube-apiserver"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:    append([]string{"kubernetes", "kubernetes.default.svc", node}, names...),
		IPAddresses: []net.IP{net.ParseIP("10.96.0.1"), net.ParseIP(address)},
	})
}

func (a *authority) serve(status int, template *x509.Certificate) func(net.Conn) {
	leaf, key := sign(a.t, template, a)
	settings := &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{leaf.Raw}, PrivateKey: key}}}
	return func(raw net.Conn) {
		defer raw.Close()
		conn := tls.Server(raw, settings)
		if _, err := http.ReadRequest(bufio.NewReader(conn)); err != nil {
			return
		}
		_, _ = fmt.Fprintf(conn, "HTTP/1.1 %d X\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok", status)
	}
}

// network is what can be reached: who answers at an address, nil for one that
// refuses. An address that is not there does not answer at all.
type network map[string]func(net.Conn)

// inTurn passes connections on as a balancer does.
func inTurn(list ...func(net.Conn)) func(net.Conn) {
	var turn atomic.Int64
	return func(c net.Conn) { list[int(turn.Add(1)-1)%len(list)](c) }
}

func (n network) dial(ctx context.Context, _, address string) (net.Conn, error) {
	answer, there := n[address]
	if !there {
		<-ctx.Done()
		return nil, &net.OpError{Op: "dial", Err: ctx.Err()}
	}
	if answer == nil {
		return nil, &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	}
	here, far := net.Pipe()
	go answer(far)
	return here, nil
}

func closes(c net.Conn) {
	_, _ = c.Read(make([]byte, 1<<16))
	_ = c.Close()
}

func hangs(c net.Conn) { _, _ = io.Copy(io.Discard, c) }

func plain(c net.Conn) {
	_, _ = c.Read(make([]byte, 1))
	go func() { _, _ = io.Copy(io.Discard, c) }()
	_, _ = c.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\nno TLS here"))
}

const lb = "10.0.0.100:6443"

func server(t *testing.T, s string) lbfiles.Server {
	t.Helper()
	got, err := lbfiles.ParseServer(s)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestInspect(t *testing.T) {
	type answers struct {
		answer             loadbalancer.Answer
		problems, warnings []loadbalancer.Answer
		code               phases.Code
	}
	only := func(a loadbalancer.Answer, code phases.Code, warnings ...loadbalancer.Answer) answers {
		return answers{a, []loadbalancer.Answer{a}, warnings, code}
	}
	good := func(warnings ...loadbalancer.Answer) answers {
		return answers{loadbalancer.Good, nil, warnings, 0}
	}
	cases := map[string]struct {
		reason string
		// others is what is there beside three API servers, ours, that a
		// balancer at 10.0.0.100 passes connections on to.
		others func(ours, foreign *authority) network
		change func(*loadbalancer.Inspection)
		want   answers
	}{
		"Good":      {reason: "all three, behind two balancers", want: good()},
		"Name":      {reason: "a name with two addresses", change: named("10.0.0.98", "10.0.0.99"), want: good()},
		"Virtual":   {reason: "this host may hold the address", change: func(i *loadbalancer.Inspection) { i.Balancers, i.Virtual = nil, true }, want: good()},
		"NoServers": {reason: "nobody knows which there are", change: func(i *loadbalancer.Inspection) { i.Servers = nil }, want: good()},
		"Unresolved": {
			reason: "the name has no address", change: named(),
			want: only(loadbalancer.Unreachable, phases.CodeFailed),
		},
		"Refused": {
			reason: "nothing listens", others: func(_, _ *authority) network { return network{lb: nil} },
			want: only(loadbalancer.Refused, phases.CodePreflight),
		},
		"NothingBehind": {
			reason: "a balancer without servers", others: func(_, _ *authority) network { return network{lb: closes} },
			want: only(loadbalancer.NothingBehind, phases.CodePreflight),
		},
		"Timeout": {
			reason: "nobody answers", change: func(i *loadbalancer.Inspection) { i.Address.Host = "10.0.0.77" },
			want: only(loadbalancer.Timeout, phases.CodeTimeout),
		},
		"TimeoutBehind": {
			reason: "the balancer waits for its servers for ever", others: func(_, _ *authority) network { return network{lb: hangs} },
			want: only(loadbalancer.Timeout, phases.CodeTimeout),
		},
		"NoTLS": {
			reason: "a web server", others: func(_, _ *authority) network { return network{lb: plain} },
			want: only(loadbalancer.NoAPIServer, phases.CodeFailed),
		},
		"OtherCluster": {
			reason: "the address is another cluster's", others: func(_, f *authority) network { return network{lb: f.apiServer("x-1", "10.0.0.100", 200)} },
			want: only(loadbalancer.OtherCA, phases.CodeUnsafe),
		},
		"OneOfAnother": {
			reason: "one server in the list is another cluster's",
			others: func(o, f *authority) network {
				return network{lb: inTurn(o.apiServer("cp-1", "10.0.0.11", 200, "lb.lab"), f.apiServer("x-1", "10.0.0.12", 200))}
			},
			change: func(i *loadbalancer.Inspection) { i.Servers, i.Address.Host = i.Servers[:2], "10.0.0.100" },
			want:   answers{loadbalancer.OtherCA, []loadbalancer.Answer{loadbalancer.OtherCA, loadbalancer.NameMissing}, nil, phases.CodeUnsafe},
		},
		"NameMissing": {
			reason: "the certificates are for a name, and clients use the address",
			others: func(o, _ *authority) network { return network{lb: o.apiServer("cp-1", "10.0.0.11", 200, "lb.lab")} },
			change: func(i *loadbalancer.Inspection) { i.Servers = i.Servers[:1] },
			want:   only(loadbalancer.NameMissing, phases.CodeFailed),
		},
		"Expired": {
			reason: "the certificate has ended",
			others: func(o, _ *authority) network {
				return network{lb: o.serve(200, &x509.Certificate{
					IPAddresses: []net.IP{net.ParseIP("10.0.0.100"), net.ParseIP("10.0.0.11")}, NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(-time.Hour),
				})}
			},
			change: func(i *loadbalancer.Inspection) { i.Servers = i.Servers[:1] },
			want:   only(loadbalancer.Expired, phases.CodeFailed),
		},
		"NotReady": {
			reason: "an API server that lost its etcd gets connections",
			others: func(o, _ *authority) network { return network{lb: o.apiServer("cp-1", "10.0.0.100", 500)} },
			change: func(i *loadbalancer.Inspection) { i.Servers = nil },
			want:   only(loadbalancer.NotReady, phases.CodeFailed),
		},
		"NoAnonymous": {
			reason: "401 is the answer of a server that takes requests",
			others: func(o, _ *authority) network { return network{lb: o.apiServer("cp-1", "10.0.0.100", 401)} },
			change: func(i *loadbalancer.Inspection) { i.Servers = nil },
			want:   good(),
		},
		"BackendMissing": {
			reason: "a control plane joined, and nobody told the balancer",
			change: func(i *loadbalancer.Inspection) { i.Servers = append(i.Servers, server(t, "cp-4=10.0.0.14:6443")) },
			others: func(o, _ *authority) network {
				return network{"10.0.0.14:6443": o.apiServer("cp-4", "10.0.0.14", 200)}
			},
			want: only(loadbalancer.BackendMissing, phases.CodeFailed),
		},
		"BackendDown": {
			reason: "a control plane is down, which the balancer cannot help",
			change: func(i *loadbalancer.Inspection) { i.Servers = append(i.Servers, server(t, "cp-4=10.0.0.14:6443")) },
			others: func(_, _ *authority) network { return network{"10.0.0.14:6443": nil} },
			want:   good(loadbalancer.BackendDown),
		},
		"Single": {
			reason: "one address, and nothing known of who holds it",
			change: func(i *loadbalancer.Inspection) { i.Balancers = nil },
			want:   good(loadbalancer.SingleBalancer),
		},
		"SecondDown": {
			reason: "the second balancer would not take over",
			others: func(_, _ *authority) network { return network{"10.0.0.99:6443": nil} },
			want:   good(loadbalancer.SingleBalancer, loadbalancer.SingleBalancer),
		},
		"Unverified": {
			reason: "no CA is at hand",
			change: func(i *loadbalancer.Inspection) { i.CAs = nil },
			want:   good(loadbalancer.Unverified),
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ours, foreign := newAuthority(t, "kubernetes"), newAuthority(t, "kubernetes")
				n, i := three(t, ours)
				if c.others != nil {
					for address, answers := range c.others(ours, foreign) {
						n[address] = answers
					}
				}
				i.Dial = n.dial
				if c.change != nil {
					c.change(i)
				}
				report, err := loadbalancer.Inspect(t.Context(), *i)
				if err != nil {
					t.Fatal(err)
				}
				got := answers{report.Answer, answersOf(report.Problems), answersOf(report.Warnings), report.Code()}
				if diff := cmp.Diff(c.want, got, cmp.AllowUnexported(answers{})); diff != "" {
					t.Errorf("%s: -want +got\n%s\n%+v", c.reason, diff, report)
				}
				for _, f := range slices.Concat(report.Problems, report.Warnings) {
					if len(f.Fix) == 0 || f.What == "" {
						t.Errorf("%s: nobody can do anything about %+v", c.reason, f)
					}
				}
			})
		})
	}
}

// three is a cluster of three behind an address that two hosts hold in turn.
func three(t *testing.T, ours *authority) (network, *loadbalancer.Inspection) {
	var all []func(net.Conn)
	n := network{}
	i := &loadbalancer.Inspection{
		Address: config.HostPort{Host: "10.0.0.100", Port: 6443}, CAs: []*x509.Certificate{ours.cert},
		Balancers: []netip.AddrPort{netip.MustParseAddrPort("10.0.0.98:6443"), netip.MustParseAddrPort("10.0.0.99:6443")},
	}
	for k := 1; k <= 3; k++ {
		name, address := fmt.Sprintf("cp-%d", k), fmt.Sprintf("10.0.0.%d", 10+k)
		template := &x509.Certificate{
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, DNSNames: []string{"kubernetes", "lb.lab", name},
			IPAddresses: []net.IP{net.ParseIP(address), net.ParseIP("10.0.0.100")},
		}
		answer := ours.serve(http.StatusOK, template)
		all = append(all, answer)
		n[address+":6443"] = answer
		i.Servers = append(i.Servers, server(t, name+"="+address+":6443"))
	}
	for _, address := range []string{lb, "10.0.0.98:6443", "10.0.0.99:6443"} {
		n[address] = inTurn(all...)
	}
	return n, i
}

// named makes clients use a name with these addresses.
func named(addresses ...string) func(*loadbalancer.Inspection) {
	return func(i *loadbalancer.Inspection) {
		i.Address.Host, i.Balancers = "lb.lab", nil
		i.Resolve = func(context.Context, string) ([]netip.Addr, error) {
			var list []netip.Addr
			for _, a := range addresses {
				list = append(list, netip.MustParseAddr(a))
			}
			if len(list) == 0 {
				return nil, errors.New("no such host")
			}
			return list, nil
		}
	}
}

func answersOf(list []loadbalancer.Finding) (answers []loadbalancer.Answer) {
	for _, f := range list {
		answers = append(answers, f.Answer)
	}
	return answers
}

// Each connection ends somewhere, and the report says where.
func TestInspectCountsBackends(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, i := three(t, newAuthority(t, "kubernetes"))
		i.Dial = n.dial
		report, err := loadbalancer.Inspect(t.Context(), *i)
		if err != nil {
			t.Fatal(err)
		}
		want := []string{"cp-1 10.0.0.11:6443", "cp-2 10.0.0.12:6443", "cp-3 10.0.0.13:6443"}
		var got []string
		for _, b := range report.Backends {
			got = append(got, b.Name+" "+b.Address)
			if b.Connections == 0 {
				t.Errorf("%s was not met", b.Name)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("backends: -want +got\n%s", diff)
		}
	})
}
