package app

import (
	"context"
	"io"
	"slices"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/kubeconfig"
	"github.com/hactl/hactl/phases/pki"
)

// RequestsInput is what SigningRequests needs from its caller.
type RequestsInput struct {
	// Config has no defaults set yet.
	Config *config.Init
	// KubeconfigDir is where the kubeconfig files are.
	KubeconfigDir string
}

// requests is the data of one run of SigningRequests.
type requests struct {
	pki        pki.Task
	kubeconfig kubeconfig.Task
}

func requestPhases() []phases.Phase[requests] {
	return []phases.Phase[requests]{
		phases.Lift(pki.RequestPhase(), func(r *requests) *pki.Task { return &r.pki }),
		phases.Lift(kubeconfig.RequestPhase(), func(r *requests) *kubeconfig.Task { return &r.kubeconfig }),
	}
}

// SigningRequests makes, for an external CA, the private keys of this node
// and a signing request for each. Keys that exist are kept.
func SigningRequests(ctx context.Context, in RequestsInput, notify func(phases.Event)) (*RequestsResult, error) {
	p, closePorts := realPorts()
	defer closePorts()
	return signingRequestsOver(ctx, p, in, notify)
}

func signingRequestsOver(ctx context.Context, p ports, in RequestsInput, notify func(phases.Event)) (*RequestsResult, error) {
	m := newMachine(p, false)
	defer m.close()
	if err := m.settleFiles(in.Config); err != nil {
		return nil, err
	}
	s := &Initial{}
	m.tasksOfCerts(ctx, s, in.Config)
	defer s.pki.Keys.Close()
	r := &requests{pki: s.pki, kubeconfig: s.kubeconfig}
	r.kubeconfig.Dir = in.KubeconfigDir
	if err := phases.Run(ctx, requestPhases(), r, phases.Options{Notify: notify, Now: m.now}); err != nil {
		return nil, err
	}
	return &RequestsResult{Requests: slices.Concat(pki.Requests(&r.pki), kubeconfig.Requests(&r.kubeconfig))}, nil
}

// RequestsResult are the signing requests that are there now.
type RequestsResult struct {
	Requests []string `json:"requests"`
}

// Text writes a path a line.
func (r *RequestsResult) Text(w io.Writer) error {
	p := &printer{w: w}
	for _, path := range r.Requests {
		p.line("%s", path)
	}
	return p.err
}
