package kubeconfig

import (
	"context"
	"crypto"
	"errors"
	"fmt"

	"k8s.io/client-go/tools/clientcmd/api"

	"github.com/hactl/hactl/certs"
	"github.com/hactl/hactl/phases"
)

var (
	// ErrNoKey says that a kubeconfig has no private key to ask a
	// certificate for.
	ErrNoKey = errors.New("the current user has no private key")

	errLostKey = errors.New("the kubeconfig with its private key is not there")
)

// RequestPhase makes, for each kubeconfig, the file with a new private key
// and without a certificate, and beside it the signing request, in kubeadm's
// layout (v1.37, phases/kubeconfig). A kubeconfig that is there is kept: the
// request is for its key.
func RequestPhase() phases.Phase[Task] {
	p := phases.Phase[Task]{Name: "kubeconfig", Title: "make keys and signing requests of kubeconfig files"}
	for _, u := range users() {
		p.Phases = append(p.Phases, phases.Phase[Task]{
			Name: u.name, Title: u.title,
			Writes: []string{"/etc/kubernetes/" + u.file(), "/etc/kubernetes/" + u.file() + ".csr"},
			Observe: func(ctx context.Context, t *Task) (phases.State, error) {
				_, state, err := t.examineRequest(ctx, u)
				return state, err
			},
			Apply: func(ctx context.Context, t *Task) error { return t.makeRequest(ctx, u) },
		})
	}
	return p
}

// Requests lists the signing requests of RequestPhase.
func Requests(t *Task) []string {
	var list []string
	for _, u := range users() {
		list = append(list, t.request(u))
	}
	return list
}

func (t *Task) request(u user) string { return t.file(u) + ".csr" }

// examineRequest returns the key of a kubeconfig that is there.
func (t *Task) examineRequest(ctx context.Context, u user) (crypto.Signer, phases.State, error) {
	f, err := t.load(ctx, u)
	if err != nil {
		return nil, phases.Missing, err
	}
	data, err := t.read(ctx, t.request(u))
	if err != nil {
		return nil, phases.Missing, err
	}
	if f == nil {
		if data != nil {
			return nil, phases.Missing, t.badRequest(u, errLostKey)
		}
		return nil, phases.Missing, nil
	}
	key, err := t.clientKey(ctx, f.user)
	if err != nil {
		return nil, phases.Missing, t.bad(u, err)
	}
	if data == nil {
		return key, phases.Missing, nil
	}
	r, err := certs.ParseRequest(data)
	if err == nil {
		err = certs.VerifyRequest(r, u.leaf(t), key)
	}
	if err != nil {
		return key, phases.Missing, t.badRequest(u, err)
	}
	return key, phases.Done, nil
}

func (t *Task) clientKey(ctx context.Context, a *api.AuthInfo) (crypto.Signer, error) {
	data, err := t.material(ctx, a.ClientKeyData, a.ClientKey)
	if err != nil {
		return nil, err
	}
	if len(data) == 0 {
		return nil, ErrNoKey
	}
	key, err := certs.ParseKey(data)
	if err != nil {
		return nil, fmt.Errorf("client key: %w", err)
	}
	return key, nil
}

func (t *Task) makeRequest(ctx context.Context, u user) error {
	key, state, err := t.examineRequest(ctx, u)
	if err != nil || state == phases.Done {
		return err
	}
	if key == nil {
		if key, err = t.writePartial(ctx, u); err != nil {
			return err
		}
	}
	r, err := certs.CreateRequest(u.leaf(t), key)
	if err != nil {
		return fmt.Errorf("%s: %w", t.request(u), err)
	}
	if err := t.Host.WriteFile(ctx, t.request(u), certs.EncodeRequest(r), perm); err != nil {
		return fmt.Errorf("write %s: %w", t.request(u), err)
	}
	return nil
}

// writePartial writes a kubeconfig that lacks its certificate, and the CA if
// that is not there yet.
func (t *Task) writePartial(ctx context.Context, u user) (crypto.Signer, error) {
	ca, err := t.loadCA(ctx)
	if err != nil {
		return nil, err
	}
	key, err := t.Keys.Take(ctx, t.Algorithm)
	if err != nil {
		return nil, fmt.Errorf("make a private key: %w", err)
	}
	keyPEM, err := certs.EncodeKey(key)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", t.file(u), err)
	}
	cluster := &api.Cluster{Server: u.server(t)}
	if ca.Cert != nil {
		cluster.CertificateAuthorityData = certs.EncodeCert(ca.Cert)
	}
	data, err := document(t.ClusterName, u.commonName(t), cluster, &api.AuthInfo{ClientKeyData: keyPEM})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", t.file(u), err)
	}
	if err := t.Host.WriteFile(ctx, t.file(u), data, perm); err != nil {
		return nil, fmt.Errorf("write %s: %w", t.file(u), err)
	}
	return key, nil
}

func (t *Task) badRequest(u user, why error) error {
	return &phases.Fault{
		What:  fmt.Sprintf("%s is not the signing request that this node needs", t.request(u)),
		Why:   why,
		Fixes: []string{fmt.Sprintf("remove %s and run again: hactl makes what is missing", t.request(u))},
	}
}
