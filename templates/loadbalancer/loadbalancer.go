// Package loadbalancer owns the form of the files of load balancers in front
// of the control planes: haproxy.cfg, keepalived.conf and nginx.conf, filled
// from typed parameters. Each file carries a checksum of itself, so that a
// file that somebody else wrote or changed is known. The package reads no
// file and knows no host.
package loadbalancer

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"embed"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"github.com/hactl/hactl/templates/form"
)

//go:embed *.cfg *.conf
var files embed.FS

// Server is the API server of one control plane.
type Server struct {
	Name    string
	Address netip.AddrPort
}

// String is the form that ParseServer reads.
func (s Server) String() string { return s.Name + "=" + s.Address.String() }

// serverName is what all of the three programs take as one word.
var serverName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$`)

// ParseServer reads "cp-1=10.0.0.11:6443" or "10.0.0.11:6443", which gets the
// name that NameOf gives.
func ParseServer(s string) (Server, error) {
	name, address, named := strings.Cut(s, "=")
	if !named {
		address = s
	}
	at, err := netip.ParseAddrPort(address)
	if err != nil || at.Port() == 0 {
		return Server{}, fmt.Errorf("%q is not NAME=ADDRESS:PORT, such as cp-1=10.0.0.11:6443", s)
	}
	at = netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
	if !named {
		name = NameOf(at.Addr())
	}
	if !serverName.MatchString(name) {
		return Server{}, fmt.Errorf("%q is not a name for a server: use letters, digits, '-', '.' and '_'", name)
	}
	return Server{Name: name, Address: at}, nil
}

// NameOf is the name of a server of which only the address is known:
// "cp-10-0-0-11".
func NameOf(a netip.Addr) string {
	return "cp-" + strings.Trim(strings.NewReplacer(".", "-", ":", "-").Replace(a.Unmap().WithZone("").String()), "-")
}

// Sort brings servers into the one order in which files list them, so that
// the same servers always give the same file. It returns an error if two have
// one name or one address.
func Sort(servers []Server) ([]Server, error) {
	sorted := slices.SortedFunc(slices.Values(servers), func(a, b Server) int {
		return cmp.Or(a.Address.Compare(b.Address), cmp.Compare(a.Name, b.Name))
	})
	names := map[string]Server{}
	for i, s := range sorted {
		if i > 0 && sorted[i-1].Address == s.Address {
			return nil, fmt.Errorf("the servers %s and %s have one address", sorted[i-1], s)
		}
		if other, taken := names[s.Name]; taken {
			return nil, fmt.Errorf("the servers %s and %s have one name", other, s)
		}
		names[s.Name] = s
	}
	return sorted, nil
}

// Check is how a balancer finds out which API servers may get connections.
type Check string

// The checks.
const (
	// CheckReadyz asks /readyz over TLS: a server that starts, stops or has
	// lost etcd gets no connections.
	CheckReadyz Check = "readyz"
	// CheckTCP opens a connection only. It is for clusters that refuse
	// requests without credentials (--anonymous-auth=false).
	CheckTCP Check = "tcp"
)

// errNoServers says that a file without servers would cut everybody off.
var errNoServers = errors.New("there is no server to balance between")

// HAProxy is what haproxy.cfg is made from.
type HAProxy struct {
	Port    uint16 // where clients connect to, on all addresses
	Servers []Server
	Check   Check
	// OfNode says that the file is part of a control plane.
	OfNode bool
}

// Render returns the file.
func (h HAProxy) Render() ([]byte, error) {
	var err error
	if h.Servers, err = usable(h.Servers); err != nil {
		return nil, err
	}
	check, err := files.ReadFile("check-" + string(cmp.Or(h.Check, CheckReadyz)) + ".cfg")
	if err != nil {
		return nil, err
	}
	values := form.Values{"OfNode": "", "Connect": h.connect(), "Bind": h.bind(), "Check": string(check), "Servers": lines(h.Servers, "server %[1]s %[2]s check")}
	if h.OfNode {
		values["OfNode"] = ofNode
	}
	return signed("haproxy.cfg", values)
}

// connect is how long a server may take to take a connection. On a control
// plane, the one that fails is a server and the holder of the address at once:
// clients must not wait for both.
func (h HAProxy) connect() string {
	if h.OfNode {
		return "500ms"
	}
	return "2s"
}

// bind is the address to listen at: all of IPv4 or, where a server has an
// IPv6 address, of both families.
func (h HAProxy) bind() string {
	if anyIPv6(h.Servers) {
		return fmt.Sprintf(":::%d v4v6", h.Port)
	}
	return fmt.Sprintf("*:%d", h.Port)
}

// Nginx is what nginx.conf is made from.
type Nginx struct {
	Port    uint16 // where clients connect to, on all addresses
	Servers []Server
}

// Render returns the file.
func (n Nginx) Render() ([]byte, error) {
	var err error
	if n.Servers, err = usable(n.Servers); err != nil {
		return nil, err
	}
	listen := fmt.Sprintf("listen %d so_keepalive=on;", n.Port)
	if anyIPv6(n.Servers) {
		listen += fmt.Sprintf("\nlisten [::]:%d so_keepalive=on;", n.Port)
	}
	return signed("nginx.conf", form.Values{
		"Listen": listen, "Servers": lines(n.Servers, "server %[2]s max_fails=1 fail_timeout=5s; # %[1]s"),
	})
}

// lines are a line for each server, from its name and its address.
func lines(servers []Server, format string) string {
	var b strings.Builder
	for _, s := range servers {
		fmt.Fprintf(&b, format+"\n", s.Name, s.Address)
	}
	return b.String()
}

func usable(servers []Server) ([]Server, error) {
	if len(servers) == 0 {
		return nil, errNoServers
	}
	return Sort(servers)
}

func anyIPv6(servers []Server) bool {
	return slices.ContainsFunc(servers, func(s Server) bool { return s.Address.Addr().Is6() })
}

// signed renders an embedded file and puts the checksum before it.
func signed(name string, values form.Values) ([]byte, error) {
	text, err := files.ReadFile(name)
	if err != nil {
		return nil, err
	}
	body, err := form.Fill(string(text), values)
	if err != nil {
		return nil, fmt.Errorf("template %s: %w", name, err)
	}
	return Sign([]byte(body)), nil
}

const mark = "# Written by hactl lb; checksum "

// Sign puts the line before the body that Origin looks for.
func Sign(body []byte) []byte {
	return fmt.Appendf(nil, "%s%x\n%s", mark, sha256.Sum256(body), body)
}

// ofNode is the line of a file that init or join made.
const ofNode = "# It is part of this control plane: hactl reset takes it away."

// OfNode says whether init or join made the file, as a part of a control
// plane.
func OfNode(file []byte) bool { return bytes.Contains(file, []byte("\n"+ofNode+"\n")) }

// Origin says who wrote a file.
type Origin string

// The origins.
const (
	Own     Origin = "own"     // as hactl wrote it
	Edited  Origin = "edited"  // hactl wrote it, and somebody changed it
	Foreign Origin = "foreign" // somebody else wrote it
)

// OriginOf tells who wrote the file.
func OriginOf(file []byte) Origin {
	first, body, _ := bytes.Cut(file, []byte("\n"))
	switch {
	case !bytes.HasPrefix(first, []byte(mark)):
		return Foreign
	case bytes.Equal(Sign(body), file):
		return Own
	}
	return Edited
}

// serverLine is the line of a server in haproxy.cfg ("server cp-1
// 10.0.0.11:6443 check") and in nginx.conf ("server 10.0.0.11:6443 …; # cp-1").
var serverLine = regexp.MustCompile(`(?m)^\s*server (?:([A-Za-z0-9._-]+) (\S+:\d+)\b.*|(\S+:\d+) .*; # (\S+))$`)

// Servers reads the servers back from a file that Render made; other lines
// are not looked at.
func Servers(file []byte) []Server {
	var list []Server
	for _, m := range serverLine.FindAllSubmatch(file, -1) {
		name, address := string(m[1])+string(m[4]), string(m[2])+string(m[3])
		if s, err := ParseServer(name + "=" + address); err == nil {
			list = append(list, s)
		}
	}
	return list
}
