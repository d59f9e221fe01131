package pki

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"slices"

	"github.com/hactl/hactl/certs"
	"github.com/hactl/hactl/phases"
)

// The service account key pair: kube-controller-manager signs tokens with
// it, every kube-apiserver checks them.
const (
	accountKey = "sa.key"
	accountPub = "sa.pub"
)

func accountPhase() phases.Phase[Task] {
	return phases.Phase[Task]{
		Name: "sa", Title: "make the key that signs service account tokens",
		Writes: []string{defaultDir + "/" + accountKey, defaultDir + "/" + accountPub},
		Observe: func(ctx context.Context, t *Task) (phases.State, error) {
			_, state, err := t.examineAccount(ctx)
			return state, err
		},
		Apply: func(ctx context.Context, t *Task) error { return t.makeAccount(ctx) },
	}
}

type account struct {
	key  crypto.Signer
	pubs []crypto.PublicKey
}

func (t *Task) loadAccount(ctx context.Context) (account, error) {
	var a account
	var err error
	if a.key, err = t.loadKey(ctx, accountKey, accountKey, accountPub); err != nil {
		return a, err
	}
	data, err := t.read(ctx, accountPub)
	if err != nil || data == nil {
		return a, err
	}
	if a.pubs, err = certs.ParsePublicKeys(data); err != nil {
		// The public key follows from the private one.
		return a, t.unreadable(accountPub, "public key", err, accountPub)
	}
	return a, nil
}

func (t *Task) examineAccount(ctx context.Context) (account, phases.State, error) {
	a, err := t.loadAccount(ctx)
	if err != nil {
		return a, phases.Missing, err
	}
	switch {
	case a.key == nil && a.pubs != nil:
		return a, phases.Missing, &phases.Fault{
			What: fmt.Sprintf("%s exists, but its private key %s does not", t.path(accountPub), t.path(accountKey)),
			Why:  errors.New("with another key, all service account tokens of the cluster would be invalid"),
			Fixes: []string{
				fmt.Sprintf("put %s back", t.path(accountKey)),
				"or " + t.remove(accountPub),
			},
		}
	case a.key == nil || a.pubs == nil:
		return a, phases.Missing, nil
	}
	// After a rotation the file also holds older public keys.
	if !slices.ContainsFunc(a.pubs, func(k crypto.PublicKey) bool { return certs.SamePublicKey(k, a.key.Public()) }) {
		return a, phases.Missing, &phases.Fault{
			What: fmt.Sprintf("%s is not the public key of %s", t.path(accountPub), t.path(accountKey)),
			Fixes: []string{
				"put the right pair there",
				"or " + t.remove(accountPub) + " from " + t.path(accountKey),
			},
		}
	}
	return a, phases.Done, nil
}

func (t *Task) makeAccount(ctx context.Context) error {
	a, state, err := t.examineAccount(ctx)
	if err != nil || state == phases.Done {
		return err
	}
	key, err := t.key(ctx, accountKey, a.key)
	if err != nil {
		return err
	}
	data, err := certs.EncodePublicKey(key.Public())
	if err != nil {
		return fmt.Errorf("%s: %w", t.path(accountPub), err)
	}
	// kubeadm v1.37 keeps this one as tight as the key.
	return t.put(ctx, accountPub, data, keyPerm)
}
