package pki

import (
	"context"
	"fmt"
	"strings"

	"github.com/hactl/hactl/certs"
	"github.com/hactl/hactl/phases"
)

func authorityPhase(it item) phases.Phase[Task] {
	return phases.Phase[Task]{
		Name: it.name, Title: it.title, Skip: it.skip,
		Writes: []string{defaultDir + "/" + it.cert(), defaultDir + "/" + it.key()},
		Observe: func(ctx context.Context, t *Task) (phases.State, error) {
			_, state, err := t.examineCA(ctx, it)
			return state, err
		},
		Apply: func(ctx context.Context, t *Task) error { return t.makeCA(ctx, it) },
	}
}

// examineCA returns what is there of an authority. Missing comes with a pair
// that is empty or has only a key, and is safe to make anew.
func (t *Task) examineCA(ctx context.Context, it item) (certs.Pair, phases.State, error) {
	p, err := t.load(ctx, it)
	if err != nil {
		return p, phases.Missing, err
	}
	leafs, err := t.existing(ctx, issued(it))
	if err != nil {
		return p, phases.Missing, err
	}
	if p.Cert == nil {
		if len(leafs) > 0 {
			return p, phases.Missing, t.lostCA(it, p, leafs)
		}
		return p, phases.Missing, nil
	}
	if problems := certs.VerifyAuthority(p, t.now()); len(problems) > 0 {
		return p, phases.Missing, t.badCA(it, p, leafs, problems)
	}
	return p, phases.Done, nil
}

// existing returns the certificate and key files of those items whose
// certificate is there.
func (t *Task) existing(ctx context.Context, list []item) ([]string, error) {
	var names []string
	for _, it := range list {
		if it.skip(t) != "" {
			continue
		}
		data, err := t.read(ctx, it.cert())
		if err != nil {
			return nil, err
		}
		if data != nil {
			names = append(names, it.cert(), it.key())
		}
	}
	return names, nil
}

// lostCA refuses a new authority: certificates that the old one signed would
// be worth nothing, and the old one may still be found.
func (t *Task) lostCA(it item, p certs.Pair, leafs []string) error {
	why := fmt.Errorf("%s exists, which it should have signed", t.path(leafs[0]))
	again := leafs
	if p.Key != nil {
		again = append([]string{it.key()}, leafs...)
	}
	return &phases.Fault{
		What: fmt.Sprintf("%s is missing", t.path(it.cert())),
		Why:  why,
		Fixes: []string{
			fmt.Sprintf("put %s and %s back, for instance from a backup", t.path(it.cert()), t.path(it.key())),
			"or, for a new CA, " + t.remove(again...),
		},
	}
}

func (t *Task) badCA(it item, p certs.Pair, leafs []string, problems certs.Problems) error {
	files := []string{it.cert()}
	if p.Key != nil {
		files = append(files, it.key())
	}
	return &phases.Fault{
		What: fmt.Sprintf("%s cannot be used as a CA", t.path(it.cert())),
		Why:  problems,
		Fixes: []string{
			"put the right CA there",
			"or, for a new CA, " + t.remove(append(files, leafs...)...),
		},
	}
}

func (t *Task) makeCA(ctx context.Context, it item) error {
	p, state, err := t.examineCA(ctx, it)
	if err != nil || state == phases.Done {
		return err
	}
	key, err := t.key(ctx, it.key(), p.Key)
	if err != nil {
		return err
	}
	ca, err := certs.NewAuthority(certs.AuthoritySpec{CommonName: it.cn, Validity: t.CAValidity}, key, t.now())
	if err != nil {
		return err
	}
	return t.put(ctx, it.cert(), certs.EncodeCert(ca.Cert), certPerm)
}

// checkShared verifies what every control-plane node of a cluster must have.
func checkShared(ctx context.Context, t *Task) error {
	var missing []string
	for _, it := range items() {
		if !it.authority() || it.skip(t) != "" {
			continue
		}
		p, err := t.load(ctx, it)
		if err != nil {
			return err
		}
		if p.Cert == nil {
			missing = append(missing, t.path(it.cert()))
			continue
		}
		if problems := certs.VerifyAuthority(p, t.now()); len(problems) > 0 {
			return t.badShared(it, problems)
		}
	}
	acc, _, err := t.examineAccount(ctx)
	if err != nil {
		return err
	}
	if acc.key == nil {
		missing = append(missing, t.path(accountKey))
	}
	if acc.pubs == nil {
		missing = append(missing, t.path(accountPub))
	}
	if len(missing) == 0 {
		return nil
	}
	return &phases.Fault{
		What:  "files of the cluster are missing on this node: " + strings.Join(missing, ", "),
		Fixes: []string{downloadText},
	}
}

func (t *Task) badShared(it item, problems certs.Problems) error {
	return &phases.Fault{
		What:  fmt.Sprintf("%s is not a CA of the cluster", t.path(it.cert())),
		Why:   problems,
		Fixes: []string{fmt.Sprintf("remove %s and %s", t.path(it.cert()), t.path(it.key())), downloadText},
	}
}
