package pki

import (
	"context"
	"errors"
	"time"

	"github.com/hactl/hactl/certs"
	"github.com/hactl/hactl/phases"
)

// Problems returns everything in the certificates directory that would make
// Phase fail, all at once, and changes nothing. Files that are not there yet
// are no problem when hactl can make them.
func Problems(ctx context.Context, t *Task) []error {
	var found []error
	var elsewhere []item // to be issued by an external CA
	for _, ca := range items() {
		if !ca.authority() || ca.skip(t) != "" {
			continue
		}
		_, state, err := t.examineCA(ctx, ca)
		if err != nil {
			// Its leafs cannot be judged without it.
			found = append(found, err)
			continue
		}
		for _, it := range issued(ca) {
			if state == phases.Missing {
				_, err = t.load(ctx, it)
			} else {
				_, err = t.examineLeaf(ctx, it, initSource)
			}
			switch {
			case errors.Is(err, certs.ErrExternalCA):
				elsewhere = append(elsewhere, it)
			case err != nil:
				found = append(found, err)
			}
		}
	}
	if len(elsewhere) > 0 {
		found = append(found, t.externalCA(elsewhere...))
	}
	if _, _, err := t.examineAccount(ctx); err != nil {
		found = append(found, err)
	}
	return found
}

// Certificate is one certificate in the directory.
type Certificate struct {
	Name     string // the phase that makes it
	Path     string
	NotAfter time.Time
	// Authority is the name of the certificate that signs it; "" for an
	// authority.
	Authority string
	// External says that hactl cannot renew it, because the authority's key
	// is not there.
	External bool
}

// Expiry lists the certificates that are there, in the order of the phases,
// with the end of their validity.
func Expiry(ctx context.Context, t *Task) ([]Certificate, error) {
	var list []Certificate
	external := map[string]bool{}
	for _, it := range items() {
		if it.skip(t) != "" {
			continue
		}
		p, err := t.load(ctx, it)
		if err != nil {
			return nil, err
		}
		if it.authority() {
			external[it.name] = p.Key == nil
		}
		if p.Cert == nil {
			continue
		}
		c := Certificate{Name: it.name, Path: t.path(it.cert()), NotAfter: p.Cert.NotAfter, Authority: it.ca}
		c.External = external[it.name] || external[it.ca]
		list = append(list, c)
	}
	return list, nil
}
