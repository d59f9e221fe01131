package loadbalancer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"syscall"

	"github.com/hactl/hactl/phases"
)

// PreflightPhase finds everything that would stop the phases after it, before
// anything is changed.
func PreflightPhase() phases.Phase[Task] {
	return phases.Phase[Task]{
		Name:  "preflight",
		Title: "check this host",
		Reads: []string{"programs, units, ports, the configuration file"},
		Apply: preflight,
	}
}

// Problems is what PreflightPhase finds, for those who want to know it before
// anything else is done: nil, or a *phases.Fault.
func Problems(ctx context.Context, t *Task) error { return preflight(ctx, t) }

func preflight(ctx context.Context, t *Task) error {
	var problems []*phases.Fault
	for _, check := range []func(context.Context) (*phases.Fault, error){t.installed, t.device, t.portFree} {
		p, err := check(ctx)
		if err != nil {
			return err
		}
		if p != nil {
			problems = append(problems, p)
		}
	}
	if err := fault("this host cannot run "+string(t.Program)+" yet", phases.CodePreflight, problems); err != nil {
		return err
	}
	_, err := t.replaceable(ctx)
	return err
}

// installed wants the programs and the unit.
func (t *Task) installed(ctx context.Context) (*phases.Fault, error) {
	for _, argv := range t.Program.needs() {
		_, err := t.Host.Probe(ctx, argv...)
		if errors.Is(err, exec.ErrNotFound) {
			return &phases.Fault{What: argv[0] + " is not installed", Fixes: t.Program.install()}, nil
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
	}
	status, err := t.Host.Services().Status(ctx, t.Program.Unit())
	if err != nil {
		return nil, err
	}
	if !status.Exists {
		return &phases.Fault{What: "there is no unit " + t.Program.Unit(), Fixes: t.Program.install()}, nil
	}
	return nil, nil
}

// device wants the interface of the virtual address.
func (t *Task) device(context.Context) (*phases.Fault, error) {
	if t.Interface == "" {
		return nil, nil
	}
	list := t.Interfaces
	if list == nil {
		list = interfaces
	}
	names, err := list()
	if err != nil {
		return nil, fmt.Errorf("list the interfaces of this host: %w", err)
	}
	if slices.Contains(names, t.Interface) {
		return nil, nil
	}
	return &phases.Fault{
		What:  "this host has no interface " + t.Interface,
		Why:   errors.New("it has " + strings.Join(names, ", ")),
		Fixes: []string{"name one that it has: " + t.words("--interface", "loadBalancer.interface (--virtual-ip-interface)")},
	}, nil
}

func interfaces() ([]string, error) {
	list, err := net.Interfaces()
	var names []string
	for _, i := range list {
		names = append(names, i.Name)
	}
	return names, err
}

// portFree wants the port to be free, or to be the program's already.
func (t *Task) portFree(ctx context.Context) (*phases.Fault, error) {
	if !t.Program.Balances() {
		return nil, nil
	}
	listen := t.Listen
	if listen == nil {
		listen = tryListen
	}
	err := listen(fmt.Sprintf(":%d", t.Port))
	switch {
	case err == nil:
		return nil, nil
	case errors.Is(err, fs.ErrPermission):
		return &phases.Fault{What: fmt.Sprintf("port %d may not be used", t.Port), Why: err, Fixes: []string{"run hactl as root"}}, nil
	case !errors.Is(err, syscall.EADDRINUSE):
		return &phases.Fault{What: fmt.Sprintf("port %d cannot be used", t.Port), Why: err, Fixes: []string{t.find()}}, nil
	}
	holders := t.holders(ctx)
	if len(holders) > 0 && !slices.ContainsFunc(holders, func(h string) bool { return h != string(t.Program) }) {
		return nil, nil
	}
	setting := t.words("--bind-port", "that of controlPlaneEndpoint (--control-plane-endpoint)")
	fixes := []string{t.find(), "or let clients use another port: " + setting}
	what := fmt.Sprintf("port %d is taken", t.Port)
	if len(holders) > 0 {
		what += " by " + strings.Join(holders, ", ")
	}
	if slices.Contains(holders, "kube-apiserver") {
		fixes = []string{"this is a control-plane node: choose another port for the balancer, " + t.words(setting+", and make it that of the control-plane endpoint", setting)}
	}
	return &phases.Fault{What: what, Fixes: fixes}, nil
}

func (t *Task) find() string {
	return fmt.Sprintf("find out who listens, and stop it: ss -ltnp 'sport = :%d'", t.Port)
}

func tryListen(address string) error {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	return l.Close()
}

var process = regexp.MustCompile(`\("([^"]+)",pid=`)

// holders are the programs that listen at the port, as far as ss knows them.
func (t *Task) holders(ctx context.Context) []string {
	out, err := t.Host.Probe(ctx, "ss", "-Hltnp", fmt.Sprintf("sport = :%d", t.Port))
	if err != nil {
		return nil
	}
	var names []string
	for _, m := range process.FindAllStringSubmatch(string(out), -1) {
		names = append(names, m[1])
	}
	slices.Sort(names)
	return slices.Compact(names)
}
