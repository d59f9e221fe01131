package bundle

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/host"
)

// Import is what the phases of `certs import` work on.
type Import struct {
	Host host.Files
	// From is an archive or a directory.
	From string
	Key  Key
	// Dir is the certificates directory of this node.
	Dir string
	// Layout says what must be there; nil means what the archive says, or
	// else the files.
	Layout *Layout
	// Leaves are what this node makes for itself.
	Leaves []Leaf
	// ExternalCA accepts CAs without keys. An archive says that by itself.
	ExternalCA bool
	// Pins are hashes of which the cluster's CA must have one; none means
	// any.
	Pins []string
	// Allow lists the directories outside Dir that files may be written to.
	Allow []string
	// Etcd wants the credentials of an etcd cluster, and nothing else is
	// taken; without it, those are not.
	Etcd bool
	Now  func() time.Time

	// Bundle is what was read; phase verify sets it.
	Bundle *Bundle
	// Installed are the files that phase install wrote, or would write.
	Installed []string
	// Archive says that From is one.
	Archive bool
}

// ImportPhases are `certs import`, from top to bottom.
func ImportPhases() []phases.Phase[Import] {
	return []phases.Phase[Import]{
		{
			Name: "verify", Title: "verify that everything is there, and nothing else",
			Apply: func(ctx context.Context, t *Import) error { return t.verify(ctx) },
		},
		{
			Name: "install", Title: "put the certificates into their places",
			Observe: func(ctx context.Context, t *Import) (phases.State, error) {
				missing, err := t.missing(ctx)
				if err != nil || len(missing) > 0 {
					return phases.Missing, err
				}
				return phases.Done, nil
			},
			Apply: func(ctx context.Context, t *Import) error { return t.install(ctx) },
		},
	}
}

func (t *Import) verify(ctx context.Context) error {
	b, err := t.open(ctx)
	if err != nil {
		return err
	}
	if err := t.meant(b.Layout); err != nil {
		return err
	}
	if t.Layout != nil {
		b.Layout = *t.Layout
	}
	j := Judge{
		Layout: b.Layout, Leaves: t.Leaves, Travel: true, ExternalCA: t.ExternalCA || b.ExternalCA,
		Pins: t.Pins, Now: t.Now(),
	}
	if !t.Archive {
		j.Dir = t.From
	}
	findings := j.Files(b.Files)
	b.ExternalCA = slices.ContainsFunc(findings, func(f Finding) bool { return f.State == Elsewhere })
	if bad := findings.Problems(); len(bad) > 0 {
		return &phases.Fault{
			What:  fmt.Sprintf("%s cannot be used: %s", t.From, count(len(bad), "thing is wrong", "things are wrong")),
			Why:   bad,
			Fixes: bad.Fixes(),
			Exit:  phases.CodeUnsafe,
		}
	}
	b.Files, _ = b.Layout.unfold(b.Files) // guides copy them into one folder
	if err := placing(b.Layout, b.Files, t.Allow); err != nil {
		return err
	}
	t.Bundle = b
	return nil
}

// meant refuses what another command imports.
func (t *Import) meant(l Layout) error {
	what, command := "the certificates that control planes share", "hactl certs import "
	switch {
	case t.Etcd == (l.purpose != ""):
		return nil
	case !t.Etcd:
		what, command = "credentials of an etcd cluster", "hactl etcd credentials import "
	}
	return &phases.Fault{What: t.From + " holds " + what, Fixes: []string{"import it with: " + command + t.From}, Exit: phases.CodeUsage}
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// open reads the archive or the directory.
func (t *Import) open(ctx context.Context) (*Bundle, error) {
	info, err := t.Host.Stat(ctx, t.From)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, &phases.Fault{What: "there is no " + t.From, Fixes: []string{"name the archive or the directory with the certificates"}, Exit: phases.CodeUsage}
	case err != nil:
		return nil, fmt.Errorf("read %s: %w", t.From, err)
	case info.Mode.IsDir() && path.Clean(t.From) == path.Clean(t.Dir):
		return nil, &phases.Fault{
			What:  t.From + " is where the certificates of this node are",
			Fixes: []string{"to judge what was copied there: hactl certs verify " + t.From},
			Exit:  phases.CodeUsage,
		}
	case info.Mode.IsDir():
		files, err := Read(ctx, t.Host, t.From)
		b := &Bundle{Layout: Guess(files, t.Dir), Files: files}
		if t.Etcd {
			b.Layout = EtcdLayout(t.Dir, guessPurpose(files))
		}
		return b, err
	}
	t.Archive = true
	b, err := t.openArchive(ctx, info)
	if err != nil {
		return nil, t.explain(err)
	}
	return b, nil
}

func (t *Import) openArchive(ctx context.Context, info host.Info) (*Bundle, error) {
	if info.Size > maxSealed || !info.Mode.IsRegular() {
		return nil, fmt.Errorf("%w: it has %d bytes", ErrDamaged, info.Size)
	}
	sealed, err := t.Host.ReadFile(ctx, t.From)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", t.From, err)
	}
	plain, err := Unseal(t.Key, sealed)
	if err != nil {
		return nil, err
	}
	b, err := Decode(plain)
	if err != nil {
		return nil, err
	}
	return b, b.move(t.Dir)
}

// move makes the bundle one for a node with another certificates directory.
func (b *Bundle) move(dir string) error {
	if b.Layout.purpose != "" {
		b.Layout = EtcdLayout(dir, b.Layout.purpose)
		return nil
	}
	c := &config.Cluster{CertificatesDir: path.Clean(dir)}
	rebase := func(key string) string {
		name := b.Layout.at(key)
		if name == "" || strings.HasPrefix(name, outside+"/") {
			return b.Layout.pathOf(key)
		}
		return path.Join(dir, name)
	}
	if b.Layout.External {
		c.Etcd.External = &config.ExternalEtcd{
			CAFile: rebase("external-etcd-ca.crt"), CertFile: rebase("external-etcd.crt"), KeyFile: rebase("external-etcd.key"),
		}
	}
	before := b.Layout.Names()
	b.Layout = NewLayout(c)
	if after := b.Layout.Names(); strings.Join(before, "\n") != strings.Join(after, "\n") {
		return fmt.Errorf("%w: its files cannot lie below %s", ErrDamaged, dir)
	}
	return nil
}

func (t *Import) explain(err error) error {
	f := &phases.Fault{What: t.From + " cannot be opened", Why: err}
	switch {
	case errors.Is(err, ErrWrongPassphrase):
		f.Fixes = []string{"try again: a passphrase counts every character, also spaces and capital letters"}
	case errors.Is(err, ErrWrongIdentity):
		f.Fixes = []string{"give the private key that belongs to one of the recipients of the export: --identity FILE"}
	case errors.Is(err, ErrDamaged):
		f.Fixes = []string{"copy the archive again, or export it anew: " + t.export()}
		f.Exit = phases.CodeUnsafe
	default:
		return err
	}
	return f
}

// export is the command that writes what is wanted here.
func (t *Import) export() string {
	if t.Etcd {
		return Layout{purpose: ForClient}.export()
	}
	return Layout{}.export()
}

// missing lists the files that are not in their places, by name. One that
// has another content is refused.
func (t *Import) missing(ctx context.Context) ([]string, error) {
	var missing, foreign []string
	for _, name := range t.Bundle.Files.names() {
		file := t.Bundle.Layout.Path(name)
		info, err := t.Host.Stat(ctx, file)
		if errors.Is(err, fs.ErrNotExist) {
			missing = append(missing, name)
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("look at %s: %w", file, err)
		}
		var there []byte
		if info.Mode.IsRegular() && info.Size <= maxFile {
			if there, err = t.Host.ReadFile(ctx, file); err != nil {
				return nil, fmt.Errorf("read %s: %w", file, err)
			}
		}
		switch {
		case !bytes.Equal(there, t.Bundle.Files[name].Data):
			foreign = append(foreign, file)
		case info.Mode.Perm()&^widest(name) != 0:
			missing = append(missing, name) // the same, with permissions that it may not have
		}
	}
	if len(foreign) == 0 {
		return missing, nil
	}
	fixes := []string{"move them away, and run the same command again"}
	if !t.Etcd {
		fixes = []string{"if they are left over from another cluster: hactl reset", "or " + fixes[0]}
	}
	return nil, &phases.Fault{
		What:  "files on this node are not those of the cluster: " + strings.Join(foreign, ", "),
		Why:   errors.New("they differ from what is to be imported, and hactl overwrites nothing"),
		Fixes: fixes,
		Exit:  phases.CodeUnsafe,
	}
}

// install writes all files that are missing. If one cannot be written, those
// before it go away again: half a set would only be found out later.
func (t *Import) install(ctx context.Context) error {
	missing, err := t.missing(ctx)
	if err != nil {
		return err
	}
	t.Installed = nil
	var created []string
	for _, name := range missing {
		file := t.Bundle.Layout.Path(name)
		_, err := t.Host.Stat(ctx, file)
		fresh := errors.Is(err, fs.ErrNotExist)
		if err := t.Host.WriteFile(ctx, file, t.Bundle.Files[name].Data, modeOf(name)); err != nil {
			return errors.Join(fmt.Errorf("write %s: %w", file, err), t.takeBack(ctx, created))
		}
		if fresh {
			created = append(created, file)
		}
		t.Installed = append(t.Installed, file)
	}
	return nil
}

// takeBack removes files also after the run was interrupted.
func (t *Import) takeBack(ctx context.Context, files []string) error {
	t.Installed = nil
	ctx = context.WithoutCancel(ctx)
	var errs []error
	for _, file := range files {
		if err := t.Host.Remove(ctx, file); err != nil {
			errs = append(errs, fmt.Errorf("remove %s again: %w", file, err))
		}
	}
	return errors.Join(errs...)
}
