package app

import (
	"cmp"
	"context"
	"io"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/bundle"
)

// CertsExportInput is what CertsExport needs from its caller.
type CertsExportInput struct {
	CertsNode
	// File is the archive to write. If it is "", Directory is written.
	File, Directory string
	// Passphrase or else Recipients encrypt the archive.
	Passphrase config.Secret
	Recipients []string
	// Extra takes the files along that the settings of the control plane
	// name.
	Extra bool
}

// CertsExport writes the certificates that a control plane that joins may
// have, as an encrypted archive or as a directory. It changes nothing else.
func CertsExport(ctx context.Context, in CertsExportInput, notify func(phases.Event)) (*CertsExportResult, error) {
	p, closePorts := realPorts()
	defer closePorts()
	return certsExportOver(ctx, p, in, notify)
}

func certsExportOver(ctx context.Context, p ports, in CertsExportInput, notify func(phases.Event)) (*CertsExportResult, error) {
	m := newMachine(p, false)
	defer m.close()
	cluster, err := m.exported(ctx, in.CertsNode)
	if err != nil {
		return nil, err
	}
	t := &bundle.Export{Host: m.host, Cluster: cluster, To: cmp.Or(in.File, in.Directory), Extra: in.Extra, Now: m.now}
	if in.File != "" {
		t.Lock = &bundle.Lock{Passphrase: in.Passphrase, Recipients: in.Recipients}
	}
	if err := phases.Run(ctx, bundle.ExportPhases(), t, phases.Options{Notify: notify, Now: m.now}); err != nil {
		return nil, err
	}
	r := &CertsExportResult{File: in.File, Directory: in.Directory, ExternalCA: t.Bundle.ExternalCA, AlsoNeeded: t.Needed, Files: []string{}, etcd: etcdWord(t.Bundle.Layout)}
	for _, name := range t.Bundle.Layout.Names() {
		if _, ok := t.Bundle.Files[name]; ok {
			r.Files = append(r.Files, name)
		}
	}
	r.Extra = t.Bundle.Extras()
	return r, nil
}

// exported is the cluster whose certificates are here.
func (m *machine) exported(ctx context.Context, in CertsNode) (*config.Cluster, error) {
	if in.Config != nil {
		if _, err := m.whoseConfig(ctx, in); err != nil {
			return nil, err
		}
		return &in.Config.Cluster, nil
	}
	c, err := m.clusterHere(ctx, in.CertDir)
	if err != nil || c != nil {
		return c, err
	}
	// No API server was made here yet: the files themselves tell.
	dir := cmp.Or(in.CertDir, config.DefaultCertsDir)
	files, err := bundle.Read(ctx, m.host, dir)
	if err != nil {
		return nil, err
	}
	return bundle.GuessCluster(files, dir), nil
}

func etcdWord(l bundle.Layout) string {
	if l.External {
		return "external"
	}
	return "stacked"
}

// CertsExportResult is what was written.
type CertsExportResult struct {
	File      string `json:"file,omitempty"`
	Directory string `json:"directory,omitempty"`
	// Files are below the certificates directory, those below "outside" are
	// from the root.
	Files []string `json:"files"`
	// Extra are the paths of other files that were taken along.
	Extra []string `json:"extraFiles,omitempty"`
	// ExternalCA says that the key of a CA is not among them.
	ExternalCA bool `json:"externalCA"`
	// AlsoNeeded are files that the settings of the control plane name and
	// that were not taken along.
	AlsoNeeded []string `json:"alsoNeeded,omitempty"`

	etcd string
}

// Text writes the result for people.
func (r *CertsExportResult) Text(w io.Writer) error {
	p := &printer{w: w}
	p.line("")
	how := "encrypted"
	if r.Directory != "" {
		how = "in the clear"
	}
	p.line("%s holds, %s, what a control plane needs to join (etcd is %s):", cmp.Or(r.File, r.Directory), how, r.etcd)
	for _, f := range append(r.Files, r.Extra...) {
		p.line("  %s", f)
	}
	if r.ExternalCA {
		p.line("")
		p.line("The key of a CA is not on this node, so the CA is run elsewhere: bring the other node its own certificates from there.")
	}
	if len(r.AlsoNeeded) > 0 {
		p.line("")
		p.line("Also needed on the new node, because the settings of the control plane name them (or: --include-extra-files):")
		for _, f := range r.AlsoNeeded {
			p.line("  %s", f)
		}
	}
	p.line("")
	if r.Directory != "" {
		p.line("Whoever reads these files owns the cluster: bring them to the other node over ssh, then remove them here and there.")
	}
	p.line("On the other node:")
	p.line("  hactl certs import %s", cmp.Or(r.File, r.Directory))
	p.line("  hactl join … --control-plane")
	return p.err
}
