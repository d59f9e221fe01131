package app

import (
	"context"
	"io"
	"slices"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/bundle"
)

// CertsImportInput is what CertsImport needs from its caller.
type CertsImportInput struct {
	CertsNode
	// From is an archive or a directory.
	From string
	// Passphrase is asked for it if the archive has one; nil means that there
	// is none. Identities are the contents of age key files.
	Passphrase func() (config.Secret, error)
	Identities []config.Secret
	// Allow lists the directories outside the certificates directory that
	// files may be written to.
	Allow  []string
	DryRun bool
}

// CertsImport verifies certificates from another control-plane node and
// installs them on this one: all of them or none.
func CertsImport(ctx context.Context, in CertsImportInput, notify func(phases.Event)) (*CertsImportResult, error) {
	p, closePorts := realPorts()
	defer closePorts()
	return certsImportOver(ctx, p, in, notify)
}

func certsImportOver(ctx context.Context, p ports, in CertsImportInput, notify func(phases.Event)) (*CertsImportResult, error) {
	m := newMachine(p, in.DryRun)
	defer m.close()
	if err := m.hold(ctx, "hactl certs import"); err != nil {
		return nil, err
	}
	n, err := m.whose(ctx, in.CertsNode)
	if err != nil {
		return nil, err
	}
	t := &bundle.Import{
		Host: m.host, From: in.From, Key: bundle.Key{Passphrase: in.Passphrase, Identities: in.Identities},
		Dir: n.dir, Layout: n.layout, Leaves: n.leaves, ExternalCA: in.ExternalCA, Pins: in.Pins, Allow: in.Allow, Now: m.now,
	}
	if err := phases.Run(ctx, bundle.ImportPhases(), t, phases.Options{Notify: notify, Now: m.now}); err != nil {
		return nil, err
	}
	return &CertsImportResult{
		From: in.From, ExternalCA: t.Bundle.ExternalCA, DryRun: in.DryRun,
		Files: importedFiles(t), etcd: etcdWord(t.Bundle.Layout),
	}, nil
}

// CertsImportResult is what was installed.
type CertsImportResult struct {
	From  string         `json:"from"`
	Files []ImportedFile `json:"files"`
	// ExternalCA says that the key of a CA was not among them.
	ExternalCA bool `json:"externalCA"`
	// DryRun says that nothing was written: "installed" is what would be.
	DryRun bool `json:"dryRun"`

	etcd string
}

// ImportedFile is one file of this node; State is "installed" or "unchanged".
type ImportedFile struct {
	Path  string `json:"path"`
	State string `json:"state"`
}

// importedFiles lists all files of an import and what became of each.
func importedFiles(t *bundle.Import) []ImportedFile {
	list := []ImportedFile{}
	for _, file := range t.Bundle.Paths() {
		state := "unchanged"
		if slices.Contains(t.Installed, file) {
			state = "installed"
		}
		list = append(list, ImportedFile{file, state})
	}
	return list
}

// Text writes the result for people.
func (r *CertsImportResult) Text(w io.Writer) error {
	p := &printer{w: w}
	p.line("")
	switch {
	case r.DryRun:
		p.line("Everything that a control plane with %s etcd needs is in %s. Nothing was written; it would be:", r.etcd, r.From)
	default:
		p.line("This node has what a control plane with %s etcd needs to join:", r.etcd)
	}
	for _, f := range r.Files {
		p.line("  %-10s %s", f.State, f.Path)
	}
	if r.ExternalCA {
		p.line("")
		p.line("The key of a CA is kept elsewhere: bring this node its own certificates from there.")
	}
	p.line("")
	p.line("Next: hactl join … --control-plane (without --certificate-key)")
	return p.err
}
