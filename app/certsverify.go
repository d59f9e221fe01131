package app

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"time"

	"github.com/hactl/hactl/phases/bundle"
)

// CertsVerifyInput is what CertsVerify needs from its caller.
type CertsVerifyInput struct {
	CertsNode
	// Dir is the directory to judge; "" means the certificates directory.
	Dir string
}

// CertsVerify judges a directory of certificates that somebody copied. It
// changes nothing.
func CertsVerify(ctx context.Context, in CertsVerifyInput) (*CertsVerifyResult, error) {
	p, closePorts := realPorts()
	defer closePorts()
	return certsVerifyOver(ctx, p, in)
}

func certsVerifyOver(ctx context.Context, p ports, in CertsVerifyInput) (*CertsVerifyResult, error) {
	m := newMachine(p, false)
	defer m.close()
	n, err := m.whose(ctx, in.CertsNode)
	if err != nil {
		return nil, err
	}
	dir := cmp.Or(in.Dir, n.dir)
	files, err := bundle.Read(ctx, m.host, dir)
	if err != nil {
		return nil, err
	}
	l := bundle.Guess(files, n.dir)
	if n.layout != nil {
		l = *n.layout
	}
	j := bundle.Judge{Layout: l, Dir: dir, Leaves: n.leaves, ExternalCA: in.ExternalCA, Pins: in.Pins, Now: m.now()}
	r := &CertsVerifyResult{Directory: dir, Node: n.name, Etcd: etcdWord(l), Files: j.Files(files)}
	if n.addr.IsValid() {
		r.Address = &n.addr
	}
	r.Good = len(r.Files.Problems()) == 0
	return r, nil
}

// CertsVerifyResult is the judgement of a directory.
type CertsVerifyResult struct {
	Directory string `json:"directory"`
	// Node and Address are those of the node that it was judged for.
	Node    string      `json:"node"`
	Address *netip.Addr `json:"address,omitempty"`
	// Etcd is "stacked" or "external".
	Etcd string `json:"etcd"`
	// Good says that no file is a problem.
	Good  bool            `json:"good"`
	Files bundle.Findings `json:"files"`
}

// Text writes the result for people.
func (r *CertsVerifyResult) Text(w io.Writer) error {
	p := &printer{w: w}
	at := ""
	if r.Address != nil {
		at = ", " + r.Address.String()
	}
	p.line("%s, judged for control plane %s%s with %s etcd:", r.Directory, r.Node, at, r.Etcd)
	p.line("")
	width := 0
	for _, f := range r.Files {
		width = max(width, len(f.File))
	}
	for _, f := range r.Files {
		why := f.Why
		if why == "" && f.Expires != nil {
			why = "until " + f.Expires.Format(time.DateOnly)
		}
		p.line("%s", strings.TrimRight(fmt.Sprintf("  %-*s  %-9s  %s", width, f.File, f.State, why), " "))
	}
	p.line("")
	bad := r.Files.Problems()
	if len(bad) == 0 {
		p.line("All is well.")
		return p.err
	}
	p.line("%d of the lines above are problems. To mend them:", len(bad))
	for _, fix := range bad.Fixes() {
		p.line("  %s", fix)
	}
	return p.err
}
