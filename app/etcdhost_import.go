package app

import (
	"cmp"
	"context"
	"io"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/bundle"
)

// EtcdImportInput is what EtcdImport needs from its caller.
type EtcdImportInput struct {
	// From is an archive or a directory, CertDir the certificates directory
	// of this machine; "" means the usual one.
	From, CertDir string
	// Passphrase and Identities open the archive, see CertsImportInput.
	Passphrase func() (config.Secret, error)
	Identities []config.Secret
	// Pins are hashes of which etcd's CA must have one; none means any.
	Pins   []string
	DryRun bool
}

// EtcdImport verifies what EtcdExport wrote and installs it on this machine, a
// control plane or an etcd host: all of it or nothing.
func EtcdImport(ctx context.Context, in EtcdImportInput, notify func(phases.Event)) (*EtcdImportResult, error) {
	p, closePorts := realPorts()
	defer closePorts()
	return etcdImportOver(ctx, p, in, notify)
}

func etcdImportOver(ctx context.Context, p ports, in EtcdImportInput, notify func(phases.Event)) (*EtcdImportResult, error) {
	m := newMachine(p, in.DryRun)
	defer m.close()
	if err := m.hold(ctx, "hactl etcd credentials import"); err != nil {
		return nil, err
	}
	t := &bundle.Import{
		Host: m.host, From: in.From, Key: bundle.Key{Passphrase: in.Passphrase, Identities: in.Identities},
		Dir: cmp.Or(in.CertDir, config.DefaultCertsDir), Etcd: true, Pins: in.Pins, Now: m.now,
	}
	if err := phases.Run(ctx, bundle.ImportPhases(), t, phases.Options{Notify: notify, Now: m.now}); err != nil {
		return nil, err
	}
	return &EtcdImportResult{From: in.From, DryRun: in.DryRun, Files: importedFiles(t)}, nil
}

// EtcdImportResult is what was installed.
type EtcdImportResult struct {
	From  string         `json:"from"`
	Files []ImportedFile `json:"files"`
	// DryRun says that nothing was written: "installed" is what would be.
	DryRun bool `json:"dryRun"`
}

// Text writes the result for people.
func (r *EtcdImportResult) Text(w io.Writer) error {
	p := &printer{w: w}
	p.line("")
	for _, f := range r.Files {
		p.line("  %-10s %s", f.State, f.Path)
	}
	if r.DryRun {
		p.line("")
		p.line("Nothing was written: this is what would be done.")
	}
	return p.err
}
