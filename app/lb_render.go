package app

import (
	"context"
	"fmt"
	"io"

	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/loadbalancer"
	lbfiles "github.com/hactl/hactl/templates/loadbalancer"
)

// LBRenderResult is a configuration file.
type LBRenderResult struct {
	Program string   `json:"program"`
	File    string   `json:"file"`
	Servers []string `json:"servers,omitempty"`
	Content string   `json:"content"`
}

// Text writes the file.
func (r *LBRenderResult) Text(w io.Writer) error {
	_, err := io.WriteString(w, r.Content)
	return err
}

// LBRender makes the file of a load balancer and changes nothing.
func LBRender(ctx context.Context, in LBInput, notify func(phases.Event)) (*LBRenderResult, error) {
	p, closePorts := realPorts()
	defer closePorts()
	return lbRenderOver(ctx, p, in, notify)
}

func lbRenderOver(ctx context.Context, p ports, in LBInput, notify func(phases.Event)) (*LBRenderResult, error) {
	m := newMachine(p, false)
	defer m.close()
	b, err := settleBalancer(ctx, m, p, in)
	if err != nil {
		return nil, err
	}
	data, err := b.render(b.servers)
	if err != nil {
		return nil, err
	}
	b.tell(notify)
	return &LBRenderResult{Program: in.Program, File: b.program.File(), Servers: b.shown(), Content: string(data)}, nil
}

// tell gives the warnings to whoever watches.
func (b *balancer) tell(notify func(phases.Event)) {
	for _, w := range b.warnings {
		notify(phases.Event{Phase: "lb", Kind: phases.Warning, At: b.now(), Reason: w})
	}
}

// shown are the servers of a program that balances.
func (b *balancer) shown() []string {
	if !b.program.Balances() {
		return nil
	}
	var list []string
	for _, s := range b.servers {
		list = append(list, s.String())
	}
	return list
}

// task is what the phases work from.
func (b *balancer) task(servers []lbfiles.Server, force bool) (loadbalancer.Task, error) {
	config, err := b.render(servers)
	if err != nil {
		return loadbalancer.Task{}, err
	}
	t := loadbalancer.Task{
		Host: b.host, Program: b.program, Config: config, Force: force, Port: b.port, Limit: lbLimit,
		DryRun: b.files != nil, OfNode: b.ofNode, Listen: b.p.listen, Dial: b.p.dialTCP, Interfaces: b.interfaceNames,
	}
	if b.program.Balances() {
		t.Servers = addressesOf(servers)
	} else {
		t.Address, t.Interface = b.keep.Address.Addr(), b.keep.Interface
	}
	return t, nil
}

func (b *balancer) interfaceNames() ([]string, error) {
	list, err := b.p.interfaces()
	var names []string
	for _, i := range list {
		names = append(names, i.name)
	}
	return names, err
}

// where is how people know the address of the balancer.
func (b *balancer) where() string {
	if !b.program.Balances() {
		return fmt.Sprintf("%s on %s", b.keep.Address, b.keep.Interface)
	}
	return fmt.Sprintf("port %d", b.port)
}
