package loadbalancer

import (
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/templates/loadbalancer"
)

// there is the program's file as it is now.
type there struct {
	data   []byte
	exists bool
	origin loadbalancer.Origin
	stock  bool // as its package brought it
}

// look reads the file.
func (t *Task) look(ctx context.Context) (there, error) {
	data, err := t.Host.ReadFile(ctx, t.Program.File())
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return there{}, nil
	case err != nil:
		return there{}, err
	}
	f := there{data: data, exists: true, origin: loadbalancer.OriginOf(data)}
	if f.origin == loadbalancer.Foreign {
		f.stock = t.stock(ctx, data)
	}
	return f, nil
}

// keep says whether somebody may miss the file.
func (f there) keep() bool { return f.exists && f.origin != loadbalancer.Own && !f.stock }

// replaceable returns the file if it may be replaced, else a fault.
func (t *Task) replaceable(ctx context.Context) (there, error) {
	f, err := t.look(ctx)
	if err != nil || !f.keep() || t.Force || string(f.data) == string(t.Config) {
		return f, err
	}
	what := t.Program.File() + " was not written by hactl"
	if f.origin == loadbalancer.Edited {
		what = t.Program.File() + " was changed by hand since hactl wrote it"
	}
	fixes := []string{
		"see what would take its place: hactl lb render " + string(t.Program) + ", with the same flags",
		"to replace it, with a copy kept beside it: --force",
	}
	if t.OfNode {
		fixes = []string{"if nothing needs it, move it away, and run the same command again: mv " + t.Program.File() + " " + t.Program.File() + ".old"}
	}
	return f, &phases.Fault{What: what, Fixes: fixes, Exit: phases.CodeUnsafe}
}

// stock says whether the file is as its package brought it. Packages of
// Debian know the MD5 of their configuration files; rpm tells which files
// differ. Where neither answers, the file counts as somebody's.
func (t *Task) stock(ctx context.Context, data []byte) bool {
	file := t.Program.File()
	out, err := t.Host.Probe(ctx, "dpkg-query", "--show", "--showformat", "${Conffiles}\n", t.Program.owner())
	if err == nil {
		sum := fmt.Sprintf("%x", md5.Sum(data))
		for line := range strings.Lines(string(out)) {
			if f := strings.Fields(line); len(f) == 2 && f[0] == file && f[1] == sum {
				return true
			}
		}
		return false
	}
	if _, err := t.Host.Probe(ctx, "rpm", "--query", "--file", file); err != nil {
		return false
	}
	// rpm --verify exits with an error if any file of the package differs;
	// only this one counts.
	out, err = t.Host.Probe(ctx, "rpm", "--verify", "--nomtime", "--file", file)
	for line := range strings.Lines(string(out)) {
		if strings.HasSuffix(strings.TrimSpace(line), " "+file) {
			return false
		}
	}
	return err == nil || len(out) > 0
}
