package pki

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"io/fs"

	"github.com/hactl/hactl/certs"
	"github.com/hactl/hactl/phases"
)

const (
	keyPerm  = 0o600
	certPerm = 0o644
)

// read returns nil without an error for a file that does not exist.
func (t *Task) read(ctx context.Context, name string) ([]byte, error) {
	data, err := t.Host.ReadFile(ctx, t.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", t.path(name), err)
	}
	if data == nil {
		data = []byte{}
	}
	return data, nil
}

// load reads the two files of an item. What does not exist stays nil.
func (t *Task) load(ctx context.Context, it item) (certs.Pair, error) {
	var p certs.Pair
	data, err := t.read(ctx, it.cert())
	if err != nil {
		return p, err
	}
	if data != nil {
		chain, err := certs.ParseCerts(data)
		if err != nil {
			return p, t.unreadable(it.cert(), "certificate", err, it.cert(), it.key())
		}
		p.Cert, p.Chain = chain[0], chain[1:]
	}
	p.Key, err = t.loadKey(ctx, it.key(), it.cert(), it.key())
	return p, err
}

// loadKey reads a private key; others names the files that go with it.
func (t *Task) loadKey(ctx context.Context, name string, others ...string) (crypto.Signer, error) {
	data, err := t.read(ctx, name)
	if err != nil || data == nil {
		return nil, err
	}
	key, err := certs.ParseKey(data)
	if err != nil {
		return nil, t.unreadable(name, "private key", err, others...)
	}
	return key, nil
}

// key returns the key that an interrupted run left in the file, or makes and
// writes a new one. Keys are written before their certificates: what an
// interruption leaves is a key alone, which the next run goes on with.
func (t *Task) key(ctx context.Context, name string, left crypto.Signer) (crypto.Signer, error) {
	if left != nil {
		return left, nil
	}
	key, err := t.Keys.Take(ctx, t.Algorithm)
	if err != nil {
		return nil, fmt.Errorf("make a private key: %w", err)
	}
	data, err := certs.EncodeKey(key)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", t.path(name), err)
	}
	return key, t.put(ctx, name, data, keyPerm)
}

func (t *Task) put(ctx context.Context, name string, data []byte, perm fs.FileMode) error {
	if err := t.Host.WriteFile(ctx, t.path(name), data, perm); err != nil {
		return fmt.Errorf("write %s: %w", t.path(name), err)
	}
	return nil
}

func (t *Task) unreadable(name, kind string, err error, others ...string) error {
	return &phases.Fault{
		What:  fmt.Sprintf("%s holds no %s that hactl can read", t.path(name), kind),
		Why:   err,
		Fixes: []string{"put the right file there, or " + t.remove(others...)},
	}
}

// remove is the fix that lets hactl make files anew.
func (t *Task) remove(names ...string) string {
	text := "remove "
	for i, name := range names {
		switch {
		case i > 0 && i == len(names)-1:
			text += " and "
		case i > 0:
			text += ", "
		}
		text += t.path(name)
	}
	return text + " and run again: hactl makes what is missing"
}
