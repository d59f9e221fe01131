// Package loadbalancer sets up a load balancer on a host of its own, keeps
// its list of control planes right, and tells what is wrong with one, whoever
// set it up. It owns the programs' configuration files; the form of these is
// that of templates/loadbalancer. A file that somebody else wrote or changed
// is never replaced unless the user says so.
package loadbalancer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/host"
)

// Program is what runs on the host.
type Program string

// The programs.
const (
	HAProxy    Program = "haproxy"
	Keepalived Program = "keepalived"
	Nginx      Program = "nginx"
)

// Balances says whether the program forwards connections; Keepalived only
// holds an address.
func (p Program) Balances() bool { return p != Keepalived }

// Unit is the program's unit of systemd.
func (p Program) Unit() string { return string(p) + ".service" }

// File is the program's configuration file.
func (p Program) File() string {
	switch p {
	case HAProxy:
		return "/etc/haproxy/haproxy.cfg"
	case Keepalived:
		return "/etc/keepalived/keepalived.conf"
	}
	return "/etc/nginx/nginx.conf"
}

// needs are the programs that must be there, each with an argument that
// makes it do nothing.
func (p Program) needs() [][]string {
	switch p {
	case HAProxy:
		return [][]string{{"haproxy", "-v"}}
	case Keepalived:
		return [][]string{{"keepalived", "--version"}, {"killall", "--version"}, {"curl", "--version"}}
	}
	return [][]string{{"nginx", "-v"}}
}

// packages are those of Debian and of Red Hat.
func (p Program) packages() (apt, dnf string) {
	switch p {
	case HAProxy:
		return "haproxy", "haproxy"
	case Keepalived:
		return "keepalived psmisc curl", "keepalived psmisc curl"
	}
	return "nginx libnginx-mod-stream", "nginx nginx-mod-stream"
}

// owner is the package of Debian that brings File.
func (p Program) owner() string {
	if p == Nginx {
		return "nginx-common"
	}
	return string(p)
}

// test is the command that judges a file.
func (p Program) test(file string) []string {
	switch p {
	case HAProxy:
		return []string{"haproxy", "-c", "-f", file}
	case Keepalived:
		return []string{"keepalived", "-t", "-f", file}
	}
	return []string{"nginx", "-t", "-c", file}
}

// install says how to install the packages.
func (p Program) install() []string {
	apt, dnf := p.packages()
	return []string{
		"Debian, Ubuntu: apt-get install " + apt,
		"Fedora, RHEL: dnf install " + dnf,
	}
}

// Task is what the phases work from.
type Task struct {
	Host    host.Host
	Program Program
	// Config is the file as it is to be, made by templates/loadbalancer.
	Config []byte
	// Force lets Config take the place of a file that is not hactl's; a copy
	// is kept.
	Force bool
	// Port is where clients connect to: on this host or, of Keepalived, at
	// Address.
	Port uint16
	// Servers are the API servers behind a program that balances.
	Servers []netip.AddrPort
	// Address and Interface are what Keepalived holds, and where.
	Address   netip.Addr
	Interface string
	// Limit is how long the program may take to serve (see VerifyPhase).
	Limit time.Duration
	// DryRun leaves out what only a changed host can show.
	DryRun bool
	// OfNode says that init or join sets the program up, as a part of a
	// control plane: users have other words for what they choose.
	OfNode bool

	// Listen tries whether an address ("0.0.0.0:6443") is free; nil asks the
	// kernel.
	Listen func(address string) error
	// Dial makes connections; nil means the network.
	Dial Dial
	// Interfaces lists the names of the host's; nil asks the kernel.
	Interfaces func() ([]string, error)
}

// Dial makes a connection, as net.Dialer does.
type Dial func(ctx context.Context, network, address string) (net.Conn, error)

func (t *Task) dial() Dial {
	if t.Dial != nil {
		return t.Dial
	}
	return (&net.Dialer{}).DialContext
}

// Phases are those that set a program up, in order. They may run again at
// any time; what is right is left alone.
func Phases() []phases.Phase[Task] {
	return []phases.Phase[Task]{PreflightPhase(), ConfigPhase(), ReloadPhase(), VerifyPhase()}
}

// words are how users say something: to lb install, or to init and join.
func (t *Task) words(install, ofNode string) string {
	if t.OfNode {
		return ofNode
	}
	return install
}

// fault joins several problems of one host.
func fault(what string, exit phases.Code, problems []*phases.Fault) error {
	switch len(problems) {
	case 0:
		return nil
	case 1:
		problems[0].Exit = exit
		return problems[0]
	}
	var lines, fixes []string
	for _, p := range problems {
		lines = append(lines, p.Error())
		fixes = append(fixes, p.Fixes...)
	}
	return &phases.Fault{What: fmt.Sprintf("%s, for %d reasons", what, len(problems)), Why: errors.New(strings.Join(lines, "\n")), Fixes: fixes, Exit: exit}
}
