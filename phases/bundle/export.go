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

// Export is what the phases of `certs export` work on.
type Export struct {
	Host host.Files
	// Cluster says what the nodes share and which settings name more files.
	Cluster *config.Cluster
	// Layout, if it is set, takes the place of what Cluster says, and From
	// that of Host where files are read.
	Layout *Layout
	From   host.Files
	// To is the archive, or the directory where there is no Lock.
	To   string
	Lock *Lock
	// Extra takes the files along that the settings name.
	Extra bool
	Now   func() time.Time

	// Bundle is what was read, and Needed what the node that joins needs
	// besides; phase verify sets both.
	Bundle *Bundle
	Needed []string

	sealed []byte // the archive, once it is made
}

// ExportPhases are `certs export`, from top to bottom.
func ExportPhases() []phases.Phase[Export] {
	return []phases.Phase[Export]{
		{
			Name: "verify", Title: "read the shared certificates and verify that they belong together",
			Apply: func(ctx context.Context, t *Export) error { return t.verify(ctx) },
		},
		{
			Name: "write", Title: "write what the other node may have",
			Skip: func(t *Export) string {
				if t.Bundle == nil {
					return "nothing was read"
				}
				return ""
			},
			Observe: func(ctx context.Context, t *Export) (phases.State, error) { return t.written(ctx) },
			Apply:   func(ctx context.Context, t *Export) error { return t.write(ctx) },
		},
	}
}

// verify reads everything, judges it, and sets Bundle.
func (t *Export) verify(ctx context.Context) error {
	b := &Bundle{Files: Files{}}
	if t.Layout != nil {
		b.Layout = *t.Layout
	} else {
		b.Layout = NewLayout(t.Cluster)
	}
	for _, name := range b.Layout.Names() {
		if err := t.read(ctx, b, name); err != nil {
			return err
		}
	}
	j := Judge{Layout: b.Layout, Dir: b.Layout.Dir, Travel: true, ExternalCA: true, Now: t.Now()}
	findings := j.Files(b.Files)
	b.ExternalCA = slices.ContainsFunc(findings, func(f Finding) bool { return f.State == Elsewhere })
	if bad := findings.Problems(); len(bad) > 0 {
		return &phases.Fault{
			What:  "the certificates of this node cannot be exported",
			Why:   bad,
			Fixes: b.Layout.elsewhere(),
		}
	}
	if t.Layout != nil {
		t.Bundle = b
		return nil
	}
	extra, err := ExtraFiles(ctx, t.Host, t.Cluster)
	if err != nil {
		return err
	}
	if !t.Extra {
		t.Bundle, t.Needed = b, extra
		return nil
	}
	for _, file := range extra {
		if err := t.read(ctx, b, path.Join(outside, file)); err != nil {
			return err
		}
	}
	t.Bundle = b
	return nil
}

// elsewhere are the fixes for a node that has no good certificates.
func (l Layout) elsewhere() []string {
	if l.purpose != "" {
		return []string{"run this on an etcd host that works"}
	}
	return []string{"run this on a control-plane node that works", "or see what is wrong here: hactl certs verify"}
}

// read adds a file to the bundle; one that does not exist is left out.
func (t *Export) read(ctx context.Context, b *Bundle, name string) error {
	file := b.Layout.Path(name)
	from := t.From
	if from == nil {
		from = t.Host
	}
	info, err := from.Stat(ctx, file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", file, err)
	}
	if err := readFile(ctx, from, file, name, info, b.Files); err != nil {
		return err
	}
	if why := b.Files[name].Unread; why != "" {
		return &phases.Fault{What: file + " " + why, Fixes: []string{"put the right file there, or leave it out and copy it by hand"}}
	}
	return nil
}

// written says whether the directory holds the bundle. What is there and
// differs is refused, and so is any archive: nobody can see what is in it.
func (t *Export) written(ctx context.Context) (phases.State, error) {
	info, err := t.Host.Stat(ctx, t.To)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return phases.Missing, nil
	case err != nil:
		return phases.Missing, fmt.Errorf("look at %s: %w", t.To, err)
	case t.Lock != nil:
		return t.archived(ctx, info)
	case !info.Mode.IsDir():
		return phases.Missing, t.taken("is a file")
	case info.Mode.Perm()&0o077 != 0:
		return phases.Missing, &phases.Fault{
			What:  fmt.Sprintf("others can look into %s: its mode is %04o", t.To, info.Mode.Perm()),
			Fixes: []string{"chmod 700 " + t.To, "or name a directory that does not exist yet"},
			Exit:  phases.CodeUnsafe,
		}
	}
	there, err := Read(ctx, t.Host, t.To)
	if err != nil {
		return phases.Missing, err
	}
	for name, c := range there {
		if !t.Bundle.Files.has(name) || !bytes.Equal(t.Bundle.Files[name].Data, c.Data) {
			return phases.Missing, t.taken("has " + name + " already, which this export would not put there")
		}
	}
	return complete(t.Bundle.Files, there), nil
}

// complete says whether all files are there with the mode of secrets.
func complete(want, there Files) phases.State {
	for name := range want {
		if c, ok := there[name]; !ok || c.Mode.Perm() != keyMode {
			return phases.Missing
		}
	}
	return phases.Done
}

const keyMode = 0o600

// archived is asked before and after the archive is written.
func (t *Export) archived(ctx context.Context, info host.Info) (phases.State, error) {
	if t.sealed != nil && info.Mode.IsRegular() && info.Size == int64(len(t.sealed)) {
		data, err := t.Host.ReadFile(ctx, t.To)
		if err != nil || bytes.Equal(data, t.sealed) {
			return phases.Done, err
		}
	}
	return phases.Missing, t.taken("exists")
}

func (t *Export) taken(why string) error {
	return &phases.Fault{
		What:  t.To + " " + why + ", and hactl overwrites nothing",
		Fixes: []string{"remove it, or name another place: --file or --directory"},
		Exit:  phases.CodeUnsafe,
	}
}

func (t *Export) write(ctx context.Context) error {
	if t.Lock == nil {
		return t.writeDirectory(ctx)
	}
	plain, err := t.Bundle.Encode()
	if err != nil {
		return err
	}
	if t.sealed, err = Seal(*t.Lock, plain); err != nil {
		return err
	}
	if err := t.Host.WriteFile(ctx, t.To, t.sealed, keyMode); err != nil {
		return fmt.Errorf("write %s: %w", t.To, err)
	}
	return nil
}

func (t *Export) writeDirectory(ctx context.Context) error {
	if err := t.Host.Mkdir(ctx, t.To, 0o700); err != nil {
		return fmt.Errorf("make %s: %w", t.To, err)
	}
	for _, name := range t.Bundle.Files.names() {
		file := path.Join(t.To, name)
		if err := t.Host.WriteFile(ctx, file, t.Bundle.Files[name].Data, keyMode); err != nil {
			return fmt.Errorf("write %s: %w", file, err)
		}
	}
	return nil
}

// Extras are the files of the bundle that are no certificates, by their paths
// on a node.
func (b *Bundle) Extras() []string {
	var list []string
	for _, name := range b.Files.names() {
		if !b.Layout.knows(name) && strings.HasPrefix(name, outside+"/") {
			list = append(list, b.Layout.Path(name))
		}
	}
	return list
}
