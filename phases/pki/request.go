package pki

import (
	"context"
	"crypto"
	"errors"
	"fmt"

	"github.com/hactl/hactl/certs"
	"github.com/hactl/hactl/phases"
)

func (i item) request() string { return i.base + ".csr" }

// RequestPhase makes a private key and a certificate signing request for
// everything that an external CA issues for this node, in kubeadm's layout
// (v1.37, phases/certs/certlist.go). A key that is there is kept: the
// request is for it.
func RequestPhase() phases.Phase[Task] {
	p := phases.Phase[Task]{Name: "certs", Title: "make keys and signing requests of certificates"}
	for _, it := range items() {
		if it.authority() {
			continue
		}
		p.Phases = append(p.Phases, phases.Phase[Task]{
			Name: it.name, Title: it.title, Skip: it.skip,
			Writes: []string{defaultDir + "/" + it.key(), defaultDir + "/" + it.request()},
			Observe: func(ctx context.Context, t *Task) (phases.State, error) {
				_, state, err := t.examineRequest(ctx, it)
				return state, err
			},
			Apply: func(ctx context.Context, t *Task) error { return t.makeRequest(ctx, it) },
		})
	}
	return p
}

// Requests lists the signing requests of RequestPhase.
func Requests(t *Task) []string {
	var list []string
	for _, it := range items() {
		if !it.authority() && it.skip(t) == "" {
			list = append(list, t.path(it.request()))
		}
	}
	return list
}

// examineRequest returns the key that is there. Missing comes without a key,
// or with a key that has no request yet.
func (t *Task) examineRequest(ctx context.Context, it item) (crypto.Signer, phases.State, error) {
	p, err := t.load(ctx, it)
	if err != nil {
		return nil, phases.Missing, err
	}
	data, err := t.read(ctx, it.request())
	switch {
	case err != nil:
		return nil, phases.Missing, err
	case p.Key == nil && p.Cert != nil:
		return nil, phases.Missing, t.halfPair(it)
	case p.Key == nil && data != nil:
		return nil, phases.Missing, t.badRequest(it, errors.New(t.path(it.key())+", its private key, is not there"))
	case data == nil:
		return p.Key, phases.Missing, nil
	}
	r, err := certs.ParseRequest(data)
	if err == nil {
		err = certs.VerifyRequest(r, it.leaf(t), p.Key)
	}
	if err != nil {
		return p.Key, phases.Missing, t.badRequest(it, err)
	}
	return p.Key, phases.Done, nil
}

func (t *Task) makeRequest(ctx context.Context, it item) error {
	key, state, err := t.examineRequest(ctx, it)
	if err != nil || state == phases.Done {
		return err
	}
	if key, err = t.key(ctx, it.key(), key); err != nil {
		return err
	}
	r, err := certs.CreateRequest(it.leaf(t), key)
	if err != nil {
		return fmt.Errorf("%s: %w", t.path(it.request()), err)
	}
	// kubeadm v1.37 keeps requests as tight as keys.
	return t.put(ctx, it.request(), certs.EncodeRequest(r), keyPerm)
}

func (t *Task) badRequest(it item, why error) error {
	return &phases.Fault{
		What:  fmt.Sprintf("%s is not the signing request that this node needs", t.path(it.request())),
		Why:   why,
		Fixes: []string{t.remove(it.request())},
	}
}
