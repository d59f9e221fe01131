// Package joincommand tells how other nodes join: the one place that
// reveals the token and the certificate key.
package joincommand

import (
	"context"
	"errors"
	"io/fs"
	"path"

	"github.com/hactl/hactl/certs"
	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/host"
)

// joinProgram is what joins. kubeadm takes the same arguments.
const joinProgram = "hactl"

// Task is what the phase works from, and where it leaves its result.
type Task struct {
	Files    host.Files
	CertDir  string
	Endpoint config.HostPort
	// FixedEndpoint says that Endpoint is the control-plane endpoint: only
	// then can further control planes join.
	FixedEndpoint bool
	// Published returns the control-plane endpoint that the cluster's own
	// configuration names, zero if it names none. It is asked if
	// FixedEndpoint is false; nil means that Endpoint is all there is.
	Published func(ctx context.Context) (config.HostPort, error)
	// Token returns the bootstrap token that nodes may join with: the one
	// that this run made, or one that lives in the cluster.
	Token func(ctx context.Context) (config.Secret, error)
	// CertificateKey opens the uploaded certificates; "" if this run did
	// not upload them.
	CertificateKey config.Secret

	Result Commands
}

// Commands are the join commands and what they are made of.
type Commands struct {
	Endpoint       string
	Token          config.Secret
	CAHash         string // "sha256:…"
	CertificateKey config.Secret
	ControlPlane   config.Secret // whole command; "" if none can join
	Worker         config.Secret // whole command

	fixed bool // the endpoint is a control-plane endpoint
}

// Phase is phase show-join-command.
func Phase() phases.Phase[Task] {
	return phases.Phase[Task]{
		Name:  "show-join-command",
		Title: "join commands for other nodes",
		Reads: []string{path.Join(config.DefaultCertsDir, "ca.crt"), "bootstrap tokens"},
		Apply: apply,
	}
}

func apply(ctx context.Context, t *Task) error {
	hash, err := t.caHash(ctx)
	if err != nil {
		return err
	}
	if err := t.publishedEndpoint(ctx); err != nil {
		return err
	}
	token, err := t.Token(ctx)
	if err != nil {
		return err
	}
	t.Result = Commands{
		Endpoint: t.Endpoint.String(), Token: token, CAHash: hash,
		CertificateKey: t.CertificateKey, fixed: t.FixedEndpoint,
	}.written()
	return nil
}

// publishedEndpoint makes up for a run that was not told the endpoint.
func (t *Task) publishedEndpoint(ctx context.Context) error {
	if t.FixedEndpoint || t.Published == nil {
		return nil
	}
	endpoint, err := t.Published(ctx)
	if err != nil {
		return err
	}
	if !endpoint.IsZero() {
		t.Endpoint, t.FixedEndpoint = endpoint, true
	}
	return nil
}

// WithToken returns the same commands with another token.
func (c Commands) WithToken(token config.Secret) Commands {
	c.Token = token
	return c.written()
}

// WithKey returns the same commands with another certificate key, if they
// have one.
func (c Commands) WithKey(key config.Secret) Commands {
	if c.CertificateKey != "" {
		c.CertificateKey = key
	}
	return c.written()
}

// written puts the commands together.
func (c Commands) written() Commands {
	worker := joinProgram + " join " + c.Endpoint + " --token " + c.Token.Reveal() + " --discovery-token-ca-cert-hash " + c.CAHash
	c.Worker, c.ControlPlane = config.Secret(worker), ""
	if c.fixed {
		controlPlane := worker + " --control-plane"
		if c.CertificateKey != "" {
			controlPlane += " --certificate-key " + c.CertificateKey.Reveal()
		}
		c.ControlPlane = config.Secret(controlPlane)
	}
	return c
}

func (t *Task) caHash(ctx context.Context) (string, error) {
	file := path.Join(t.CertDir, "ca.crt")
	data, err := t.Files.ReadFile(ctx, file)
	if errors.Is(err, fs.ErrNotExist) {
		return "", &phases.Fault{
			What:  file + " is missing",
			Fixes: []string{"make it with: hactl init phase certs ca"},
		}
	}
	if err != nil {
		return "", err
	}
	list, err := certs.ParseCerts(data)
	if err != nil {
		return "", &phases.Fault{What: file + " is not a certificate", Why: err}
	}
	return certs.Pin(list[0]), nil
}
