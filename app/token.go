package app

import (
	"context"
	"errors"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/publish"
	"github.com/hactl/hactl/phases/token"
)

// JoinKind says whom a join command is for.
type JoinKind int

// The kinds.
const (
	NoJoin JoinKind = iota
	WorkerJoin
	// ControlPlaneJoin is with certificates that are uploaded already.
	ControlPlaneJoin
	// UploadedJoin uploads the certificates for it.
	UploadedJoin
)

// TokenInput is what CreateToken needs from its caller.
type TokenInput struct {
	Access
	// Tokens have no defaults set; those without a value get one.
	Tokens []config.Token
	Join   JoinKind
	// CertificateKey opens the uploaded certificates (ControlPlaneJoin), or
	// seals them (UploadedJoin); there "" means a new one.
	CertificateKey config.Secret
}

// creation is the data of one run of CreateToken.
type creation struct {
	token   token.Creation
	publish publish.Task
	info    token.Info
}

// CreateToken adds bootstrap tokens to the cluster.
func CreateToken(ctx context.Context, in TokenInput, notify func(phases.Event)) (*TokenResult, error) {
	p, closePorts := realPorts()
	defer closePorts()
	return createTokenOver(ctx, p, in, notify)
}

func createTokenOver(ctx context.Context, p ports, in TokenInput, notify func(phases.Event)) (*TokenResult, error) {
	if err := in.validate(); err != nil {
		return nil, err
	}
	m := newMachine(p, in.DryRun)
	defer m.close()
	if err := m.enter(ctx, in.Access); err != nil {
		return nil, err
	}
	s := &creation{token: token.Creation{API: m.api, Now: m.now, Tokens: in.Tokens}}
	if err := m.prepareJoin(ctx, in, s, notify); err != nil {
		return nil, in.explain(err)
	}
	list := []phases.Phase[creation]{phases.Lift(token.CreatePhase(), func(s *creation) *token.Creation { return &s.token })}
	if in.Join == UploadedJoin {
		upload := phases.Lift(publish.CertsPhase(), func(s *creation) *publish.Task { return &s.publish })
		list = slices.Insert(list, 0, upload)
	} else {
		notify = only(notify, phases.Warning) // there is one thing to do, and its result says it
	}
	if err := phases.Run(ctx, list, s, phases.Options{Notify: notify, Now: m.now}); err != nil {
		var inPhase *phases.PhaseError
		if errors.As(err, &inPhase) {
			inPhase.Err = in.explain(inPhase.Err)
		}
		return nil, err
	}
	return m.tokenResult(in, s), nil
}

// only passes on events of one kind.
func only(notify func(phases.Event), kind phases.Kind) func(phases.Event) {
	return func(e phases.Event) {
		if e.Kind == kind {
			notify(e)
		}
	}
}

// validate looks at the tokens before the cluster is asked for anything.
func (in *TokenInput) validate() error {
	var problems []config.Problem
	for _, t := range in.Tokens {
		problems = append(problems, config.ValidateToken(t)...)
	}
	if len(problems) > 0 {
		return &config.InvalidError{Problems: problems}
	}
	if in.Join == NoJoin {
		return nil
	}
	for _, t := range in.Tokens {
		if !slices.Contains(t.Usages, "signing") || !slices.Contains(t.Usages, "authentication") {
			return &phases.Fault{
				What:  "a node cannot join with a token that lacks one of the usages signing and authentication",
				Fixes: []string{"leave out --usages, or leave out the join command"},
				Exit:  phases.CodeUsage,
			}
		}
	}
	return nil
}

// DeleteTokens removes the tokens with these IDs; whole tokens stand for
// their IDs. The result tells what was done also where there is an error.
func DeleteTokens(ctx context.Context, a Access, typed []config.Secret) (*DeletedTokens, error) {
	p, closePorts := realPorts()
	defer closePorts()
	return deleteTokensOver(ctx, p, a, typed)
}

func deleteTokensOver(ctx context.Context, p ports, a Access, typed []config.Secret) (*DeletedTokens, error) {
	ids, err := tokenIDs(typed)
	if err != nil {
		return nil, err
	}
	m := newMachine(p, a.DryRun)
	defer m.close()
	if err := m.enter(ctx, a); err != nil {
		return nil, err
	}
	r := &DeletedTokens{Deleted: []string{}, NotFound: []string{}}
	for _, id := range ids {
		err := token.Delete(ctx, m.api, id)
		switch {
		case apierrors.IsNotFound(err):
			r.NotFound = append(r.NotFound, id)
		case err != nil:
			return r, a.explain(err)
		default:
			r.Deleted = append(r.Deleted, id)
		}
	}
	r.DryRun = m.report()
	return r, r.missing()
}

// tokenIDs refuses everything if one argument makes no sense. The argument
// may be a mistyped secret, so it is not shown.
func tokenIDs(typed []config.Secret) ([]string, error) {
	var ids []string
	for i, s := range typed {
		id := token.ParseID(s)
		if id == "" {
			return nil, &phases.Fault{
				What:  fmt.Sprintf("argument %d is neither a token (abcdef.0123456789abcdef) nor the ID of one (abcdef)", i+1),
				Fixes: []string{"see which there are: hactl token list"},
				Exit:  phases.CodeUsage,
			}
		}
		if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// ListTokens lists the bootstrap tokens of the cluster, by ID.
func ListTokens(ctx context.Context, a Access, notify func(phases.Event)) (*TokenList, error) {
	p, closePorts := realPorts()
	defer closePorts()
	return listTokensOver(ctx, p, a, notify)
}

func listTokensOver(ctx context.Context, p ports, a Access, notify func(phases.Event)) (*TokenList, error) {
	m := newMachine(p, a.DryRun)
	defer m.close()
	if err := m.enter(ctx, a); err != nil {
		return nil, err
	}
	tokens, malformed, err := token.List(ctx, m.api)
	if err != nil {
		return nil, a.explain(err)
	}
	for _, bad := range malformed {
		notify(m.tokenWarning(bad.Error()))
	}
	l := &TokenList{Tokens: []BootstrapToken{}, now: m.now()}
	for _, t := range tokens {
		l.Tokens = append(l.Tokens, shownToken(t))
	}
	return l, nil
}

// tokenResult is where the tokens are revealed: to make and show them is
// what the user asked for.
func (m *machine) tokenResult(in TokenInput, s *creation) *TokenResult {
	r := &TokenResult{DryRun: m.report()}
	if in.Join == UploadedJoin {
		r.CertificateKey = s.publish.Key.Reveal()
		r.CertificatesExpire = &s.publish.Expires
	}
	for i, t := range s.token.Tokens {
		shown := shownToken(t)
		shown.JoinCommand = s.command(in, t.Value).Reveal()
		if i == 0 {
			r.BootstrapToken = shown
		} else {
			r.Further = append(r.Further, shown)
		}
	}
	return r
}
