package pki

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/hactl/hactl/certs"
	"github.com/hactl/hactl/phases"
)

func leafPhase(it item, from source) phases.Phase[Task] {
	p := phases.Phase[Task]{
		Name: it.name, Title: it.title, Skip: it.skip,
		Writes: []string{defaultDir + "/" + it.cert(), defaultDir + "/" + it.key()},
		Observe: func(ctx context.Context, t *Task) (phases.State, error) {
			x, err := t.examineLeaf(ctx, it, from)
			return x.state, err
		},
		Apply: func(ctx context.Context, t *Task) error { return t.makeLeaf(ctx, it, from) },
	}
	if ca, ok := lookup(it.ca); ok {
		p.Reads = []string{defaultDir + "/" + ca.cert(), defaultDir + "/" + ca.key()}
	}
	return p
}

// exam is what is there of a leaf and of its authority.
type exam struct {
	pair  certs.Pair
	ca    certs.Pair
	state phases.State
}

// examineLeaf compares what is there with what this node needs. Missing
// without an error means that the authority can issue it.
func (t *Task) examineLeaf(ctx context.Context, it item, from source) (exam, error) {
	var x exam
	ca, _ := lookup(it.ca)
	var err error
	if x.ca, err = t.load(ctx, ca); err != nil {
		return x, err
	}
	if x.pair, err = t.load(ctx, it); err != nil {
		return x, err
	}
	if x.ca.Cert == nil {
		return x, t.missingCA(it, ca, x.pair, from)
	}
	if problems := certs.VerifyAuthority(x.ca, t.now()); len(problems) > 0 {
		return x, t.badCA(ca, x.ca, nil, problems)
	}
	switch {
	case x.pair.Cert == nil && x.ca.Key == nil:
		return x, t.externalCA(it)
	case x.pair.Cert == nil:
		return x, nil
	case x.pair.Key == nil:
		return x, t.halfPair(it)
	}
	if problems := certs.Verify(x.pair, x.ca.Cert, it.leaf(t), t.now()); len(problems) > 0 {
		return x, t.badLeaf(it, ca, x, problems)
	}
	x.state = phases.Done
	return x, nil
}

func (t *Task) makeLeaf(ctx context.Context, it item, from source) error {
	x, err := t.examineLeaf(ctx, it, from)
	if err != nil || x.state == phases.Done {
		return err
	}
	key, err := t.key(ctx, it.key(), x.pair.Key)
	if err != nil {
		return err
	}
	authority := certs.Authority{Cert: x.ca.Cert, Key: x.ca.Key}
	pair, err := authority.Issue(it.leaf(t), key, t.now())
	if err != nil {
		return fmt.Errorf("%s: %w", t.path(it.cert()), err)
	}
	return t.put(ctx, it.cert(), certs.EncodeCert(pair.Cert), certPerm)
}

func (t *Task) missingCA(it, ca item, p certs.Pair, from source) error {
	f := &phases.Fault{
		What:  fmt.Sprintf("%s is missing, which signs %s", t.path(ca.cert()), t.path(it.cert())),
		Fixes: []string{from(ca)},
	}
	if p.Cert != nil {
		f.What = fmt.Sprintf("%s is missing, which should have signed %s", t.path(ca.cert()), t.path(it.cert()))
		f.Fixes = []string{
			fmt.Sprintf("put %s and %s back, for instance from a backup", t.path(ca.cert()), t.path(ca.key())),
			"or " + t.remove(it.cert(), it.key()),
		}
	}
	return f
}

// externalCA tells at once of all that an external CA has to issue.
func (t *Task) externalCA(list ...item) error {
	var missing, keys []string
	for _, it := range list {
		missing = append(missing, t.path(it.cert()))
		if ca, ok := lookup(it.ca); ok && !slices.Contains(keys, t.path(ca.key())) {
			keys = append(keys, t.path(ca.key()))
		}
	}
	what := "%s is missing, and hactl cannot issue it"
	if len(missing) > 1 {
		what = "certificates are missing, and hactl cannot issue them: %s"
	}
	return &phases.Fault{
		What: fmt.Sprintf(what, strings.Join(missing, ", ")),
		Why:  fmt.Errorf("there is no %s, so the CA is an external one: %w", strings.Join(keys, " and no "), certs.ErrExternalCA),
		Fixes: []string{
			"make the private keys and the signing requests: hactl certs generate-csr",
			"sign each NAME.csr with the external CA and save the certificate beside it as NAME.crt",
			"or put the CA's key there: " + strings.Join(keys, ", "),
		},
	}
}

func (t *Task) halfPair(it item) error {
	return &phases.Fault{
		What: fmt.Sprintf("%s exists, but its private key %s does not", t.path(it.cert()), t.path(it.key())),
		Fixes: []string{
			fmt.Sprintf("put %s back", t.path(it.key())),
			"or " + t.remove(it.cert()),
		},
	}
}

func (t *Task) badLeaf(it, ca item, x exam, problems certs.Problems) error {
	f := &phases.Fault{
		What:  fmt.Sprintf("%s is not the certificate this node needs", t.path(it.cert())),
		Why:   problems,
		Fixes: []string{t.remove(it.cert(), it.key())},
	}
	if x.ca.Key == nil {
		f.Fixes = []string{fmt.Sprintf("issue %s and %s anew with the external CA of %s",
			t.path(it.cert()), t.path(it.key()), t.path(ca.cert()))}
	}
	return f
}
