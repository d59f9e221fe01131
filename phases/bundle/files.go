package bundle

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/host"
)

// What a bundle may hold at most. A CA with its key has less than 8 KiB;
// what is larger is something else.
const (
	maxFile  = 256 << 10 // bytes
	maxTotal = 2 << 20   // bytes
	maxFiles = 256
	maxDepth = 8
)

// Content is one file.
type Content struct {
	Data []byte
	// Mode has no permission bits where the file comes out of an archive.
	Mode fs.FileMode
	// Unread says why there is no Data: the file is too large, or none.
	Unread string
}

// Files are files by their names in a bundle.
type Files map[string]Content

func (f Files) has(name string) bool {
	_, ok := f[name]
	return ok
}

func (f Files) names() []string { return slices.Sorted(maps.Keys(f)) }

// Read reads a directory. Files larger than 256 KiB and what is no regular
// file come without content. A directory with more than 256 files or 8 levels
// gives a *phases.Fault: it is no certificates directory.
func Read(ctx context.Context, h host.Files, dir string) (Files, error) {
	files := Files{}
	if err := read(ctx, h, dir, "", files); err != nil {
		return nil, err
	}
	return files, nil
}

func read(ctx context.Context, h host.Files, dir, below string, files Files) error {
	at := path.Join(dir, below)
	info, err := h.Stat(ctx, at)
	switch {
	case errors.Is(err, fs.ErrNotExist) && below == "":
		return &phases.Fault{What: "there is no " + at, Fixes: []string{"name the directory that the certificates were copied to"}, Exit: phases.CodeUsage}
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("read %s: %w", at, err)
	case err != nil:
		files[below] = Content{Unread: "is a link to nothing"}
		return nil
	case len(files) >= maxFiles || strings.Count(below, "/") >= maxDepth:
		return &phases.Fault{
			What:  fmt.Sprintf("%s is no certificates directory: it has more than %d files or %d levels", dir, maxFiles, maxDepth),
			Fixes: []string{"copy the certificates into a directory of their own and name that"},
			Exit:  phases.CodeUsage,
		}
	case !info.Mode.IsDir():
		return readFile(ctx, h, at, below, info, files)
	}
	for _, name := range info.Names {
		if err := read(ctx, h, dir, path.Join(below, name), files); err != nil {
			return err
		}
	}
	return nil
}

func readFile(ctx context.Context, h host.Files, at, below string, info host.Info, files Files) error {
	c := Content{Mode: info.Mode}
	switch {
	case !info.Mode.IsRegular():
		c.Unread = "is no regular file"
	case info.Size > maxFile:
		c.Unread = fmt.Sprintf("has %d bytes, which no certificate has", info.Size)
	default:
		var err error
		if c.Data, err = h.ReadFile(ctx, at); err != nil {
			return fmt.Errorf("read %s: %w", at, err)
		}
	}
	files[below] = c
	return nil
}

// unfold gives files that lie in one folder under the names that they have in
// Secret kubeadm-certs, as the guides copy them, the names of the layout.
// Moved tells where each of those lay.
func (l Layout) unfold(files Files) (unfolded Files, moved map[string]string) {
	unfolded, moved = maps.Clone(files), map[string]string{}
	for _, f := range l.files {
		if content, ok := files[f.key]; ok && f.key != f.name && !files.has(f.name) {
			unfolded[f.name], moved[f.name] = content, f.key
			delete(unfolded, f.key)
		}
	}
	return unfolded, moved
}
