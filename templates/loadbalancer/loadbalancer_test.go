package loadbalancer

import (
	"bytes"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/hactl/hactl/config/goldentest"
)

func servers(t *testing.T, list ...string) []Server {
	t.Helper()
	var all []Server
	for _, s := range list {
		server, err := ParseServer(s)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, server)
	}
	return all
}

func three(t *testing.T) []Server {
	return servers(t, "server-2=10.10.10.51:6443", "server-1=10.10.10.50:6443", "server-3=10.10.10.52:6443")
}

func six(t *testing.T) []Server { return servers(t, "[fd00::11]:6443", "cp-2=[fd00::12]:6443") }

var guide = Keepalived{
	Process: "haproxy", Port: 6443, Check: CheckReadyz, Interface: "eth1", State: Main, Priority: 200, RouterID: 51,
	Address: netip.MustParsePrefix("10.10.10.100/24"),
}

func TestRender(t *testing.T) {
	second := guide
	second.State, second.Priority = Backup, 100
	second.Check, second.Port = CheckTCP, 8443
	second.Source, second.Peers = netip.MustParseAddr("10.10.10.99"), []netip.Addr{netip.MustParseAddr("10.10.10.98")}
	v6 := guide
	v6.Address = netip.MustParsePrefix("fd00::64/64")
	cases := map[string]struct {
		reason string
		golden string
		render func() ([]byte, error)
		list   []Server
	}{
		"HAProxy":        {"the guide's three servers", "haproxy.cfg", HAProxy{Port: 6443, Servers: three(t), Check: CheckReadyz}.Render, three(t)},
		"HAProxyTCP":     {"a cluster without anonymous requests, another port", "haproxy-tcp.cfg", HAProxy{Port: 8443, Servers: three(t), Check: CheckTCP}.Render, three(t)},
		"HAProxyIPv6":    {"both families are listened at", "haproxy-ipv6.cfg", HAProxy{Port: 6443, Servers: six(t), Check: CheckReadyz}.Render, six(t)},
		"Nginx":          {"the guide's three servers, with the warning", "nginx.conf", Nginx{6443, three(t)}.Render, three(t)},
		"NginxIPv6":      {"both families are listened at", "nginx-ipv6.conf", Nginx{6443, six(t)}.Render, six(t)},
		"Keepalived":     {"the guide's first host", "keepalived.conf", guide.Render, nil},
		"Second":         {"the guide's second host, in a network without multicast", "keepalived-second.conf", second.Render, nil},
		"KeepalivedIPv6": {"an IPv6 address is checked at IPv6", "keepalived-ipv6.conf", v6.Render, nil},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := c.render()
			if err != nil {
				t.Fatalf("%s: %v", c.reason, err)
			}
			goldentest.Check(t, c.golden, got)
			if o := OriginOf(got); o != Own {
				t.Errorf("%s: the file counts as %s", c.reason, o)
			}
			want, err := Sort(c.list)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, Servers(got), cmp.Comparer(func(a, b Server) bool { return a == b }), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("%s: servers read back: -want +got\n%s", c.reason, diff)
			}
		})
	}
}

func TestRenderRefuses(t *testing.T) {
	change := func(f func(*Keepalived)) func() ([]byte, error) {
		k := guide
		f(&k)
		return k.Render
	}
	cases := map[string]struct {
		reason string
		render func() ([]byte, error)
	}{
		"NoServers":      {"everybody would be cut off", HAProxy{Port: 6443}.Render},
		"NginxNoServers": {"the same", Nginx{Port: 6443}.Render},
		"OneName":        {"HAProxy refuses it", HAProxy{Port: 6443, Servers: servers(t, "a=10.0.0.1:6443", "a=10.0.0.2:6443"), Check: CheckReadyz}.Render},
		"OneAddress":     {"it would get twice its part", HAProxy{Port: 6443, Servers: servers(t, "a=10.0.0.1:6443", "b=10.0.0.1:6443"), Check: CheckReadyz}.Render},
		"Priority":       {"255 is for the owner of a real address", change(func(k *Keepalived) { k.Priority = 255 })},
		"RouterID":       {"0 is none", change(func(k *Keepalived) { k.RouterID = 0 })},
		"Interface":      {"no interface", change(func(k *Keepalived) { k.Interface = "" })},
		"Address":        {"no address", change(func(k *Keepalived) { k.Address = netip.Prefix{} })},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if got, err := c.render(); err == nil {
				t.Errorf("%s: got\n%s", c.reason, got)
			}
		})
	}
}

func TestParseServer(t *testing.T) {
	cases := map[string]struct {
		reason, give, want string
		bad                bool
	}{
		"Named":     {reason: "name and address", give: "cp-1=10.0.0.11:6443", want: "cp-1=10.0.0.11:6443"},
		"Bare":      {reason: "a name is made", give: "10.0.0.11:6443", want: "cp-10-0-0-11=10.0.0.11:6443"},
		"IPv6":      {reason: "a name without colons is made", give: "[fd00::]:6443", want: "cp-fd00=[fd00::]:6443"},
		"Mapped":    {reason: "one address has one form", give: "a=[::ffff:10.0.0.1]:6443", want: "a=10.0.0.1:6443"},
		"NoPort":    {reason: "the port is not guessed", give: "cp-1=10.0.0.11", bad: true},
		"PortZero":  {reason: "no port", give: "cp-1=10.0.0.11:0", bad: true},
		"HostName":  {reason: "a balancer that asks DNS fails with it", give: "cp-1=cp-1.lab:6443", bad: true},
		"Injection": {reason: "no second word, no second line", give: "a check\n=10.0.0.1:6443", bad: true},
		"NoName":    {reason: "an empty name", give: "=10.0.0.1:6443", bad: true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := ParseServer(c.give)
			if (err != nil) != c.bad || err == nil && got.String() != c.want {
				t.Errorf("%s: got %v, %v, want %s", c.reason, got, err, c.want)
			}
		})
	}
}

func TestOrigin(t *testing.T) {
	own, err := HAProxy{Port: 6443, Servers: three(t), Check: CheckReadyz}.Render()
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct {
		reason string
		file   []byte
		want   Origin
	}{
		"Own":    {"as written", own, Own},
		"Edited": {"a server was added by hand", append(bytes.Clone(own), "    server x 10.0.0.9:6443 check\n"...), Edited},
		"Cut":    {"half of it", own[:len(own)/2], Edited},
		"Stock":  {"what the package brings", []byte("global\n\tlog /dev/log\tlocal0\n"), Foreign},
		"Empty":  {"nothing", nil, Foreign},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if got := OriginOf(c.file); got != c.want {
				t.Errorf("%s: got %s, want %s", c.reason, got, c.want)
			}
		})
	}
}

// Every host must have a priority of its own, and a host that reaches an API
// server must come before every one that does not.
func TestPriority(t *testing.T) {
	if got := []int{Priority(0, 2), Priority(1, 2)}; !cmp.Equal(got, []int{200, 100}) {
		t.Errorf("two hosts have %v, the guide says 200 and 100", got)
	}
	for hosts := 1; hosts <= 10; hosts++ {
		for place := range hosts {
			p := Priority(place, hosts)
			if place > 0 && p >= Priority(place-1, hosts) {
				t.Errorf("host %d of %d has %d, no less than the one before it", place, hosts, p)
			}
			if without := Priority(0, hosts) - guide.Weight(); without >= p {
				t.Errorf("host %d of %d has %d, and the first one without API servers %d", place, hosts, p, without)
			}
		}
	}
}

// Hosts that come at the same time choose priorities of their own.
func TestRanks(t *testing.T) {
	var network []netip.Addr
	for a := netip.MustParseAddr("10.0.0.1"); len(network) < 253; a = a.Next() {
		network = append(network, a)
	}
	all := Ranks(network)
	seen := map[int]bool{}
	for i, a := range network {
		p := all[a]
		if p < 2 || p > 254 || seen[p] {
			t.Errorf("%s has %d", a, p)
		}
		if i > 0 && p >= all[network[i-1]] {
			t.Errorf("%s has %d, no less than the one before it", a, p)
		}
		if alone := Ranks([]netip.Addr{a})[a]; alone != p {
			t.Errorf("%s has %d alone and %d among others", a, alone, p)
		}
		if p-Lowest > 1 {
			t.Errorf("%s has %d without API servers", a, p-Lowest)
		}
		seen[p] = true
	}
	far := []netip.Addr{netip.MustParseAddr("10.1.0.7"), netip.MustParseAddr("10.0.0.7"), netip.MustParseAddr("10.2.0.7"), netip.MustParseAddr("10.0.0.7")}
	got := Ranks(far)
	if got[far[1]] != 248 || got[far[0]] != 247 || got[far[2]] != 246 {
		t.Errorf("three of one last byte, one of them twice: %v", got)
	}
	if one := Ranks([]netip.Addr{netip.MustParseAddr("fd00::ff")}); one[netip.MustParseAddr("fd00::ff")] != 253 {
		t.Errorf("IPv6: %v", one)
	}
}
